"""A pytest plugin: which tests run in one process where several processes of pytest-xdist share the run.

The plugin schedules the tests itself, because with pytest 9.2 the option `--dist loadgroup` of pytest-xdist 3.8 loses
the groups without a word: the option writes them to an attribute that pytest has renamed.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

SYSTEM_CLEANING = ("bad_input", "holds_nodes", "journey_deployment", "journey_files", "leaks")
CLEANING = ("tests/unit/files/", *(f"tests/system/test_{name}.py" for name in SYSTEM_CLEANING))


def group(nodeid: str) -> str:
    """Return the group of a test: its file, whose tests share what the file starts, or `cleaning` for tests that clean
    files, since a machine cleans for two senders at a time and some tests take both places.
    """
    return "cleaning" if nodeid.startswith(CLEANING) else nodeid.partition("::")[0]


class GroupScheduling(LoadScopeScheduling):
    """Gives whole groups to processes, in the order of collection: the long tests in browsers come first."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Schedule by groups, however the run was started."""
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)
