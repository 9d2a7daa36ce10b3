"""Work that waits until calls for it have ceased."""

import threading
import time

from app.delivery.when_quiet import WhenQuiet


class Work:
    """Work that counts how often it was done, and knows which threads did it."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def __call__(self) -> None:
        self.threads.append(threading.current_thread().name)


def ended(name: str = "when-quiet") -> bool:
    return all(thread.name != name for thread in threading.enumerate())


def wait_until(done) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_work_asked_for_seldom_is_done_at_once():
    """A first call, and each that comes long after the last one, does the work before it returns, in its own thread."""
    work = Work()
    quiet = WhenQuiet(work, seconds=0.05)
    for number in range(3):
        quiet.ask()
        assert work.threads == [threading.current_thread().name] * (number + 1)
        time.sleep(0.06)
    assert ended()


def test_work_asked_for_often_is_done_once_after_the_last_call():
    """Two hundred calls one upon another do the work once more than the first, and leave no thread behind."""
    work = Work()
    quiet = WhenQuiet(work, seconds=2)
    for _ in range(200):
        quiet.ask()
    assert len(work.threads) == 1
    wait_until(ended)
    assert work.threads[1:] == ["when-quiet"]


def test_work_is_done_at_once_where_no_thread_can_start(monkeypatch):
    """A machine that has no room for one more thread does the work in the thread that asks."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    work = Work()
    quiet = WhenQuiet(work, seconds=60)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(3):
        quiet.ask()
    assert len(work.threads) == 3
