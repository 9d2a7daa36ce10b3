"""The log: what it says of the program, and that neither its lines nor their times count visitors."""

import io
import logging
import multiprocessing
import sys

import pytest

from app.core.errors import AlreadySentError, BusyError, OutboxError, RateError, ReplyError, ReplyKnownError
from app.core.log import RateLog, log, log_error, log_rarely, quiet_logs


@pytest.fixture
def written(monkeypatch):
    """The program's own handler, with what it has written so far."""
    before = (log.handlers, log.propagate, log.level, logging.getLogger().handlers)
    target = io.StringIO()
    quiet_logs()
    (handler,) = log.handlers
    handler.setStream(target)
    handler.written = lambda: target.getvalue().splitlines()
    yield handler
    handler.close()
    log.handlers, log.propagate, log.level, logging.getLogger().handlers = before


def _raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.mark.parametrize(
    "error", [AlreadySentError(), ReplyError("signature"), ReplyKnownError(), RateError(seconds=9)]
)
def test_what_a_visitor_does_is_not_logged(written, error):
    """Three hundred double presses, unsigned posts or refusals leave no line, now or at the end of the hour."""
    for _ in range(300):
        log_error(_raised(error))
    written.write_kept()
    assert written.written() == []


def test_a_fault_is_one_line_however_many_met_it(written):
    """One request and three hundred that meet a fault of ours leave the same line, at the end of the hour."""
    lines = []
    for requests in (1, 300):
        for _ in range(requests):
            log_error(_raised(OutboxError("disk-full")))
            log_error(_raised(BusyError()))
            log_rarely("memory code=%s", "away")
        assert len(written.written()) == len(lines) * 3, "nothing is written while the hour lasts"
        written.write_kept()
        lines.append(written.written()[-3:])
    assert lines[0] == lines[1]
    assert [line.partition(" at=")[0] for line in lines[0]] == [
        "haumaru: error code=busy",
        "haumaru: error code=disk-full",
        "haumaru: memory code=away",
    ]


def test_no_order_of_requests_is_in_the_lines(written):
    """Whichever fault was met first, the lines stand in one order."""
    for codes in (("a", "b"), ("b", "a")):
        for code in codes:
            log_rarely("memory code=%s", code)
        written.write_kept()
    assert written.written() == ["haumaru: memory code=a", "haumaru: memory code=b"] * 2


def test_what_no_request_causes_is_written_at_once(written):
    """The start, the forwarder's failures and a database that is away are in the log when they happen."""
    log.warning("delivery agency=%s code=%s", "intake", "unreachable")
    log_error(_raised(OutboxError("database-away")), at_once=True)
    assert [line.partition(" at=")[0] for line in written.written()] == [
        "haumaru: delivery agency=intake code=unreachable",
        "haumaru: error code=database-away",
    ]


def test_nothing_that_was_kept_is_lost_when_the_program_ends(written):
    """A program that is stopped writes what it kept."""
    log_rarely("memory code=%s", "away")
    written.close()
    assert written.written() == ["haumaru: memory code=away"]


def test_the_end_of_the_hour_writes_by_itself(written, monkeypatch):
    """The first line that is kept sets a timer for the end of the hour, and no further line sets another."""
    timers = []

    class Timer:
        def __init__(self, seconds, call):
            timers.append((seconds, call))

        def start(self):
            pass

    monkeypatch.setattr("app.core.log.threading.Timer", Timer)
    monkeypatch.setattr("app.core.log.time.time", lambda: 7200.0 + 3000)
    for number in range(5):
        log_rarely("memory code=%s", str(number))
    ((seconds, call),) = timers
    assert seconds == 600
    call()
    assert len(written.written()) == 5
    assert isinstance(written, RateLog)


def _worker(path):
    sys.stderr = path.open("w")
    quiet_logs()
    log_rarely("memory code=%s", "away")


def test_a_worker_of_a_server_writes_what_it_kept_when_it_ends(tmp_path):
    """A forked worker, which ends without the handlers of atexit, loses no line."""
    worker = multiprocessing.get_context("fork").Process(target=_worker, args=(tmp_path / "log",))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0
    assert (tmp_path / "log").read_text() == "haumaru: memory code=away\n"
