"""What every test may use, and the rule that nothing is skipped silently.

A test marked `needs("postgres")` fails where there is none; only `SKIP=postgres` leaves it out, and then the
run's last lines say how many were left out and why.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.corpus import make
from tests.corpus.marks import Specimen
from tests.support import databases, network
from tests.support.databases import Postgres
from tests.support.paths import ROOT
from tests.support.servers import Certificates
from tests.support.site import Running, Visitor, demonstration

pytest_plugins = ["tests.support.groups", "tests.support.slow"]
SKIPPED = frozenset(filter(None, os.environ.get("SKIP", "").split(",")))
COMMANDS = {
    "node": ("node",),
    "browser": ("chromium",),
    "firefox": ("firefox-esr",),
    "postgres": ("pg_ctl",),
    "redis": ("redis-server",),
    "exiftool": ("exiftool",),
    "java": ("java",),
    "nginx": ("nginx",),
    "haproxy": ("haproxy",),
    "tor": ("tor",),
    "systemd": ("systemd-analyze",),
    "compose": ("docker-compose",),
    "dovecot": ("dovecot",),
    "poppler": ("pdftotext", "pdftoppm"),
    "gettext": ("msgfmt",),
    "espeak": ("espeak-ng",),
    "unzip": ("unzip",),
    "openssl": ("openssl",),
    "hadolint": ("hadolint",),
    "typst": (),
}


def search_path() -> str:
    """Where the tests' own tools and the system's servers lie."""
    postgres = [str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")]
    return os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ.get("PATH", ""), "/usr/sbin", "/sbin", *postgres])


def pytest_configure(config):
    # A slow machine is no failure: no test measures time, and neither do property tests.
    settings.register_profile("no-deadline", deadline=None)
    settings.load_profile("no-deadline")
    os.environ["PATH"] = search_path()
    network.use_own_network()


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("needs"):
            assert set(mark.args) <= COMMANDS.keys(), f"{item.nodeid} needs something unknown: {mark.args}"
            for name in SKIPPED.intersection(mark.args):
                item.add_marker(pytest.mark.skip(reason=f"SKIP={name}"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that runs until the end; each test asks it for a database."""
    with databases.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Certificates:
    """An authority of our own with certificates for loopback, in files."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def specimens() -> dict[str, Specimen]:
    """Every specimen of the corpus of files with traces in them, by name."""
    return {specimen.name: specimen for specimen in make.corpus()}


@pytest.fixture(scope="session")
def running(tmp_path_factory) -> Iterator[Running]:
    """The demonstration: site and forwarder as processes, shared by all tests that only send tips and read them."""
    limits = {"HAUMARU_LIMITS_PER_ADDRESS": "100000/hour", "HAUMARU_REPORT_MAX_UPLOAD": "25MB"}
    with demonstration(tmp_path_factory.mktemp("demonstration"), measured=True, **limits) as site:
        yield site


@pytest.fixture(autouse=True)
def _what_came_before_is_read(request):
    """Read the inbox before each test that uses the shared demonstration, so that the test waits for its own tip."""
    if "running" in request.fixturenames:
        request.getfixturevalue("running").delivered()


@pytest.fixture
def visitor(running) -> Visitor:
    """Somebody who reads the demonstration's pages without a browser."""
    return Visitor(running.base_url)


@pytest.fixture(scope="session", autouse=True)
def _memory() -> Iterator[None]:
    """Every demonstration of the tests has its memory store in a folder of a tmpfs that goes with the run."""
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm", prefix="haumaru-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture(autouse=True)
def _what_it_needs(request):
    for mark in request.node.iter_markers("needs"):
        for name in mark.args:
            for command in COMMANDS[name]:
                if not shutil.which(command, path=search_path()):
                    pytest.fail(f"{name}: {command} is not on this machine; run deploy/needs.sh, or SKIP={name}")


def pytest_terminal_summary(terminalreporter):
    reasons = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    for name in sorted(SKIPPED):
        count = sum(f"SKIP={name}'" in reason for reason in reasons)
        if count:
            terminalreporter.write_line(f"left out on purpose (SKIP={name}): {count} tests")
