"""Turns of files: each network gets its own, whatever the others send, and no more than the machine has places."""

import os
import secrets
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from app.core.errors import BusyError
from app.files.clean import CleanedFile, CleanLimits, clean_files
from app.files.turns import FileTurns, acquire_place, cores
from tests.support.paths import ROOT


@contextmanager
def holding(turns, *networks):
    """Files of these networks in threads of their own, each at work until the end, in the order in which they begin."""
    begun, go = [], threading.Event()

    def work(network):
        with turns.turn((network,), seconds=60):
            begun.append(network)
            go.wait(60)

    threads = [threading.Thread(target=work, args=(network,)) for network in networks]
    for thread in threads:
        thread.start()
    try:
        yield begun
    finally:
        go.set()
        for thread in threads:
            thread.join()


def turns_of(**values):
    """Turns over places that nothing else on this machine uses."""
    return FileTurns(f"test-{secrets.token_hex(8)}", **values)


def wait_until(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_one_network_never_has_all_places():
    """Eight slow files of one network leave a place, which a file of another gets at once."""
    turns = turns_of(places=4)
    with holding(turns, *["greedy"] * 8) as begun:
        wait_until(lambda: len(begun) == 3)
        with turns.turn(("honest",), seconds=0):
            assert begun == ["greedy"] * 3


def test_the_expected_wait_follows_who_waits_and_how_long_files_took():
    """Nothing waits: one file's time by the places; with more that wait, more; after slow files, more still."""
    now = [0.0]
    turns = turns_of(places=2, clock=lambda: now[0])
    quiet = turns.expected_seconds()
    for _ in range(16):
        with turns.turn(("slow",), seconds=0):
            now[0] += 20
    slow = turns.expected_seconds()
    assert 8 < slow < 10.1
    assert quiet < slow / 8
    with holding(turns, *["one"] * 4):
        wait_until(lambda: len(turns._waiting) == 3)
        assert turns.expected_seconds() == 4 * slow


def test_a_wider_network_never_has_all_places_either():
    """Addresses that change within one /48 together leave a place too."""
    turns = turns_of(places=2)
    with turns.turn(("64/1", "48"), seconds=0):
        with pytest.raises(BusyError), turns.turn(("64/2", "48"), seconds=0.01):
            pass
        with turns.turn(("64/3", "elsewhere"), seconds=0):
            pass


def test_who_has_used_least_is_next():
    """Of the files that wait, those of networks without a child come first, then of those that used least."""
    now = [0.0]
    turns = turns_of(places=1, clock=lambda: now[0])
    with turns.turn(("heavy",), seconds=0):
        now[0] += 20
    order = []

    def work(network):
        with turns.turn((network,), seconds=1000):
            order.append(network)

    waiting = ["heavy", "heavy", "first", "second"]
    with turns.turn(("other",), seconds=0):
        threads = []
        for number, network in enumerate(waiting, 1):
            threads.append(threading.Thread(target=work, args=(network,)))
            threads[-1].start()
            wait_until(lambda number=number: len(turns._waiting) == number)
    for thread in threads:
        thread.join()
    assert order == ["first", "second", "heavy", "heavy"]


def test_a_network_beyond_its_budget_waits_until_nothing_else_runs():
    """After its budget of place time within an hour a network gets a place only while all others are idle."""
    now = [0.0]
    turns = turns_of(places=4, budget=100, clock=lambda: now[0])
    with turns.turn(("greedy",), seconds=0):
        now[0] += 101
    with turns.turn(("honest",), seconds=0), pytest.raises(BusyError), turns.turn(("greedy",), seconds=0):
        pass
    with turns.turn(("greedy",), seconds=0):
        pass
    now[0] += 3601
    with turns.turn(("honest",), seconds=0), turns.turn(("new hour",), seconds=0):
        pass
    with turns.turn(("honest",), seconds=0), turns.turn(("greedy",), seconds=0):
        pass


def test_a_photograph_is_cleaned_beside_slow_files_of_another_network(specimens):
    """Four slow texts hold no more than their share: a photograph that comes meanwhile is cleaned."""
    turns = turns_of(places=2)
    with holding(turns, *["greedy"] * 4) as begun:
        wait_until(lambda: begun)
        (result,) = clean_files([specimens["photo.jpg"].data], ("honest",), turns=turns)
    assert isinstance(result, CleanedFile)


def test_a_place_is_free_again_when_its_process_is_killed():
    """A place counts across processes, and a killed process releases its place."""
    code = (
        "import time\nfrom app.files.turns import acquire_place\n"
        "held = acquire_place('test', 1)\nprint(1, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout.readline() == b"1\n"
        assert acquire_place("test", 1) is None
        other.kill()
        other.wait()
    place = acquire_place("test", 1)
    assert place
    place.close()


def test_children_wait_for_a_free_core():
    """While every core is taken no further child starts, and the file is refused with `no-time`."""
    with ExitStack() as held:
        for _ in range(cores()):
            held.enter_context(acquire_place("child", cores()))
        assert [one.code for one in clean_files([b"words"], limits=CleanLimits(seconds=0.3))] == ["no-time"]


def test_a_child_may_run_on_every_processor():
    """A thread with one processor cleans files on all that the turns were made with, and then has its own again."""
    turns, every = FileTurns(), os.sched_getaffinity(0)
    one = {min(every)}
    seen = []

    def work():
        os.sched_setaffinity(0, one)
        with turns.turn(["a"], seconds=10):
            code = "import os; print(sorted(os.sched_getaffinity(0)))"
            seen.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        seen.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [f"{sorted(every)}\n", one]
