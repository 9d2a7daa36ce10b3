"""Uploads that the site refuses, through HAProxy with the time limits and the buffering that are shipped."""

import subprocess
import time
from urllib.parse import urlsplit

import pytest

from tests.support import site as visits
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.site import Visitor, demonstration

SHIPPED = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")


@pytest.mark.needs("haproxy")
@pytest.mark.slow
def test_behind_the_shipped_proxy_the_words_come_back(tmp_path, monkeypatch):
    """Files for which there is no memory, and files that are too long: 503 and 413, and the page has the words."""
    # The pages name the site's own address, and this visitor reads them under the proxy's.
    monkeypatch.setattr(visits, "check", lambda *_, **__: None)
    rules = SHIPPED.partition("defaults every\n")[2].partition("defaults visitors")[0]
    limits = {
        "HAUMARU_REPORT_MAX_UPLOAD": "2MB",
        "HAUMARU_SERVER_BODY_MEMORY": "1MB",
        "HAUMARU_SERVER_PROXIES": "1",
    }
    with demonstration(tmp_path, **limits) as running:
        host, port = urlsplit(running.base_url).netloc, free_port()
        (tmp_path / "haproxy.cfg").write_text(
            f"defaults every\n{rules}\nfrontend visitors from every\n    bind 127.0.0.1:{port}\n"
            "    http-request set-header X-Forwarded-For %[src]\n    default_backend site\n"
            f"backend site from every\n    server site {host}\n"
        )
        with subprocess.Popen(["haproxy", "-f", tmp_path / "haproxy.cfg"]) as proxy:
            try:
                proxied = Visitor(f"http://127.0.0.1:{port}", Host=host)
                checked = Visitor(running.base_url).check({"what": "kept words"})
                fields = [*checked.form("/report").fields, ("step", "send")]
                statuses = []
                for size in (1_500_000, 30_000_000):
                    page = _patiently(proxied, fields, size)
                    statuses.append(page.status)
                    assert dict(page.form("/report").fields)["what"] == "kept words"
                assert statuses == [503, 413]
            finally:
                proxy.terminate()


def _patiently(visitor, fields, size):
    """The answer to an upload, once the proxy listens."""
    until = time.monotonic() + 30
    while True:
        try:
            return visitor.post_files("/en/report", fields, [("a.mp4", bytes(size))])
        except OSError as error:
            if "refused" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.1)
