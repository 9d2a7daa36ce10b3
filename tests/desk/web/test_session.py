"""Sessions of the desk: a link that works once, a strict cookie, and an end for all at once."""

import threading
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import HTTPCookieProcessor, build_opener

from app.desk.config import ListenAddress
from app.desk.web.factory import create_app, listen, serving
from app.desk.web.session import Sessions
from tests.support.desk import ORIGIN, Browser, wait_for


def test_the_link_works_once(browser):
    """The printed link starts one session; used again, or made up, it starts none."""
    assert browser.enter(browser.links[0]).status_code == 403
    assert browser.enter(browser.path("/enter/guess")).status_code == 403
    other = browser.app.test_client()
    assert other.get(browser.path("/"), base_url=ORIGIN).status_code == 403


def test_the_cookie_is_strict(desk):
    """HttpOnly, SameSite=Strict, without a lifetime, under a name of this port's own."""
    links = []
    sessions = Sessions(ORIGIN, show_link=links.append)
    fresh = Browser(desk, who="")
    fresh.sessions.new_link()
    header = fresh.enter(fresh.links[-1]).headers["Set-Cookie"]
    assert header.startswith("desk-8701=")
    assert "HttpOnly" in header
    assert "SameSite=Strict" in header
    assert "Max-Age" not in header
    assert f"Path={fresh.sessions.path};" in header
    assert sessions.cookie_name == "desk-8701"


def test_locking_ends_every_session(browser, desk):
    """After Lock no cookie opens anything, and the terminal has a new link."""
    assert "Locked" in browser.post("/lock").text
    assert browser.get("/").status_code == 403
    assert len(browser.links) == 2
    assert browser.enter(browser.links[-1]).status_code == 303


def test_a_session_that_nobody_uses_is_locked(browser, desk, one):
    """After 15 minutes one session ends and the terminal shows a link; polling is no use, a page and "Stay" are."""
    browser.get(f"/tips/{one}")
    session, links = _session(browser), len(browser.links)
    for act in (lambda: browser.get("/help"), lambda: browser.post("/stay")):
        _let_pass(browser, 870)
        assert act().status_code < 400
        assert browser.sessions.seconds_left(session) == 900
    for _ in range(9):
        _let_pass(browser, 100)
        answers = [
            browser.get("/arrivals?seen=0"),
            browser.get("/progress/intake"),
            browser.get("/", Desk_Background="yes"),
        ]
    assert {answer.status_code for answer in answers} == {403}
    assert "nobody used it for 15 minutes" in answers[0].text
    assert "Seven men" not in answers[0].text
    assert browser.sessions.locked(_cookie(browser)) is session
    assert len(browser.links) == links + 1
    browser.enter(browser.links[-1])
    assert browser.post("/who", who="Ana").location.endswith("/progress/intake"), "a job page is not lost"
    assert browser.post("/who", who="Ana").location.endswith(browser.path("/")), "once"


def test_only_the_session_that_nobody_uses_ends(browser, desk):
    """Given two browsers, the one that is used stays while the other is locked, and a stranger keeps neither alive."""
    other = browser.app.test_client()
    browser.sessions.new_link()
    other.get(browser.links[-1].removeprefix(ORIGIN), base_url=ORIGIN)
    _let_pass(browser, 600)
    assert other.get(browser.path("/who"), base_url=ORIGIN).status_code == 200
    assert browser.post("/stay", origin="http://127.0.0.1:9").status_code == 403
    assert browser.get("/help", Sec_Fetch_Site="cross-site").status_code == 403
    _let_pass(browser, 300)
    assert other.get(browser.path("/who"), base_url=ORIGIN).status_code == 200
    assert browser.get("/help").status_code == 403


def test_the_terminal_shows_a_link_although_the_browser_is_gone(desk):
    """Given a session whose browser was closed, the link comes after 15 minutes, without any request."""
    links, made = [], []

    def build(sessions):
        made.append(sessions)
        return create_app(desk, sessions, demo=False)

    server = listen(ListenAddress("127.0.0.1", 0), links.append, build)
    with serving(server):
        build_opener(HTTPCookieProcessor(CookieJar())).open(links[0])
        assert len(links) == 1
        for session in made[0]._sessions.values():
            session.used -= 900
        wait_for(lambda: len(links) == 2)


def test_a_handler_never_gets_another_handlers_page(browser, desk, one):
    """After a lock the page on which Ana worked is not shown to Ben when Ben signs in first."""
    browser.get(f"/tips/{one}")
    browser.sessions.end(_session(browser))
    browser.enter(browser.links[-1])
    assert browser.post("/who", who="Ben").location.endswith(browser.path("/"))


def _cookie(browser):
    return browser.client.get_cookie(browser.sessions.cookie_name, domain="127.0.0.1", path=browser.sessions.path).value


def _session(browser):
    return browser.sessions.get(_cookie(browser))


def _let_pass(browser, seconds):
    """Let the clock go on: each session was used that much earlier."""
    for session in browser.sessions._sessions.values():
        session.used -= seconds


def test_every_path_without_the_secret_is_an_empty_404(browser, one):
    """A program that reaches the port and does not know the secret path finds no page, no cookie and no name."""
    for path in (
        "/",
        "/who",
        f"/tips/{one}",
        "/enter/guess",
        f"/{'x' * 43}/",
        browser.sessions.path[:-1],
        "/favicon.ico",
    ):
        for method in ("GET", "POST"):
            answer = browser.client.open(path, method=method, base_url=ORIGIN)
            assert (answer.status_code, answer.data) == (404, b""), path
            assert "Set-Cookie" not in answer.headers
    other = Sessions(ORIGIN, show_link=lambda _: None)
    assert other.path != browser.sessions.path
    assert len(other.path) == 44


class _Listener(BaseHTTPRequestHandler):
    """A program at another port of this machine that writes down what a browser sends to it."""

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_another_listener_on_this_machine_gets_no_cookie_and_no_path(desk):
    """A browser that is signed in at the desk and opens a page at another port sends neither cookie nor secret."""
    links = []
    server = listen(ListenAddress("127.0.0.1", 0), links.append, lambda made: create_app(desk, made, demo=False))
    jar = CookieJar()
    browser = build_opener(HTTPCookieProcessor(jar))
    with serving(server), HTTPServer(("127.0.0.1", 0), _Listener) as listener:
        listener.seen = []
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        assert browser.open(links[0]).status == 200
        assert len(list(jar)) == 1
        for path in ("/", "/enter/", "/tips/x"):
            assert browser.open(f"http://127.0.0.1:{listener.server_port}{path}").status == 200
        listener.shutdown()
    secret = links[0].split("/")[3]
    assert len(listener.seen) == 3
    assert not [seen for seen in listener.seen if "Cookie" in seen[1] or secret in str(seen)]
