"""A double click: the same form sent several times at once, over real connections, has one effect outside the desk."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from app.desk.config import ListenAddress
from app.desk.thread import MessageKind
from app.desk.web.factory import create_app, listen, serving
from tests.support.desk import receive, reply_to, tip

PRESSES = 8


class _Pressed:
    """A signed-in browser that sends one form several times at once."""

    def __init__(self, link):
        self.open = build_opener(HTTPCookieProcessor()).open
        self.base, self.origin = link.partition("/enter/")[0], "/".join(link.split("/")[:3])
        self.token = re.search(r'name="token" value="([^"]+)"', self.open(link).read().decode())[1]
        self.post("/who", who="Ana")

    def page(self, path):
        return self.open(self.base + path).read().decode()

    def post(self, path, **fields):
        data = urlencode({"token": self.token, **fields}, doseq=True).encode()
        try:
            return self.open(Request(self.base + path, data, {"Origin": self.origin})).status
        except HTTPError as error:
            return error.code

    def press(self, path, **fields):
        with ThreadPoolExecutor(PRESSES) as pool:
            return list(pool.map(lambda _: self.post(path, **fields), range(PRESSES)))

    def hidden(self, path, form):
        """The hidden fields of the form on a page that leads to an address."""
        body = re.search(rf'<form[^>]*action="[^"]*{form}".*?</form>', self.page(path), re.DOTALL)[0]
        return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', body))


@pytest.fixture
def pressed(desk):
    links = []
    server = listen(ListenAddress("127.0.0.1", 0), links.append, lambda made: create_app(desk, made, demo=False))
    with serving(server):
        yield _Pressed(links[0])


@pytest.fixture
def claimed(office, desk, pressed):
    """A tip whose draft is finished, and in the hand of the handler."""
    one = office.drop(tip(reply=reply_to()))
    receive(desk)
    pressed.post(f"/tips/{one}/claim")
    pressed.post(f"/tips/{one}/redact", keep=["what"], summary="A packhouse.", authority=["police"])
    return one


def test_a_referral_is_sent_once(desk, pressed, claimed):
    """The button that sends a referral, pressed eight times at once, puts one referral into the outbox."""
    hidden = pressed.hidden(f"/tips/{claimed}/refer", "/refer")
    codes = pressed.press(f"/tips/{claimed}/refer", **hidden, confirmed="police", tell="yes")
    assert desk.waiting_deliveries() == {"police": (1, "")}
    assert len(desk.cases.get(claimed).referrals) == 1
    assert codes.count(200) == 1
    assert [entry.did for entry in desk.journal.entries].count("referred") == 1
    assert [message.value for message in desk.cases.get(claimed).thread] == ["opened", "referred"]


def test_a_hand_over_to_a_translator_is_sent_once(desk, pressed, claimed):
    """The button that seals the text to a translator, pressed eight times at once, makes one hand-over."""
    hidden = pressed.hidden(f"/tips/{claimed}", "/translator")
    pressed.press(f"/tips/{claimed}/translator", **hidden, translator="translator", confirmed="translator")
    pressed.post(f"/tips/{claimed}/translator", **hidden, translator="translator")
    assert desk.waiting_deliveries() == {"translator": (1, "")}


def test_a_reply_is_written_once(desk, pressed, claimed):
    """The button that sends a reply, pressed eight times at once, writes one reply."""
    hidden = pressed.hidden(f"/tips/{claimed}/reply", "/reply")
    codes = pressed.press(f"/tips/{claimed}/reply", **hidden, text="Thank you. We have read it.")
    assert set(codes) == {200}
    kinds = [message.kind for message in desk.cases.get(claimed).thread]
    assert (kinds.count(MessageKind.MESSAGE), kinds.count(MessageKind.STATUS)) == (1, 1), "opened, and the reply"
