"""Every answer's headers, by the rules that MDN's HTTP Observatory publishes, and a few that it does not ask for.

https://developer.mozilla.org/en-US/observatory/docs/tests_and_scoring: from 100, a test takes away or adds. The
Observatory itself, run over TLS against the deployment, gave 130 and A+; here its rules are computed on every answer.
"""

import re
from io import BytesIO

import pytest

from app.site import factory
from app.site.config import load_config

EVERYWHERE = [
    "/",
    "/en/",
    "/hi/help",
    "/en/self-check",
    "/en/report",
    "/en/reply",
    "/en/plan/actions?pillar=prevention",
    "/plan.csv",
    "/plan.json",
    "/sheets.zip",
    "/en/sheets/en.pdf",
    "/healthz",
    "/robots.txt",
    "/sitemap.xml",
    "/.well-known/security.txt",
    "/keys.txt",
    "/nowhere",
    "/en/nowhere",
]
TEXTUAL = ("text/", "application/xml")


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """The site as it is over https, in this process."""
    from app.site import demo

    path = demo.prepare_folder(tmp_path_factory.mktemp("headers"))
    settings = load_config(path, {"HAUMARU_SITE_BASE_URL": "https://haumaru.test", "HAUMARU_SITE_DEMO": "true"})
    return factory.build_site(factory.prerender_site(settings))


def ask(gate, path: str, method: str = "GET", **more: str) -> tuple[int, dict[str, str]]:
    """A status and its headers, each once."""
    path, _, query = path.partition("?")
    answered: list = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SCRIPT_NAME": "",
        "SERVER_NAME": "haumaru.test",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "haumaru.test",
        "CONTENT_LENGTH": "0",
        "wsgi.input": BytesIO(),
        "wsgi.url_scheme": "http",
        "wsgi.errors": BytesIO(),
        **more,
    }
    b"".join(gate(environ, lambda status, headers, exc_info=None: answered.extend((status, headers))))  # noqa: ARG005
    names = [name.lower() for name, _ in answered[1]]
    assert len(names) == len(set(names)), f"{path}: a header stands twice: {sorted(names)}"
    return int(answered[0].split()[0]), {name.lower(): value for name, value in answered[1]}


def score(headers: dict[str, str]) -> int:
    """What the Observatory's rules give headers: 100, and up to 30 more to a site without cookies and scripts."""
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    total = 100
    unsafe = any(word in headers["content-security-policy"] for word in ("unsafe", "http:", "https: ", "*"))
    total += 10 if policy["default-src"] == "'none'" and not unsafe else -25
    total += 5 if policy.get("frame-ancestors") == "'none'" else -20
    total += 5 if headers["referrer-policy"] in ("no-referrer", "same-origin", "strict-origin") else -5
    total += 10 if headers["cross-origin-resource-policy"] == "same-origin" else 0
    total -= 0 if headers["x-content-type-options"] == "nosniff" else 5
    age = re.search(r"max-age=(\d+)", headers.get("strict-transport-security", "max-age=0"))
    total -= 0 if age and int(age[1]) >= 15_768_000 else 20
    total -= 50 if headers.get("access-control-allow-origin") else 0
    return total


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_has_the_top_score(gate, path):
    """Pages, data, files, redirects and errors score 130 by the rules of the Observatory."""
    status, headers = ask(gate, path)
    assert status in (200, 303, 404)
    assert score(headers) == 130
    assert "set-cookie" not in headers


def test_the_score_would_fall():
    """The rules can fail: without HSTS or with inline scripts the score is lower."""
    weak = {
        "content-security-policy": "default-src 'unsafe-inline'",
        "referrer-policy": "unsafe-url",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "",
    }
    assert score(weak) < 50


@pytest.mark.parametrize("path", EVERYWHERE)
def test_every_answer_keeps_to_asvs(gate, path):
    """HSTS for two years, `no-store` for pages, a charset for text, no CORS, no server's name."""
    _, headers = ask(gate, path)
    assert headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
    assert headers["server"] == "web"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    kind = headers["content-type"]
    if kind.startswith(TEXTUAL):
        assert "charset=utf-8" in kind.lower(), kind
    if kind.startswith("text/html"):
        assert headers["cache-control"] == "no-store"
    assert not [name for name in headers if name.startswith(("access-control-", "x-powered"))]


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "PUT", "DELETE", "PATCH", "CONNECT", "PROPFIND", "BREW"])
def test_other_methods_are_refused(gate, method):
    """A method that no page needs is answered with 405, and nothing of the request is repeated."""
    status, headers = ask(gate, "/en/report", method, HTTP_X_ECHO="echo me")
    assert status == 405
    assert "echo me" not in str(headers)
