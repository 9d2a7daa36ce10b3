"""The search of the leak tests: a file that changes its name meanwhile is still read."""

import threading

import pytest

from tests.support.paths import read_below


def test_a_file_that_is_renamed_all_the_time_is_read_each_time(tmp_path):
    """Given files of which one changes its name without end, each reading has its bytes."""
    for number in range(9):
        (tmp_path / f"still-{number}").write_bytes(b"x" * 10_000)
    (tmp_path / "a.part").write_bytes(b"marker")
    done = threading.Event()

    def rename():
        while not done.is_set():
            (tmp_path / "a.part").rename(tmp_path / "b.age")
            done.wait(0.001)
            (tmp_path / "b.age").rename(tmp_path / "a.part")
            done.wait(0.01)

    thread = threading.Thread(target=rename)
    thread.start()
    try:
        readings = [read_below([tmp_path]) for _ in range(40)]
    finally:
        done.set()
        thread.join()
    assert all(b"marker" in files.values() for files in readings)


def test_a_search_of_nothing_fails(tmp_path):
    """An empty folder is no folder without leaks."""
    with pytest.raises(AssertionError, match="nothing was searched"):
        read_below([tmp_path])
