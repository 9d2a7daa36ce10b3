"""The worker: it refuses to run without the sandbox, and imports only its codecs, errors and unicode."""

import subprocess
import sys

import grimp
import pytest

from app.files.protocol import EXIT_CODES, Task
from app.files.worker import _TASK_FUNCTIONS
from tests.support.paths import ROOT


def test_without_a_sandbox_the_worker_leaves_unread():
    """Without the sandbox, here because an earlier lock forbids another, no byte of the file is read."""
    code = (
        "import os, sys\nfrom app.files import sandbox, worker\n"
        "sys.argv = ['worker', 'text']\nworker._load_task(worker.Task.TEXT)\n"
        "sandbox._prctl(38, 1)\nsandbox.restrict_with_seccomp()\nsandbox.set_limits = lambda _: None\n"
        "worker.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, input=b"Kia ora", capture_output=True, check=False)
    assert done.returncode == EXIT_CODES["no-sandbox"]
    assert done.stdout == b""


def test_a_running_worker_has_no_other_module_of_ours():
    """Whatever task it loads, no module of another package is in its memory but errors and unicode."""
    loads = "\n".join(f"worker._load_task(worker.Task({str(task)!r}))" for task in _TASK_FUNCTIONS)
    code = (
        f"import sys\nfrom app.files import worker\n{loads}\nprint(*[m for m in sys.modules if m.startswith('app.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = done.stdout
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
    Task.COVER: {"PIL", "pi_heif", "pikepdf", "pypdfium2"},
    Task.BLUR: {"PIL", "pi_heif", "pikepdf", "pypdfium2", "cv2", "numpy"},
    Task.MEDIA: {"av", "PIL"},
    Task.ENCODE: {"av", "PIL"},
    Task.VOICE: {"av", "PIL"},
    Task.WAV: set(),
    Task.MP3: set(),
    Task.DOCUMENT: set(),
    Task.UNPACK: set(),
    Task.TEXT: {"chardet"},
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


def test_every_module_of_files_but_the_parent_s_is_checked(graph):
    """The check above looks at every module of `app.files` but the four that run in the parent alone."""
    roots = {"app.files.worker", *(module for module, _ in _TASK_FUNCTIONS.values())}
    reached = roots.union(*(graph.find_upstream_modules(root) for root in roots))
    others = {name for name in graph.modules if name.startswith("app.files.")} - reached
    assert others == {"app.files.clean", "app.files.child_process", "app.files.turns", "app.files.uploads"}


def test_an_unknown_task_is_refused():
    """A command line that names no known task ends without a result."""
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-m", "app.files.worker", "everything"], capture_output=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
