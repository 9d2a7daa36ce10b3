"""The corpus of files with traces in them, and a way to clean files without the sandbox."""

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.core.errors import FileRefusedError
from app.files import child_process, clean, worker


@pytest.fixture(scope="session")
def cleaned(specimens):
    """What the sandbox makes of each specimen, by name."""
    results = {}
    for name, specimen in specimens.items():
        (results[name],) = clean.clean_files([specimen.data])
    return results


@pytest.fixture
def no_sandbox(monkeypatch):
    """Run the worker's tasks in this process, where a debugger and the measure of coverage see them."""

    def run_worker(task, data, *, seconds, most=0):
        output = []
        with monkeypatch.context() as replaced:
            replaced.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
            replaced.setattr(worker, "_write", output.extend)
            exit_code = worker._run(worker._load_task(task))
        if exit_code:
            raise FileRefusedError(child_process._refusal_code(exit_code))
        return io.BytesIO(b"".join(output))

    monkeypatch.setattr(clean, "run_worker", run_worker)


def _children() -> set[int]:
    listings = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {int(number) for listing in listings for number in listing.read_text().split()}


@pytest.fixture
def no_child_left():
    """Check after a test that no process which the test started is left."""
    before = _children()  # servers that other tests share
    yield
    assert _children() <= before
