"""The middleware that serves prerendered pages from memory."""

from io import BytesIO

from app.site.web.wsgi import PrerenderedAnswer, PrerenderedPages
from app.web.http import REFUSED
from app.web.middleware import BodyLimiter, BodyRoom

PAGE = PrerenderedAnswer((("Content-Type", "text/html"),), b"plain", b"zipped", b"brotli")


def application(environ, start_response):
    start_response(f"{environ.get(REFUSED, 299)} x", [])
    return [environ["wsgi.input"].read()]


def site(**changes):
    hosts = frozenset({"here"})
    room = BodyRoom(threads=4, memory=1000)
    limiter = BodyLimiter(application, **{"hosts": hosts, "room": room, "max_body": 100, **changes})
    return PrerenderedPages(limiter, pages={"/en/": PAGE}, hosts=hosts)


def ask(app, method="GET", path="/en/", **environ):
    got = []
    base = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "HTTP_HOST": "here",
        "wsgi.input": BytesIO(environ.pop("body", b"")),
    }
    body = app({**base, **environ}, lambda status, headers: got.append((int(status[:3]), dict(headers))))
    return (*got[0], b"".join(body))


def test_a_ready_page_leaves_in_the_best_coding_that_is_asked_for():
    """A page is sent as brotli, gzip or plain, in this order of preference, each with its own length."""
    for accepted, coding, body in (("gzip, br", "br", b"brotli"), ("gzip", "gzip", b"zipped"), ("", None, b"plain")):
        status, headers, got = ask(site(), HTTP_ACCEPT_ENCODING=accepted)
        assert (status, headers.get("Content-Encoding"), got) == (200, coding, body)
        assert headers["Content-Length"] == str(len(body))


def test_head_has_the_headers_and_no_body():
    """HEAD of a prerendered page has its length and no body."""
    status, headers, body = ask(site(), "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "5", b"")


def test_the_exit_cookie_a_query_or_another_host_goes_to_the_app():
    """A request with the exit cookie, a query or another host reaches the application."""
    assert ask(site(), HTTP_COOKIE="x=1")[0] == 299
    assert ask(site(), HTTP_COOKIE="a=b; x=1")[0] == 299
    assert ask(site(), HTTP_COOKIE="a=b")[0] == 200
    assert ask(site(), QUERY_STRING="a=b")[0] == 299
    assert ask(site(), HTTP_HOST="elsewhere")[0] == 400
    assert ask(site(), path="/healthz", HTTP_HOST="elsewhere")[0] == 299
