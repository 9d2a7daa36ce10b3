"""Logging for both programs: one handler, one form, no word of a visitor in any line, and no line that counts visitors.

An exception is logged by its code and by the line of our own code that raised the exception. The exception's own
message is never logged, because the message may quote what a visitor sent. Logs of libraries are off. An error that a
visitor's own act causes is not logged. A fault of ours that requests met is written once, at the end of the hour, for
any number of requests. Journals put a time beside each line, and times and numbers would show when people sent reports.
"""

import logging
import threading
import time
import traceback
from multiprocessing.util import Finalize
from typing import Any

from app.core.errors import HaumaruError

HOUR_SECONDS = 3600

log = logging.getLogger("haumaru")

_KEPT = "kept"  # the attribute of a record that is written at the end of the hour
_OWN_FAULT = 500  # statuses from here on say that the fault is ours (RFC 9110, 15.6)


def log_error(error: BaseException, *, at_once: bool = False) -> None:
    """Log an exception by its code and its place in our code, never by its own words.

    The line is written once, at the end of the hour; `at_once` is for errors that no request caused. An error that a
    visitor's own act causes, with an HTTP status under 500, is not logged.
    """
    if isinstance(error, HaumaruError) and error.status < _OWN_FAULT:
        return
    code = error.code if isinstance(error, HaumaruError) else type(error).__name__
    if at_once:
        log.error("error code=%s at=%s", code, place_of(error))
    else:
        log_rarely("error code=%s at=%s", code, place_of(error))


def log_rarely(message: str, *codes: str) -> None:
    """Log a line of codes that requests cause, once, at the end of the hour, for any number of requests."""
    log.error(message, *codes, extra={_KEPT: True})


def place_of(error: BaseException) -> str:
    """Return the module and line of our own code that raised an exception, or `-`."""
    # `extract_tb` would read the source, and the file's access time would show when the error happened.
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        _, ours, module = frame.f_code.co_filename.replace("\\", "/").rpartition("/app/")
        if ours:
            return f"{module}:{line}"
    return "-"


def quiet_logs(level: int = logging.INFO, *, at_once: bool = False) -> None:
    """Send our own log to standard error through one handler, and turn off the logs of all libraries.

    With `at_once`, for a demonstration that receives no real reports, no line waits for the end of the hour.
    """
    handler = logging.StreamHandler() if at_once else RateLog()
    handler.setFormatter(logging.Formatter("haumaru: %(message)s"))
    handler.addFilter(logging.Filter("haumaru"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(level)
    root: Any = logging.getLogger()
    root.handlers = [logging.NullHandler()]
    for name in ("werkzeug", "limits", "sqlalchemy", "_granian", "granian.access"):
        logging.getLogger(name).disabled = True


class RateLog(logging.StreamHandler[Any]):
    """Writes to standard error; keeps the lines of `log_rarely` until the hour ends, and writes each of them once.

    A process that ends writes the kept lines; a process that is killed loses the kept lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, logging.LogRecord] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or keep it until the hour ends; called under the handler's lock."""
        if not getattr(record, _KEPT, False):
            super().emit(record)
            return
        if not self._lines:
            self._write_when_over()
        self._lines.setdefault(record.getMessage(), record)

    def write_kept(self) -> None:
        """Write the kept lines in alphabetical order, and forget the lines."""
        with self.lock or threading.RLock():
            for line in sorted(self._lines):
                super().emit(self._lines[line])
            self._lines.clear()

    def _write_when_over(self) -> None:
        timer = threading.Timer(HOUR_SECONDS - time.time() % HOUR_SECONDS, self.write_kept)
        timer.daemon = True
        timer.start()
        # A worker of a server ends without the handlers of atexit (docs.python.org, multiprocessing).
        Finalize(self, self.write_kept, exitpriority=0)

    def close(self) -> None:
        """Write the kept lines when the program ends."""
        self.write_kept()
        super().close()
