"""Logging for both programs: one handler, one form, and no word of a visitor in any line.

An exception is logged by its code and by the line of our own code where the exception rose. The exception's own
message is never logged, because the message may quote what a visitor sent. Logs of libraries are shut off.
"""

import logging
import traceback
from typing import Any

from app.core.errors import HaumaruError

log = logging.getLogger("haumaru")


def log_error(error: BaseException) -> None:
    """Log an exception by its code and its place in our code, never by its own words."""
    code = error.code if isinstance(error, HaumaruError) else type(error).__name__
    log.error("error code=%s at=%s", code, place_of(error))


def place_of(error: BaseException) -> str:
    """Return the module and line of our own code where an exception rose, or `-`."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        _, ours, module = frame.filename.replace("\\", "/").rpartition("/app/")
        if ours:
            return f"{module}:{frame.lineno}"
    return "-"


def quiet_logs(level: int = logging.INFO) -> None:
    """Send our own log to standard error through one handler, and shut off the log of every other library."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("haumaru: %(message)s"))
    handler.addFilter(logging.Filter("haumaru"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(level)
    root: Any = logging.getLogger()
    root.handlers = [logging.NullHandler()]
    for name in ("werkzeug", "flask_limiter", "flask-limiter", "sqlalchemy", "_granian", "granian.access"):
        logging.getLogger(name).disabled = True
