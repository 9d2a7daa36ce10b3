"""Prerendered pages leave from memory; bodies are read whole into memory, or refused unread."""

from io import BytesIO
from threading import Event, Thread

from app.site.web.wsgi import PrerenderedAnswer, PrerenderedPages
from app.web.middleware import REFUSED, BodyLimiter

PAGE = PrerenderedAnswer((("Content-Type", "text/html"),), b"plain", b"zipped", b"brotli")


def inner(environ, start_response):
    start_response(f"{environ.get(REFUSED, 299)} x", [])
    return [environ["wsgi.input"].read()]


def site(**changes):
    hosts = frozenset({"here"})
    limiter = BodyLimiter(inner, **{"hosts": hosts, "bodies": 2, "max_body": 100, **changes})
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
    """Brotli before gzip before plain, each with its own length."""
    for accepted, coding, body in (("gzip, br", "br", b"brotli"), ("gzip", "gzip", b"zipped"), ("", None, b"plain")):
        status, headers, got = ask(site(), HTTP_ACCEPT_ENCODING=accepted)
        assert (status, headers.get("Content-Encoding"), got) == (200, coding, body)
        assert headers["Content-Length"] == str(len(body))


def test_head_has_the_headers_and_no_body():
    """A HEAD of a ready page says how long the page is and sends nothing of it."""
    status, headers, body = ask(site(), "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "5", b"")


def test_the_exit_cookie_a_query_or_another_host_goes_to_the_app():
    """A request with the exit cookie, or not exactly for a ready page, reaches the application."""
    assert ask(site(), HTTP_COOKIE="x=1")[0] == 299
    assert ask(site(), HTTP_COOKIE="a=b; x=1")[0] == 299
    assert ask(site(), HTTP_COOKIE="a=b")[0] == 200
    assert ask(site(), QUERY_STRING="a=b")[0] == 299
    assert ask(site(), HTTP_HOST="elsewhere")[0] == 400
    assert ask(site(), path="/healthz", HTTP_HOST="elsewhere")[0] == 299


def test_a_body_is_handed_on_whole():
    """What the app reads is what was sent, from memory."""
    assert ask(site(), "POST", body=b"x" * 100, CONTENT_LENGTH="100") == (299, {}, b"x" * 100)


def test_what_is_too_long_or_of_no_length_is_not_read():
    """413 by the announced length, 411 without one or with nonsense, and the stream is left alone."""
    for length, status in (("101", 413), (None, 411), ("-1", 411), ("١", 411), ("9" * 30, 413), ("1e3", 411)):
        environ = {} if length is None else {"CONTENT_LENGTH": length}
        assert ask(site(), "POST", body=b"unread", **environ) == (status, {}, b"")


def test_a_body_that_ends_early_or_takes_too_long_is_refused():
    """A sender who hangs up gets 400, one who is too slow 408."""
    assert ask(site(), "POST", body=b"short", CONTENT_LENGTH="50")[0] == 400
    times = iter([0.0, 100.0, 200.0])
    slow = site(clock=lambda: next(times), deadline=60.0)
    assert ask(slow, "POST", body=b"x" * 10, CONTENT_LENGTH="10")[0] == 408


def test_beyond_so_many_bodies_the_next_is_told_to_come_later():
    """While `bodies` senders are read, another gets 503 at once, and a place is free again afterwards."""

    class Slow:
        def __init__(self):
            self.reading, self.go = Event(), Event()

        def read(self, count):
            self.reading.set()
            self.go.wait(30)
            return b"x" * count

    app, slow = site(), [Slow(), Slow()]
    environ = {"CONTENT_LENGTH": "10"}
    threads = [Thread(target=ask, args=(app, "POST"), kwargs={**environ, "wsgi.input": one}) for one in slow]
    for thread, one in zip(threads, slow, strict=True):
        thread.start()
        assert one.reading.wait(30)
    assert ask(app, "POST", body=b"x" * 10, **environ)[0] == 503
    for one in slow:
        one.go.set()
    for thread in threads:
        thread.join()
    assert ask(app, "POST", body=b"x" * 10, **environ)[0] == 299
