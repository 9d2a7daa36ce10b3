"""The worker's side: the sandbox really denies, refuses to run without, and knows nothing of the rest of the house."""

import subprocess
import sys

import grimp
import pytest

from app.core.errors import FileRefusedError
from app.files import child_process, sandbox
from app.files.clean import probe_sandbox
from app.files.protocol import EXIT_CODES, Task
from app.files.worker import _TASK_FUNCTIONS
from tests.support.paths import ROOT


def run(code: str) -> list[str]:
    """The lines that a fresh Python prints when it runs the code."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_probe_names_all_that_was_denied():
    """Files, sockets, processes, programs, signals and new code are each tried inside and refused."""
    assert set(probe_sandbox()) == set(sandbox.ATTEMPTS)


@pytest.mark.parametrize("name", sandbox.ATTEMPTS)
def test_what_the_probe_tries_works_without_the_sandbox(name):
    """Each attempt succeeds outside, so that its failure inside means something."""
    code = f"from app.files import sandbox\nsandbox.ATTEMPTS[{name!r}]()\nprint('worked')"
    assert run(code) == ([] if name == "run a program" else ["worked"])


def test_landlock_alone_denies_files():
    """Where the filter had a hole, Landlock would still stand before the files."""
    denied = run(
        "from app.files import sandbox as s\ns._prctl(38, 1)\n"
        "s.restrict_with_landlock()\nprint(*s.denied_attempts()[:4], sep='\\n')"
    )
    assert {"read a file", "write a file", "list a folder"} <= set(denied)


def test_the_filter_alone_denies_everything():
    """Where Landlock had a hole, the filter would still stand before everything."""
    denied = run(
        "from app.files import sandbox as s\ns._prctl(38, 1)\n"
        "s.restrict_with_seccomp()\nprint(*s.denied_attempts(), sep='\\n')"
    )
    assert set(denied) == set(sandbox.ATTEMPTS)


def test_a_thread_is_as_locked_as_the_process():
    """A decoder may start a thread; it is under the same lock, even one from before it."""
    code = (
        "import threading\nfrom app.files import sandbox as s\n"
        "go, seen = threading.Event(), []\n"
        "early = threading.Thread(target=lambda: (go.wait(), seen.append(s.denied_attempts())))\n"
        "early.start()\ns._prctl(38, 1)\ns.restrict_with_seccomp()\ngo.set()\nearly.join()\n"
        "late = threading.Thread(target=lambda: seen.append(s.denied_attempts()))\nlate.start()\nlate.join()\n"
        "print(*map(len, seen))"
    )
    assert run(code) == [f"{len(sandbox.ATTEMPTS)} {len(sandbox.ATTEMPTS)}"]


def test_without_a_sandbox_the_worker_leaves_unread():
    """Where the locks cannot be had, here because a lock forbids them already, no byte of the file is read."""
    code = (
        "import os, sys\nfrom app.files import sandbox, worker\n"
        "sys.argv = ['worker', 'text']\nworker._load_task(worker.Task.TEXT)\n"
        "sandbox._prctl(38, 1)\nsandbox.restrict_with_seccomp()\nsandbox.set_limits = lambda: None\n"
        "worker.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=b"Kia ora", capture_output=True, check=False)
    assert done.returncode == EXIT_CODES["no-sandbox"]
    assert done.stdout == b""


def test_the_limits_are_set():
    """Memory, CPU, file size, open files and cores are limited, hard, and no core handler may see the process."""
    code = (
        "import ctypes, resource as r\nfrom app.files import sandbox\nsandbox.set_limits()\n"
        "for n in ('AS', 'CPU', 'FSIZE', 'NOFILE', 'CORE'): print(n, *r.getrlimit(getattr(r, 'RLIMIT_' + n)))\n"
        "print(ctypes.CDLL(None).prctl(3))"
    )
    assert run(code) == [
        "AS 1073741824 1073741824", "CPU 20 20", "FSIZE 0 0", "NOFILE 64 64", "CORE 0 0", "0",
    ]  # fmt: skip


def test_the_worker_imports_nothing_of_the_house_but_errors_and_its_own_room():
    """Whatever family it loads, no other room of the house is in its memory."""
    loads = "\n".join(f"worker._load_task(worker.Task({str(task)!r}))" for task in _TASK_FUNCTIONS)
    code = (
        f"import sys\nfrom app.files import worker\n{loads}\nprint(*[m for m in sys.modules if m.startswith('app.')])"
    )
    (modules,) = run(code)
    assert "app.files.av" in modules
    allowed = {"app.core", "app.core.errors", "app.core.unicode"}
    assert {name for name in modules.split() if not name.startswith("app.files")} <= allowed
    assert "app.text.find" not in modules
    assert "app.files.clean" not in modules


# The native and parsing libraries that each task may load; a fault in one library then reaches no other task.
LIBRARIES = {
    Task.IMAGE: {"PIL", "pi_heif", "pikepdf"},
    Task.PDF: {"PIL", "pi_heif", "pikepdf", "pypdfium2"},
    Task.PAGES: {"PIL", "pi_heif", "pikepdf", "pypdfium2"},
    Task.REDACT: {"PIL", "pi_heif", "pikepdf", "pypdfium2"},
    Task.MEDIA: {"av"},
    Task.WAV: {"av"},
    Task.MP3: {"av"},
    Task.DOCUMENT: set(),
    Task.TEXT: set(),
}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("app", include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("task", _TASK_FUNCTIONS)
def test_a_task_reaches_only_its_codecs_errors_and_unicode(graph, task):
    """No import, however indirect, leads a task out of `app.files` but to errors and unicode, or to foreign codecs."""
    module, _ = _TASK_FUNCTIONS[task]
    reached = {module, *graph.find_upstream_modules(module), *graph.find_upstream_modules("app.files.worker")}
    ours = {name for name in reached if name.startswith("app.")}
    assert {name for name in ours if not name.startswith("app.files.")} <= {"app.core.errors", "app.core.unicode"}
    assert ours.isdisjoint({"app.files.clean", "app.files.child_process"})
    assert {name for name in reached - ours if name not in sys.stdlib_module_names} == LIBRARIES[task]


def test_every_module_of_files_that_is_no_parent_s_is_reached_by_a_task(graph):
    """The check above looks at every module of `app.files` but the two that run in the parent alone."""
    roots = {"app.files.worker", *(module for module, _ in _TASK_FUNCTIONS.values())}
    reached = roots.union(*(graph.find_upstream_modules(root) for root in roots))
    others = {name for name in graph.modules if name.startswith("app.files.")} - reached
    assert others == {"app.files.clean", "app.files.child_process"}


def test_an_unknown_family_is_no_work():
    """A command line that names nothing known ends without an answer."""
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-m", "app.files.worker", "everything"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""


def test_a_flood_of_answers_is_cut_off():
    """A child that writes more than is allowed is stopped while it writes."""
    with pytest.raises(FileRefusedError, match="too-large"):
        child_process.run_worker(Task.TEXT, b"Kia ora " * 100_000, seconds=10, most=1000)
