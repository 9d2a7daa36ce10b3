"""The middleware that bounds request bodies: bodies are read whole into memory, or refused unread."""

from io import BytesIO
from threading import Event, Thread

from app.web.middleware import REFUSED, BodyLimiter


def application(environ, start_response):
    start_response(f"{environ.get(REFUSED, 299)} x", [])
    return [environ["wsgi.input"].read()]


def limiter(**changes):
    return BodyLimiter(application, **{"hosts": frozenset({"here"}), "bodies": 2, "max_body": 100, **changes})


def ask(app, method="GET", path="/en/report", **environ):
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


def test_a_body_is_handed_on_whole():
    """The application reads the whole body from memory."""
    assert ask(limiter(), "POST", body=b"x" * 100, CONTENT_LENGTH="100") == (299, {}, b"x" * 100)


def test_what_is_too_long_or_of_no_length_is_not_read():
    """A body is refused unread with 413 for its announced length, and with 411 without a valid length."""
    for length, status in (("101", 413), (None, 411), ("-1", 411), ("١", 411), ("9" * 30, 413), ("1e3", 411)):
        environ = {} if length is None else {"CONTENT_LENGTH": length}
        assert ask(limiter(), "POST", body=b"unread", **environ) == (status, {}, b"")


def test_a_body_that_ends_early_or_takes_too_long_is_refused():
    """A body that breaks off is answered with 400, one that is too slow with 408."""
    assert ask(limiter(), "POST", body=b"short", CONTENT_LENGTH="50")[0] == 400
    times = iter([0.0, 100.0, 200.0])
    slow = limiter(clock=lambda: next(times), deadline=60.0)
    assert ask(slow, "POST", body=b"x" * 10, CONTENT_LENGTH="10")[0] == 408


def test_beyond_so_many_bodies_the_next_is_told_to_come_later():
    """While `bodies` bodies are read, one more is answered with 503, and a place is free again afterwards."""

    class Slow:
        def __init__(self):
            self.reading, self.go = Event(), Event()

        def read(self, count):
            self.reading.set()
            self.go.wait(30)
            return b"x" * count

    app, slow = limiter(), [Slow(), Slow()]
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
