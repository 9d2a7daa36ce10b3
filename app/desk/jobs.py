"""Long work in the background that says how far it is and can be stopped."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from app.core.errors import HaumaruError


@dataclass
class Job:
    """One piece of long work: what it is, how far, how it ended, and what came of it."""

    title: str
    total: int = 0
    done: int = 0
    ended: bool = False
    code: str = ""
    result: bytes = field(default=b"", repr=False)
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)

    def step(self, count: int = 1) -> None:
        """Count what is done."""
        self.done += count

    def stop(self) -> None:
        """Ask it to end after the item in hand; what is done stays done."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()


def start_job(work: Job, job: Callable[[Job], None]) -> threading.Thread:
    """Run a job in a thread of its own; how it ended is in `work`."""

    def run() -> None:
        try:
            job(work)
        except HaumaruError as error:
            work.code = error.code
        except Exception as error:  # noqa: BLE001  # its own words could hold a tip's
            work.code = type(error).__name__
        finally:
            work.ended = True

    thread = threading.Thread(target=run, name=work.title, daemon=True)
    thread.start()
    return thread
