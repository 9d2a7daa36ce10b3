"""The middleware that bounds request bodies: bodies are read whole into memory, or refused unread."""

from io import BytesIO
from threading import Event, Thread
from time import monotonic, sleep

from app.web.body_reader import BodyPace
from app.web.http import REFUSED, fields_at_head
from app.web.middleware import BodyLimiter, BodyRoom
from app.web.network_shares import NetworkShares

FILES = "multipart/form-data; boundary=b"


def application(environ, start_response):
    start_response(f"{environ.get(REFUSED, 299)} x", [])
    return [environ["wsgi.input"].read()]


def limiter(**changes):
    room = BodyRoom(threads=4, memory=10**6)
    return BodyLimiter(application, **{"hosts": frozenset({"here"}), "room": room, "max_body": 100, **changes})


class Stuck:
    """A sender who sends a beginning and then nothing, until the connection ends."""

    def __init__(self, beginning):
        self.data, self.reading, self.go = beginning, Event(), Event()

    def read(self, count):
        data, self.data = self.data[:count], self.data[count:]
        if data:
            return data
        self.reading.set()
        self.go.wait(30)
        data, self.data = self.data[:count], self.data[count:]
        return data


def wait_until(condition):
    until = monotonic() + 30
    while not condition():
        assert monotonic() < until
        sleep(0.01)


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


def test_what_is_far_too_long_or_of_no_length_is_not_read():
    """A body is refused unread with 413 for a length beyond all sense, and with 411 without a valid length."""
    for length, status in ((None, 411), ("-1", 411), ("١", 411), ("9" * 30, 413), ("1e3", 411)):
        environ = {} if length is None else {"CONTENT_LENGTH": length}
        assert ask(limiter(), "POST", body=b"unread", **environ) == (status, {}, b"")


def test_a_body_that_ends_early_or_takes_too_long_is_refused():
    """A body that breaks off is answered with 400, one that is too slow with 408; the beginning is kept."""
    assert ask(limiter(), "POST", body=b"short", CONTENT_LENGTH="50")[0] == 400
    times = iter([0.0, *[100.0] * 9])
    stuck = Stuck(b"what=words")

    def clock() -> float:
        stuck.reading.wait(30)  # until the beginning has been read
        return next(times)

    answer = ask(limiter(clock=clock), "POST", **{"wsgi.input": stuck}, CONTENT_LENGTH="90")
    stuck.go.set()
    assert answer == (408, {}, b"what=words")


def test_a_pace_is_an_average_after_the_first_seconds_and_an_end_that_follows_the_length():
    """32 kB a second on average after 5 seconds; in all 60 seconds and one more for each 256 kB."""
    pace = BodyPace()
    assert not pace.keeps(200_000, 10**8, 11.3)
    assert pace.keeps(200_000, 10**8, 11.2)
    assert pace.keeps(99_000_000, 10**8, 450.0)
    assert not pace.keeps(99_000_000, 10**8, 451.0)


def test_words_may_come_more_slowly_than_files():
    """The first 200 kB may wait 20 seconds, then come at 500 bytes a second on average, and end after 60 seconds."""
    pace = BodyPace()
    assert pace.keeps(0, 1_000, 20.0)
    assert not pace.keeps(0, 1_000, 20.1)
    assert pace.keeps(15_000, 90_000, 50.0)
    assert not pace.keeps(14_999, 90_000, 50.0)
    assert not pace.keeps(199_999, 200_000, 60.8)


def test_a_piece_is_never_much_of_what_has_come():
    """A server that gives complete pieces alone is asked for little at first, and later for an eighth of what has come.

    So a body of 40 kB a second keeps the pace of 32 kB a second, though nobody sees a piece before its end.
    """
    sizes = []

    class Source(BytesIO):
        def read(self, size=-1):
            sizes.append(size)
            return super().read(size)

    ask(limiter(max_body=10**7), "POST", **{"wsgi.input": Source(bytes(2 * 10**6))}, CONTENT_LENGTH=str(2 * 10**6))
    at, pace = 0, BodyPace()
    for size in sizes:
        assert size <= max(4096, at / 8)
        assert pace.keeps(at, 2 * 10**6, (at + size) / 40_000)  # just before the piece is complete
        at += size
    assert at == 2 * 10**6
    assert max(sizes) > 200_000
    assert len(sizes) < 60


def test_bodies_that_come_one_after_another_share_threads(monkeypatch):
    """Fifty bodies start few threads, where each started one; bodies that go silent have a thread each."""
    started, start = [], Thread.start
    monkeypatch.setattr(Thread, "start", lambda thread: started.append(thread) or start(thread))
    app = limiter(pace=BodyPace(words_grace=0.01, words_rate=10**6))
    for number in range(50):
        assert ask(app, "POST", body=b"body %d" % number, CONTENT_LENGTH="6")[2] == (b"body %d" % number)[:6]
    assert len(started) <= 10
    silent = [Stuck(b"")]
    assert ask(app, "POST", CONTENT_LENGTH="6", **{"wsgi.input": silent[0]})[0] == 408
    assert ask(app, "POST", body=b"follow", CONTENT_LENGTH="6")[2] == b"follow"
    silent[0].go.set()


def test_of_a_refused_body_the_beginning_is_kept_and_all_is_read():
    """Of a body that is too long 200 kB are kept; the rest is read, and thrown away as it comes."""
    source = BytesIO(b"x" * 900_000)
    status, _, kept = ask(
        limiter(max_body=300_000), "POST", **{"wsgi.input": source}, CONTENT_LENGTH="900000", CONTENT_TYPE=FILES
    )
    assert (status, len(kept), source.tell()) == (413, 200_000, 900_000)


def test_text_alone_is_never_as_long_as_files():
    """A body that is no form with files is refused beyond 500 kB, and the first 200 kB are kept."""
    app = limiter(max_body=10**8)
    for kind, status in (("application/x-www-form-urlencoded", 413), (FILES, 299)):
        got = ask(app, "POST", body=b"a" * 500_001, CONTENT_LENGTH="500001", CONTENT_TYPE=kind)
        assert (got[0], len(got[2])) == (status, 200_000 if status == 413 else 500_001)


def test_beyond_its_memory_a_body_is_thrown_away_and_its_beginning_kept():
    """The peak of a body is held until its answer is made; one that does not fit is 503 with its first 200 kB."""
    inside = []

    def nested(environ, start_response):
        inside.append(environ.get(REFUSED, 299))
        if len(inside) == 1:
            assert room.memory.used == 900_000
            ask(app, "POST", body=b"y" * 300_000, CONTENT_LENGTH="300000", CONTENT_TYPE=FILES)
        return application(environ, start_response)

    room = BodyRoom(threads=64, memory=1_600_000)
    app = BodyLimiter(nested, hosts=None, room=room, max_body=10**6, peak=lambda length: 3 * length)
    ask(app, "POST", body=b"x" * 300_000, CONTENT_LENGTH="300000", CONTENT_TYPE=FILES)
    assert inside == [299, 503]
    assert room.memory.used == 0


def test_a_large_body_leaves_memory_for_small_ones():
    """Amounts above an eighth of all memory leave a quarter free, which a photograph still fits into."""
    memory = BodyRoom(threads=64, memory=400).memory
    assert memory.take(("one",), 200)
    assert not memory.take(("two",), 150)
    assert [memory.take((name,), 50) for name in "abcde"] == [True] * 4 + [False]


def test_a_large_amount_is_not_passed_by_later_small_ones():
    """Who lacks nothing but room is next in line; who is over a share of their own holds up nobody."""
    places, got = NetworkShares(10, share=0.5), []
    assert places.take(("greedy",), 5)
    assert places.take(("other",), 3)

    def wait(name, amount):
        assert places.wait_for((name,), amount, seconds=30)
        got.append(name)

    threads = [Thread(target=wait, args=one) for one in (("greedy", 1), ("large", 4), ("small", 1))]
    for number, thread in enumerate(threads, 1):
        thread.start()
        wait_until(lambda number=number: len(places._line) == number)
    assert got == []
    places.give_back(("other",), 3)
    wait_until(lambda: len(got) == 2)
    assert sorted(got) == ["large", "small"]
    assert places.used == 10
    places.give_back(("greedy",), 5)
    for thread in threads:
        thread.join()
    assert got[-1] == "greedy"
    assert not places.wait_for(("late",), 11, seconds=30)
    assert not places.wait_for(("late",), 10, seconds=0.01)
    assert places._line == []


def test_an_upload_waits_in_line_for_memory():
    """A third upload, for which there is no memory yet, is read once there is; before, it was refused at once."""
    room, go = BodyRoom(threads=64, memory=1_600_000), Event()

    def slow(environ, start_response):
        go.wait(30)
        return application(environ, start_response)

    app = BodyLimiter(slow, hosts=None, room=room, max_body=10**6, patience=30)
    statuses = []

    def send():
        body = {"body": b"x" * 600_000, "CONTENT_LENGTH": "600000", "CONTENT_TYPE": FILES}
        statuses.append(ask(app, "POST", **body)[0])

    threads = [Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(room.memory._line) == 1)
    assert room.memory.used == 1_200_000
    go.set()
    for thread in threads:
        thread.join()
    assert (statuses, room.memory.used, room.waiters.used) == ([299] * 3, 0, 0)


def test_only_some_threads_wait_for_memory():
    """An eighth of the threads wait, a quarter of those for one network; others are told at once to come later."""
    room = BodyRoom(threads=64, memory=1_000_000)
    app = BodyLimiter(application, hosts=None, room=room, max_body=10**6, patience=60)
    assert room.memory.take((), 700_000)
    while room.waiters.take(()):
        pass
    assert room.waiters.used == 8
    body = {"body": b"x" * 600_000, "CONTENT_LENGTH": "600000", "CONTENT_TYPE": FILES}
    assert ask(app, "POST", **body)[0] == 503


def test_a_body_that_goes_silent_is_answered_and_keeps_its_place_until_it_ends():
    """The request of a silent body is answered with 408; its place is free only once its connection has ended."""
    room = BodyRoom(threads=4, memory=10**6)
    app = BodyLimiter(application, hosts=None, room=room, max_body=100, pace=BodyPace(words_grace=0.1))
    stuck = Stuck(b"")
    assert ask(app, "POST", **{"wsgi.input": stuck}, CONTENT_LENGTH="90")[0] == 408
    assert room.readers.used == 1
    stuck.go.set()
    wait_until(lambda: room.readers.used == 0)


def test_beyond_its_places_the_next_body_is_told_to_come_later():
    """Half of the threads read bodies, a quarter of those for one network; a place is free again afterwards."""
    room = BodyRoom(threads=64, memory=10**6)
    app = BodyLimiter(application, hosts=None, room=room, max_body=100, networks=lambda env: (env["REMOTE_ADDR"],))
    stuck = [Stuck(b"") for _ in range(32)]
    threads = [
        Thread(
            target=ask,
            args=(app, "POST"),
            kwargs={"wsgi.input": one, "CONTENT_LENGTH": "10", "REMOTE_ADDR": f"192.0.2.{number // 8}"},
        )
        for number, one in enumerate(stuck)
    ]

    def statuses(*ends):
        body = {"body": b"x" * 10, "CONTENT_LENGTH": "10"}
        return [ask(app, "POST", **body, REMOTE_ADDR=f"192.0.2.{end}")[0] for end in ends]

    for thread, one in zip(threads[:8], stuck[:8], strict=True):
        thread.start()
        assert one.reading.wait(30)
    assert statuses(0, 1) == [503, 299]
    for thread, one in zip(threads[8:], stuck[8:], strict=True):
        thread.start()
        assert one.reading.wait(30)
    wait_until(lambda: room.readers.used == 32)
    assert statuses(9) == [503]
    for one in stuck:
        one.data = b"x" * 10
        one.go.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: room.readers.used == 0)
    assert statuses(0, 9) == [299, 299]


def test_uploads_leave_places_for_words():
    """Where every place for long bodies is taken, one more is 503 with its words, and words alone are taken."""
    room = BodyRoom(threads=16, memory=10**9)
    app = BodyLimiter(application, hosts=None, room=room, max_body=10**6)
    while room.long_readers.take(()):
        room.readers.take(())
    assert room.long_readers.used == 6
    got = ask(app, "POST", body=b"x" * 300_000, CONTENT_LENGTH="300000", CONTENT_TYPE=FILES)
    assert (got[0], len(got[2])) == (503, 200_000)
    assert ask(app, "POST", body=b"x" * 10, CONTENT_LENGTH="10")[0] == 299


def test_a_wider_network_has_twice_the_share_of_the_ones_inside():
    """Two networks inside a wider one take what it has; a third gets nothing, and a stranger does."""
    places = NetworkShares(32)
    taken = [places.take((name, "wide")) for name in ["a"] * 9 + ["b"] * 9]
    assert taken == [True] * 8 + [False] + [True] * 8 + [False]
    assert places.used == 16
    assert places.take(("c", "wide")) is False
    assert places.take(("d", "elsewhere")) is True


def test_the_words_at_the_beginning_of_a_cut_form_are_read():
    """Fields before the files come back from a body that was cut, the last as far as it goes, in both encodings."""
    options = {"boundary": "b"}
    head = (
        b'--b\r\nContent-Disposition: form-data; name="what"\r\n\r\nT\xc4\x81ne\r\n'
        b'--b\r\nContent-Disposition: form-data; name="where"\r\n\r\nhere\r\n'
        b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    )
    both = [("what", "Tāne"), ("where", "here")]
    for end in (b"", b"\xff\xd8" * 1000, b"x\r\n--b--\r\n"):
        assert fields_at_head(head + end, "multipart/form-data", options) == both
    assert [name for name, _ in fields_at_head(head[:-70], "multipart/form-data", options)] == ["what", "where"]
    assert fields_at_head(head, "multipart/form-data", {}) == []
    assert fields_at_head(b"what=T%C4%81ne&where=he%2", "application/x-www-form-urlencoded", {}) == [
        ("what", "Tāne"),
        ("where", "he"),
    ]
    assert fields_at_head(b"&".join([b"a=b"] * 300), "application/x-www-form-urlencoded", {}) == []
    assert fields_at_head(b"{}", "application/json", {}) == []
