"""Long work in a thread of its own: a handler sees how far it is, and can stop it.

A job that is stopped ends after the item in hand; what is done stays done. A failure is kept as a code, because the
words of an error could hold a tip's.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from app.core.errors import HaumaruError


@dataclass
class Job:
    """One piece of long work: its title, how far it is, the code with which it failed ("" for none), its result."""

    title: str
    total: int = 0
    done: int = 0
    ended: bool = False
    code: str = ""
    result: bytes = field(default=b"", repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    thread: threading.Thread | None = field(default=None, repr=False)

    def advance(self, count: int = 1) -> None:
        """Count items as done."""
        self.done += count

    def stop(self) -> None:
        """Ask the job to end after the item in hand."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether the job was asked to end."""
        return self._stop.is_set()


def start_job(job: Job, run: Callable[[Job], None]) -> threading.Thread:
    """Run a job in a thread of its own; how it ended is in `job`."""

    def run_and_record() -> None:
        try:
            run(job)
        except HaumaruError as error:
            job.code = error.code
        except Exception as error:  # noqa: BLE001  # its own words could hold a tip's
            job.code = type(error).__name__
        finally:
            job.ended = True

    job.thread = threading.Thread(target=run_and_record, name=job.title, daemon=True)
    job.thread.start()
    return job.thread
