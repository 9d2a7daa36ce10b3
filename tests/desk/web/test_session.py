"""Sessions of the desk: a link that works once, a strict cookie, and an end for all at once."""

from app.desk.web.session import Sessions
from tests.support.desk import ORIGIN, Browser


def test_the_link_works_once(browser):
    """The printed link starts one session; used again, or made up, it starts none."""
    assert browser.enter(browser.links[0]).status_code == 403
    assert browser.enter(f"{ORIGIN}/enter/guess").status_code == 403
    other = browser.app.test_client()
    assert other.get("/", base_url=ORIGIN).status_code == 403


def test_the_cookie_is_strict(desk):
    """HttpOnly, SameSite=Strict, without a lifetime, under a name of this port's own."""
    links = []
    sessions = Sessions(ORIGIN, show_link=links.append)
    client = Browser(desk, who="").app.test_client()
    assert client.get("/", base_url=ORIGIN).status_code == 403
    fresh = Browser(desk, who="")
    fresh.sessions.new_link()
    header = fresh.enter(fresh.links[-1]).headers["Set-Cookie"]
    assert header.startswith("desk-8701=")
    assert "HttpOnly" in header
    assert "SameSite=Strict" in header
    assert "Max-Age" not in header
    assert sessions.cookie_name == "desk-8701"


def test_locking_ends_every_session(browser, desk):
    """After Lock no cookie opens anything, and the terminal has a new link."""
    assert "Locked" in browser.post("/lock").text
    assert browser.get("/").status_code == 403
    assert len(browser.links) == 2
    assert browser.enter(browser.links[-1]).status_code == 303
