"""What a release promises: one version, a reproducible wheel that works alone, fitting licences, its parts listed."""

import json
import subprocess
import sys
import sysconfig
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy import release
from tests.support.site import Visitor, demonstration


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return release.build_twice(tmp_path_factory.mktemp("wheel"))


def test_the_version_is_said_everywhere():
    """The changelog, the compose file and the recipe say the version of pyproject.toml."""
    assert release.places_of_the_version(release.version()) == []
    assert release.places_of_the_version("9.9.9") == ["CHANGELOG.md", "deploy/compose/compose.yaml", "deploy/README.md"]


def test_the_wheel_is_whole_and_the_same_from_two_builds(wheel):
    """Two builds in two places have the same bytes, and hold every page, catalogue and template of the commit."""
    lacking = release.missing_from(wheel)
    # What was added to the work tree since the commit is not in the commit's wheel.
    assert [name for name in lacking if _committed(name)] == []


def _committed(name: str) -> bool:
    source = name.removeprefix("app/") if name.startswith(("app/content/", "app/translations/")) else name
    return not subprocess.run(
        ["git", "cat-file", "-e", f"HEAD:{source}"], cwd=release.ROOT, capture_output=True, check=False
    ).returncode


@pytest.mark.slow
def test_the_wheel_alone_is_a_working_demonstration(wheel, tmp_path):
    """`pip install haumaru-*.whl` and `haumaru demo`, without the repository and without the desk, take a tip."""
    place = tmp_path / "machine"
    subprocess.run([release.BIN / "uv", "venv", "-q", "-p", sys.executable, place], check=True)
    python = place / "bin" / "python"
    subprocess.run([release.BIN / "uv", "pip", "install", "-q", "-p", python, "--no-deps", wheel], check=True)
    (packages,) = place.glob("lib/python3*/site-packages")
    # Its dependencies are those that are installed here; the repository itself is not on its path.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    release.without_desk(packages / "app")
    with demonstration(tmp_path, program=place / "bin" / "haumaru") as site:
        visitor = Visitor(site.base_url)
        assert visitor.get("/hi/help").status == 200
        assert visitor.send({"what": "Sent from the wheel"}).status == 200
        assert site.tip("Sent from the wheel")["answers"]["what"] == "Sent from the wheel"


def test_every_licence_is_in_the_list():
    """Each package of the lock file has a licence that fits, and docs/licences.md lists them as they are."""
    packages = list(release.pinned())
    assert len(packages) > 40
    for name, _ in packages:
        assert release.unfitting(release.licence(name)[0]) == [], name
    assert release.LICENCES.read_text() == release.licence_list()


def test_a_licence_that_does_not_fit_is_told():
    """A licence that is not in the list is a fault; of alternatives one is enough."""
    assert release.unfitting("AGPL-3.0-only") == ["AGPL-3.0-only"]
    assert release.unfitting("GPL-2.0-only AND MIT") == ["GPL-2.0-only"]
    assert release.unfitting("GPL-2.0-only OR MIT") == []


@pytest.mark.slow
def test_what_is_in_a_release_is_listed(tmp_path):
    """The bill of materials is CycloneDX, and names what the lock file pins."""
    target = tmp_path / "parts.cdx.json"
    assert release.bill_of_materials(release.BIN, target) > 40
    text = target.read_text()
    assert '"bomFormat": "CycloneDX"' in text
    for name, version in release.pinned():
        if name not in ("async-timeout", "tzdata", "av", "deprecated", "numpy"):
            assert f"pkg:pypi/{name}@{version}" in text, name


class PublishedFaults(BaseHTTPRequestHandler):
    """Answers as https://api.osv.dev does: one package of each lock file has a fault."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.server.asked += [(one["package"]["name"], one["version"]) for one in asked]
        fault = {"vulns": [{"id": "TEST-1", "modified": "2026-01-01T00:00:00Z"}]}
        self.answer({"results": [fault if one["package"]["name"] == "flask" else {} for one in asked]})

    def do_GET(self):
        affected = {"package": {"ecosystem": "PyPI", "name": "flask"}, "ranges": [], "versions": [version_of("flask")]}
        self.answer({"id": "TEST-1", "modified": "2026-01-01T00:00:00Z", "affected": [affected]})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def version_of(name):
    return next(number for package, number in release.pinned() if package == name)


@pytest.mark.parametrize("lock", release.LOCKS, ids=lambda path: path.name)
def test_a_published_fault_of_a_locked_package_is_found(lock):
    """Every package of both lock files is asked for; the one with a fault is named with its version."""
    with ThreadingHTTPServer(("127.0.0.1", 0), PublishedFaults) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = release.known_faults(lock, f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    assert found == [f"flask {version_of('flask')}: TEST-1"]
    assert sorted(server.asked) == sorted((name, number) for name, number, _ in release.pins(lock))


def test_a_database_of_faults_that_does_not_answer_is_no_clean_answer(monkeypatch):
    """Where nobody can be asked, the answer is not "no fault"."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    assert release.known_faults(release.LOCK, "http://127.0.0.1:9/") is None
