"""The mark `slow`: which tests need it, and what time counts."""

import subprocess
import sys

import pytest

from tests.support import slow
from tests.support.paths import ROOT
from tests.support.slow import Moment, quiet_seconds

pytest_plugins = ["pytester"]
INI = """
[pytest]
markers = slow
pythonpath = {root}
addopts = -p tests.support.slow -p no:cacheprovider -W ignore::pytest.PytestAssertRewriteWarning
"""


@pytest.fixture
def results(pytester, monkeypatch):
    """A way to run one test file on a quiet machine, with a tenth of a second for the ten that count."""
    pytester.makeini(INI.format(root=ROOT))

    def run(text, pace=1.0):
        pytester.makepyfile(text)
        # These tests are themselves measured by the plugin, with the true limits.
        with monkeypatch.context() as quick:
            quick.setattr(slow, "SLOW_SECONDS", 0.1)
            quick.setattr(slow, "QUICK_SECONDS", 0.05)
            quick.setattr(slow, "_machine_seconds", lambda: 0.0)
            quick.setattr(slow, "pace", lambda: pace)
            return pytester.runpytest_inprocess()

    return run


def test_a_slow_test_without_the_mark_fails(results):
    """A test that passes but takes too long fails, and the failure says what to do."""
    done = results("import time\ndef test_waits():\n    time.sleep(0.3)\n")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*make the test quicker, or mark it slow*"])


def test_a_slow_machine_makes_no_test_slow(results):
    """Where the same work takes longer, the limit is longer by as much."""
    text = "import time\ndef test_waits():\n    time.sleep(0.3)\n"
    results(text, pace=400.0).assert_outcomes(passed=1)
    results(text, pace=2.0).assert_outcomes(failed=1)


def test_the_pace_is_that_of_a_loop(monkeypatch):
    """The pace is how much longer a fixed loop takes than on the usual machine; a quicker machine counts as usual."""
    assert slow.pace() >= 1.0
    times = iter([9.0, *[3 * slow._USUAL_SECONDS] * 7, 0.0])
    monkeypatch.setattr(slow, "_loop_seconds", lambda: next(times))
    assert slow.pace() == pytest.approx(3.0)
    monkeypatch.setattr(slow, "_loop_seconds", lambda: slow._USUAL_SECONDS / 2)
    assert slow.pace() == 1.0


def test_a_slow_test_with_the_mark_passes(results):
    """The mark allows a test to take long."""
    done = results("import pytest, time\n@pytest.mark.slow\ndef test_waits():\n    time.sleep(0.3)\n")
    done.assert_outcomes(passed=1)
    done.stdout.no_fnmatch_line("*marked slow, but*")


def test_time_in_fixtures_is_not_the_test_s(results):
    """A server that is started for many tests makes none of them slow."""
    done = results(
        "import pytest, time\n@pytest.fixture\ndef server():\n    time.sleep(0.3)\ndef test_quick(server):\n    pass\n"
    )
    done.assert_outcomes(passed=1)


def test_a_mark_that_is_not_needed_is_named(results):
    """A marked test of which every case is quick is named at the end of the run; one slow case keeps the mark."""
    done = results(
        "import pytest, time\n"
        "@pytest.mark.slow\ndef test_quick():\n    pass\n"
        "@pytest.mark.slow\n@pytest.mark.parametrize('s', [0, 0.2])\ndef test_mixed(s):\n    time.sleep(s)\n"
    )
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["marked slow, but took 0.0 s: *test_quick"])
    done.stdout.no_fnmatch_line("marked slow*test_mixed*")


def test_a_test_that_fails_by_itself_says_why(results):
    """A failure of the test's own is not hidden behind the time."""
    done = results("import time\ndef test_wrong():\n    time.sleep(0.3)\n    assert 1 == 2\n")
    done.stdout.fnmatch_lines(["*assert 1 == 2*"])
    done.stdout.no_fnmatch_line("*mark it slow*")


@pytest.mark.parametrize(
    ("own", "machine", "expected"),
    [(0, 0, 12), (12, 12, 12), (24, 24, 12), (5, 17, 6), (5, 29, 0), (5, 4, 12)],
    ids=["waits", "works", "its children work", "one neighbour", "two neighbours", "clocks disagree"],
)
def test_only_the_work_of_others_is_subtracted(own, machine, expected):
    """Twelve seconds on two processors are twelve seconds of the test's own, less what other programs took."""
    assert quiet_seconds(Moment(0, 0, 0), Moment(12, own, machine), processors=2) == expected


def test_the_work_of_children_is_the_test_s_own():
    """The processor time of a running child, and of one that has ended, is counted with this process."""
    code = "import time\nwhile time.process_time() < 0.5: pass\nprint(1, flush=True)\ninput()"
    before = Moment.now()
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        running = Moment.now()
        child.communicate(b"\n")
    ended = Moment.now()
    assert 0.4 < running.own - before.own < 5
    assert ended.own >= running.own
    assert running.machine - before.machine >= 0.4
