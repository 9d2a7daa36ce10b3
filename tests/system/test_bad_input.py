"""What a hostile, broken or unlucky browser sends: a clear page with the right status, and a server that lives."""

import http.client
import socket
import threading
from contextlib import suppress
from urllib.parse import quote, urlsplit

import pytest

from tests.support.site import Visitor, without

EVIL = "https://evil.example"


@pytest.fixture(autouse=True)
def _lives(running):
    yield
    assert running.process.poll() is None
    assert Visitor(running.base_url).send({"what": "still here"}).status == 200


def fields_of(visitor, answers):
    form = visitor.get("/en/report").form("/report")
    return [*without(form.fields, answers), *answers.items()]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Origin": EVIL},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_from_elsewhere_sends_nothing_and_comes_again(running, headers):
    """Without a word of the browser's that the page was ours, the form comes again with its text: 403."""
    visitor = Visitor(running.base_url)
    fields = fields_of(visitor, {"what": "typed with care"})
    visitor.headers = headers
    for step in ("check", "send"):
        answer = visitor.post("/en/report", [*fields, ("step", step)])
        assert answer.status == 403
        assert dict(answer.form("/report").fields)["what"] == "typed with care"


def test_an_origin_of_ours_is_enough_where_the_browser_says_no_more(running):
    """An old browser that sends Origin but no Sec-Fetch-Site can send a report."""
    visitor = Visitor(running.base_url, Origin=running.base_url)
    visitor.headers.pop("Sec-Fetch-Site")
    assert visitor.send({"what": "from an old browser"}).status == 200


@pytest.mark.parametrize("token", ["", "x", "0" * 32 + "-1-1.x", "\N{SNOWMAN}", "a" * 100_000])
def test_a_wrong_token_keeps_the_text_and_sends_nothing(visitor, token):
    """A token that is not ours gets the form again, with its text: 400."""
    answer = visitor.post("/en/report", {"what": "kept", "csrf_token": token, "step": "send"})
    assert answer.status == 400
    assert answer.document.one("title").text.startswith("Not sent")
    assert dict(answer.form("/report").fields)["what"] == "kept"


def test_a_filled_honeypot_keeps_the_text_and_sends_nothing(visitor):
    """The hidden box is for robots; a person whose browser filled it loses nothing."""
    answer = visitor.post(
        "/en/report", [*fields_of(visitor, {"what": "kept", "website": "http://spam"}), ("step", "send")]
    )
    assert answer.status == 400
    fields = dict(answer.form("/report").fields)
    assert (fields["what"], fields["website"]) == ("kept", "")


def test_an_unknown_step_keeps_the_text_and_sends_nothing(visitor):
    """A step that is not one of ours gets the form again: 400."""
    for step in ("", "explode", "send\r\nX: y"):
        answer = visitor.post("/en/report", [*fields_of(visitor, {"what": "kept"}), ("step", step)])
        assert (answer.status, dict(answer.form("/report").fields)["what"]) == (400, "kept")


def test_every_field_over_its_length_is_named_and_kept(visitor):
    """Each field that is too long has its error, linked from the summary, and keeps every character: 422."""
    short = dict.fromkeys(("where", "when", "people", "victims", "how-known"), "y" * 1001)
    answers = {"what": "x" * 10_001, **short}
    answer = visitor.post("/en/report", [*fields_of(visitor, answers), ("step", "check")])
    assert answer.status == 422
    links = [a.attrs["href"] for a in answer.document.all("a") if a.attrs["href"].startswith("#") and "long" in a.text]
    assert links == [f"#{name}" for name in answers] or set(links) == {f"#{name}" for name in answers}
    fields = dict(answer.form("/report").fields)
    assert {name: fields[name] for name in answers} == answers


def test_an_empty_report_is_asked_for_words(visitor):
    """Without a word on what is happening there is an error beside the field and in the summary."""
    answer = visitor.post("/en/report", [*fields_of(visitor, {}), ("step", "check")])
    assert answer.status == 422
    assert answer.document.one("textarea", id="what").attrs["aria-invalid"] == "true"


def test_choices_that_are_not_on_the_form_are_refused(visitor):
    """A value that no box has is an error of its question, not a part of a tip."""
    answers = {"what": "x", "danger": "<script>", "kinds": "nonsense"}
    answer = visitor.post("/en/report", [*fields_of(visitor, answers), ("step", "send")])
    assert answer.status == 422
    assert "<script>" not in answer.text


def test_html_in_every_field_is_shown_as_text(running, visitor):
    """Nothing typed is ever HTML, on any page, and it arrives as it was typed."""
    bomb = "<script>alert(1)</script><b onclick=x>&amp;\"'{{7*7}}%(x)s"
    checked = visitor.check({"what": bomb, "where": bomb, "people": bomb})
    assert "<script>" not in checked.text
    visitor.post("/en/report", [*checked.form("/report").fields, ("step", "send")])
    assert running.tip(bomb)["answers"]["where"] == bomb


def test_nul_and_lone_surrogates_do_no_harm(running, visitor):
    """Bytes that are no text vanish, or stay as the browser wrote them; the rest of the report arrives."""
    token = dict(visitor.get("/en/report").form("/report").fields)["csrf_token"]
    body = f"csrf_token={quote(token)}&step=send&what=nul%00sur%ED%A0%80end%FF%FE".encode()
    answer = visitor.post_raw("/en/report", body, "application/x-www-form-urlencoded")
    assert answer.status == 200
    assert running.tip("nulsur%ED%A0%80end%FF%FE")


def test_ten_thousand_fields_are_refused(visitor):
    """A form of 10,000 fields is answered with a page: 4xx."""
    plain = visitor.post("/en/report", [(f"f{n}", "x") for n in range(10_000)])
    assert 400 <= plain.status < 500
    parts = visitor.post_files("/en/report", [(f"f{n}", "x") for n in range(10_000)], [])
    assert parts.status == 413


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"--x\r\nContent-Disposition: form-data; name=", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data; boundary=x"),
        (b"garbage", "multipart/form-data"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"x", "text/plain"),
    ],
)
def test_a_broken_body_gets_a_page(visitor, body, kind):
    """What is no form is answered with a page: 4xx."""
    answer = visitor.post_raw("/en/report", body, kind)
    assert 400 <= answer.status < 500
    assert answer.document


@pytest.mark.slow
def test_a_body_that_is_too_long_is_refused_though_it_never_comes(running):
    """30 MB of text alone are refused by their announced length, 413, once they have been waited for in vain."""
    connection = http.client.HTTPConnection(urlsplit(running.base_url).netloc, timeout=120)
    connection.putrequest("POST", "/en/report")
    connection.putheader("Content-Length", "30000000")
    connection.endheaders()
    answer = connection.getresponse()
    page = answer.read().decode()
    assert answer.status == 413
    assert answer.getheader("Content-Security-Policy")
    assert "<h1>" in page
    connection.close()


def test_a_body_without_a_length_is_not_read(running):
    """A chunked body, whose length nobody knows, is refused: 411."""
    connection = http.client.HTTPConnection(urlsplit(running.base_url).netloc, timeout=30)
    connection.request(
        "POST", "/en/report", body=iter([b"step=send"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    assert connection.getresponse().status == 411
    connection.close()


def test_a_hostile_host_is_refused(running):
    """Only the site's own names are answered to; another gets a page without its name: 400."""
    for host in ("evil.example", "127.0.0.1:1", "127.0.0.1:8000@evil.example", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        connection = http.client.HTTPConnection(urlsplit(running.base_url).netloc, timeout=30)
        connection.putrequest("GET", "/en/", skip_host=True)
        connection.putheader("Host", host.encode())
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 400, host
        assert b"evil" not in body
        connection.close()


def test_an_error_is_told_in_the_language_of_the_address_or_the_browser(visitor):
    """A 404 below a language is in that language; anywhere else, in the one that the browser asks for."""
    below = visitor.get("/mi/nothing", **{"Accept-Language": "en"})
    beside = visitor.get("/nothing", **{"Accept-Language": "sm-WS,en;q=0.5"})
    assert (below.status, beside.status) == (404, 404)
    assert below.document.one("html").attrs["lang"] == "mi"
    assert beside.document.one("html").attrs["lang"] == "sm"
    refused = visitor.post("/sm/report", {"step": "explode"})
    assert (refused.status, refused.document.one("html").attrs["lang"]) == (400, "sm")


def test_methods_that_are_not_offered_are_refused(visitor):
    """A POST to a page, or a GET of the way out: 405, with what is allowed."""
    answer = visitor.post("/en/help", {"x": "y"})
    assert (answer.status, "GET" in answer.headers["allow"]) == (405, True)
    assert visitor.get("/go").status == 405


def test_slow_bodies_stop_neither_readers_nor_one_another(running):
    """A thousand senders who dribble leave pages served; beyond `bodies` they are told to come later."""
    address = urlsplit(running.base_url)
    slow = []
    for _ in range(1_000):
        one = socket.create_connection((address.hostname, address.port), timeout=30)
        one.sendall(
            b"POST /en/report HTTP/1.1\r\nHost: " + address.netloc.encode() + b"\r\nContent-Length: 900\r\n\r\nwhat="
        )
        slow.append(one)
    try:
        pages = [Visitor(running.base_url).get("/en/help").status for _ in range(50)]
        assert pages == [200] * 50
        busy = Visitor(running.base_url).post("/en/report", {"what": "x"})
        assert busy.status == 503
    finally:
        for one in slow:
            one.close()


def _answer_to(data: bytes, connection: socket.socket) -> bytes:
    """Send bytes and return all that comes back before the server closes the connection."""
    answer = b""
    with suppress(ConnectionError):  # closed before everything was sent
        connection.sendall(data)
        while came := connection.recv(4096):
            answer += came
    return answer


def test_two_hundred_threads_of_garbage_are_refused(running, visitor):
    """Bytes that are no HTTP get 400 or a closed connection, never a page, and readers are served meanwhile."""
    first_lines = []

    def shout(number: int) -> None:
        data = bytes((number * 7 + i) % 256 for i in range(2_000)) + b"\r\n\r\n"
        with socket.create_connection(("127.0.0.1", urlsplit(running.base_url).port), timeout=30) as one:
            first_lines.append(_answer_to(data, one).partition(b"\r\n")[0])

    threads = [threading.Thread(target=shout, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    statuses = [visitor.get("/en/help").status for _ in range(5)]
    for thread in threads:
        thread.join()
    assert statuses == [200] * 5
    assert len(first_lines) == 200
    assert set(first_lines) <= {b"", b"HTTP/1.1 400 Bad Request"}
