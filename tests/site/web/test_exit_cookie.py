"""The cookie of the way out closes the site for two minutes, and nobody else's cookie closes the site at all."""

import time

import pytest
from itsdangerous import Signer
from werkzeug.test import Client

from app.site.web.exit_cookie import EXIT_SECONDS
from tests.support.visit import open_site

PATHS = ("/", "/en/", "/hi/help", "/en/report", "/en/nowhere", "/plan.csv")


class Clock:
    """A clock that a test sets."""

    now = float(int(time.time()))

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def clock():
    return Clock()


@pytest.fixture(scope="module")
def site(tmp_path_factory, clock):
    return open_site(tmp_path_factory.mktemp("exit"), ("en", "hi"), clock=clock, REPORT_MIN_FILL="0s")


@pytest.fixture
def cookie(site):
    """The cookie that a browser keeps after the way out."""
    set_cookie = site.post("/go", {"leave": "now"}).headers["Set-Cookie"]
    assert "; Max-Age=120; " in set_cookie
    return set_cookie.partition(";")[0]


def statuses(site, cookie):
    """How the site answers each path, and one POST, with a cookie."""
    answers = [site.get(path, Cookie=cookie) for path in PATHS]
    answers.append(site.post("/en/report", {"step": "check", "what": "x"}, Cookie=cookie))
    exit_url = site.prerendered.config.site.exit_url
    return [answer.headers.get("Location") == exit_url for answer in answers]


@pytest.mark.parametrize(
    "forged",
    [
        "x=1",
        "x=yes",
        "x=",
        "x=1999999999",
        "x=1999999999." + "A" * 43,
        "x=" + Signer("another secret", salt="haumaru/exit/1").sign("1999999999").decode(),
        'x="1"; x=2',
    ],
)
def test_a_forged_exit_cookie_locks_nobody_out(site, forged):
    """With a cookie that the site did not sign, every page and the form answer as without a cookie."""
    assert statuses(site, forged) == [False] * 7


def test_the_exit_cookie_is_signed_for_nothing_else(site):
    """A token of a form is no exit cookie, though both are signed with one secret."""
    token = site.get("/en/report").document.one("input", name="csrf_token").attrs["value"]
    assert statuses(site, f"x={token}") == [False] * 7


def test_an_exit_cookie_is_over_after_two_minutes_whatever_the_browser_keeps(site, clock, cookie):
    """For two minutes every GET and POST leads away; a second later, and a year later, the same cookie does nothing."""
    clock.now += EXIT_SECONDS
    assert statuses(site, cookie) == [True] * 7
    for later in (1, 365 * 86_400):
        clock.now += later
        assert statuses(site, cookie) == [False] * 7


def test_a_forged_cookie_before_the_true_one_opens_nothing(site, cookie):
    """A browser that sends somebody's forged cookie and then the true one is led away."""
    for both in (f"x=1; {cookie}", f"{cookie}; x=1", f"a=b; x=; {cookie}"):
        assert statuses(site, both) == [True] * 7


def test_the_addresses_of_machines_stay_open(site, cookie):
    """The health check and the desks' address answer with the cookie too."""
    assert site.get("/healthz", Cookie=cookie).status == 200
    posted = Client(site.app, use_cookies=False).post(
        "/agency/replies", base_url=site.base, data=b"{}", headers={"Cookie": cookie}
    )
    assert posted.status_code == 403


def test_the_way_out_from_another_site_sets_no_cookie(site):
    """A page elsewhere that posts to the way out closes nothing."""
    answer = site.post("/go", {"leave": "now"}, Sec_Fetch_Site="cross-site")
    assert (answer.status, "Set-Cookie" in answer.headers) == (303, False)
