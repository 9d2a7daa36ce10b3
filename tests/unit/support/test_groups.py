"""Which tests run in one process where several share the run."""

import re
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.support.groups import group
from tests.support.paths import ROOT
from tests.support.site import unmeasured

FILES = ("tests/unit/support/test_paths.py", "tests/unit/core/test_log.py", "tests/unit/core/test_process.py")


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--dist", "loadgroup"]], ids=["by default", "by group"])
def test_the_tests_of_a_file_run_in_one_process(options):
    """Two processes share three files, and each file is one process's, so what a file starts is started once."""
    env = {name: value for name, value in unmeasured().items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", *options, "-v", "-p", "no:cacheprovider", *FILES],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    processes = defaultdict(set)
    for process, file in re.findall(r"^\[(gw\d)\].*PASSED (.*?)::", done.stdout, re.MULTILINE):
        processes[file].add(process)
    assert {file: len(names) for file, names in processes.items()} == dict.fromkeys(FILES, 1)
    assert len(set.union(*processes.values())) == 2


def test_what_cleans_files_runs_in_one_process():
    """All tests that clean files are of one group, since some of them take all places for cleaning."""
    cleaning = {group("tests/unit/files/test_worker.py::test_a"), group("tests/system/test_leaks.py::test_b")}
    assert cleaning == {"cleaning"}
    assert group("tests/docs/test_house.py::test_c") == "tests/docs/test_house.py"
