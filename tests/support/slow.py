"""A pytest plugin: a test that takes over ten seconds without the mark `slow` fails.

What counts is how long the test's call would have taken on a quiet machine of the usual pace: the time on the clock,
less the time for which other programs kept the processors busy, by the pace at which the processors work just then.
The clock alone would blame a test for its neighbours (a second worker of pytest-xdist, another run on the same
machine); processor time alone would not see a test that only waits. The processor time of the test's own children is
not subtracted, for the children are the test's own doing. The measure is exact where nothing else runs. On a busy
machine a test that mostly waits can look quicker than it is, so a busy machine blames no test wrongly, and a quiet
one finds every slow test. The pace is the processor time of a loop of fixed length, since a virtual machine can work
at a third of its pace for hours without a sign of that in proc(5).

Marked tests that took less than five seconds are named at the end of the run, so that the mark stays true.
"""

import os
import statistics
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

SLOW_SECONDS, QUICK_SECONDS = 10.0, 5.0
_MEASURED = "seconds_on_a_quiet_machine"
_LOOP, _USUAL_SECONDS = 400_000, 0.015  # the loop of the pace, and its time where the figure of ten seconds was chosen
_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Moment:
    """The clock, the processor time of this process and its descendants, and that of the whole machine, in seconds."""

    clock: float
    own: float
    machine: float

    @classmethod
    def now(cls) -> "Moment":
        """Read all three."""
        return cls(time.monotonic(), _tree_seconds(os.getpid()), _machine_seconds())


def quiet_seconds(before: Moment, after: Moment, *, processors: int) -> float:
    """Return how long the time between two moments would have been if no other program had run."""
    passed = after.clock - before.clock
    others = (after.machine - before.machine) - (after.own - before.own)
    return passed - min(max(others, 0.0) / processors, passed)


def pace() -> float:
    """Return how many times longer this machine takes for the same work than the usual machine; at least 1."""
    return max(1.0, statistics.median(_loop_seconds() for _ in range(9)) / _USUAL_SECONDS)


def _loop_seconds() -> float:
    """Return the processor time of a loop of fixed length in this thread."""
    start, total = time.thread_time(), 0
    for number in range(_LOOP):
        total += number
    return time.thread_time() - start


def _tree_seconds(pid: int) -> float:
    """Return the processor time of a process, of its ended children, and of its living descendants (proc(5))."""
    total = 0.0
    with suppress(OSError):  # a child may end while it is looked at
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15])) / _TICK  # utime, stime, cutime, cstime
        for thread in (_PROC / str(pid) / "task").iterdir():
            total += sum(_tree_seconds(int(child)) for child in (thread / "children").read_text().split())
    return total


def _machine_seconds() -> float:
    """Return how long all processors together were busy, or taken from this machine by its host (proc(5))."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICK


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Measure a test's call; fail a test that passed but took too long for one without the mark."""
    before = Moment.now()
    yield
    seconds = quiet_seconds(before, Moment.now(), processors=os.cpu_count() or 1)
    marked = item.get_closest_marker("slow") is not None
    if marked:
        item.user_properties.append((_MEASURED, seconds))
    elif seconds > SLOW_SECONDS and (usual := seconds / pace()) > SLOW_SECONDS:
        pytest.fail(f"took {usual:.1f} s of {SLOW_SECONDS:.0f}: make the test quicker, or mark it slow", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the marked tests of which no case was slow."""
    longest: dict[str, float] = {}
    for report in terminalreporter.stats.get("passed", []):
        for name, seconds in report.user_properties:
            if name == _MEASURED:
                test = report.nodeid.partition("[")[0]
                longest[test] = max(longest.get(test, 0.0), seconds)
    for test, seconds in sorted(longest.items()):
        if seconds < QUICK_SECONDS:
            terminalreporter.write_line(f"marked slow, but took {seconds:.1f} s: {test}")
