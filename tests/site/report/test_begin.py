"""From the signs into the form: what a reader ticked on `/signs` is shown in the form first, and goes nowhere else."""

from unittest.mock import patch

import pytest
from werkzeug.test import Client

from app.core.unicode import clean_text
from app.delivery.outbox import Outbox
from app.site.guide.signs import read_signs
from app.site.web.rate_limits import RateLimits
from app.vault.tip import SCHEMA
from tests.support.visit import open_site, site_root


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site in this process; begin takes nothing from the limits, so all tests share it."""
    return open_site(tmp_path_factory.mktemp("site"), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1000/hour")


def begin(site, *ids, lang="en", headers=None, **fields):
    """The page after these signs were ticked and the button was pressed."""
    return site.post(f"/{lang}/report", {"sign": list(ids), "step": "begin", **fields}, **(headers or {}))


def signs(site, lang="en"):
    """The signs of the page in a language."""
    editions = site.prerendered.library.editions
    return read_signs(editions[lang].pages["signs"], editions["en"].pages["signs"])


def kinds(answer):
    """The kinds that are ticked in the form."""
    return [e.attrs["value"] for e in answer.document.all("input", name="kinds") if "checked" in e.attrs]


def what(answer):
    """What the first field of the form holds, as a browser reads a text area."""
    area = answer.document.one("textarea", name="what")
    return "".join(area.pieces).removeprefix("\n")


def is_empty(answer):
    texts = ["".join(area.pieces).strip() for area in answer.document.all("textarea")]
    ticked = [e for e in answer.document.all("input") if "checked" in e.attrs]
    return not any(texts) and not ticked


def test_every_sign_of_the_page_can_be_ticked_in_every_language(site):
    """The form of `/signs` has one box for each sign, goes to the report by POST, and needs no script and no token."""
    for lang in site.languages:
        document = site.get(f"/{lang}/signs").document
        boxes = document.all("input", name="sign")
        assert [box.attrs["value"] for box in boxes] == [sign.id for sign in signs(site, lang)]
        form = boxes[0].within("form")
        assert (form.attrs["method"], form.attrs["action"]) == ("post", f"/{lang}/report")
        assert form.attrs["autocomplete"] == "off"
        assert {box.attrs["type"] for box in boxes} == {"checkbox"}
        assert document.one("button", name="step").attrs["value"] == "begin"
        assert not document.all("input", name="csrf_token")
        for box, sign in zip(boxes, signs(site, lang), strict=True):
            assert box.within("label").text.replace(" ", "") == sign.text.replace(": ", "").replace(" ", "") or (
                box.within("label").text == sign.text
            )
    assert len(signs(site)) >= 20


def test_what_was_ticked_is_shown_in_the_form_before_anything_is_sent(site):
    """In every language `what` holds the words of the ticked signs, their kinds are ticked, and a sentence says so."""
    for lang in site.languages:
        one, other = signs(site, lang)[2], signs(site, lang)[-1]
        answer = begin(site, one.id, other.id, lang=lang)
        assert answer.status == 200
        assert [f"- {sign.text}" for sign in (one, other)] == what(answer).splitlines()[1:]
        assert set(kinds(answer)) == {*one.kinds, *other.kinds}
        assert {"documents", "money"} <= set(kinds(answer))
        assert answer.document.one("div", class_="note").text
    assert "I ticked these signs:" in what(begin(site, "signs-1"))


def test_the_filled_in_form_can_be_looked_at_and_sent(site):
    """From the ticks to the look before sending: the form that begin shows is a form like any other."""
    answer = begin(site, "signs-3", "trades-1")
    token = answer.document.one("input", name="csrf_token").attrs["value"]
    form = {"csrf_token": token, "what": what(answer), "kinds": kinds(answer)}
    assert site.post("/en/report", {**form, "step": "check"}).status == 200
    assert site.post("/en/report", {**form, "step": "send"}).status == 200


def test_all_signs_together_are_a_report_of_allowed_length(site):
    """In every language the words of all signs fit the field, with room to write more than as much again."""
    for lang in site.languages:
        answer = begin(site, *(sign.id for sign in signs(site, lang)), lang=lang)
        text = what(answer)
        assert len(text.splitlines()) == len(signs(site, lang)) + 1
        assert 2 * len(clean_text(text)) < SCHEMA.field("what").max_length


def test_without_a_tick_the_form_is_empty(site):
    """The button without a tick leads to the empty form, which does not say that something was ticked."""
    answer = begin(site)
    assert (answer.status, is_empty(answer)) == (200, True)
    assert "This form holds what you ticked" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "garbage"},
    ],
    ids=str,
)
def test_another_site_cannot_fill_in_the_form(site, headers):
    """A request that another site's page sent is refused, and the form that comes back is empty."""
    answer = begin(site, "signs-1", headers=headers, what="words of another site", kinds="work", danger="yes")
    assert (answer.status, is_empty(answer)) == (403, True)
    assert "words of another site" not in answer.text


def test_without_fetch_metadata_the_origin_decides(site):
    """A browser that sends no Sec-Fetch-Site is judged by its Origin; without either nothing is filled in."""
    client = Client(site.app, use_cookies=False)
    statuses = {}
    for origin in (site.base, "https://other.example", "null", None):
        headers = {"Origin": origin} if origin else {}
        data = {"sign": "signs-1", "step": "begin"}
        answer = client.post("/en/report", base_url=site.base, headers=headers, data=data)
        statuses[origin] = (answer.status_code, signs(site)[0].text.split(".")[0] in answer.get_data(as_text=True))
    assert statuses[site.base] == (200, True)
    assert set(statuses.values()) - {statuses[site.base]} == {(403, False)}


def test_a_request_puts_no_words_of_its_own_into_the_form(site):
    """Ids that the page does not have, markup and other fields are ignored: only the page's own words come through."""
    garbage = ("signs-99", "signs-0", "looks", "<b>x</b>", "signs-1\0", "../signs-1", "٣", "signs-1" * 1000, "")
    answer = begin(site, *garbage, what="put there", where="put there", kinds="organs", danger="yes", reply="yes")
    assert (answer.status, is_empty(answer)) == (200, True)
    answer = begin(site, "signs-1", *garbage, what="put there", people="put there", kinds="organs", reply="yes")
    assert "put there" not in answer.response.get_data(as_text=True)
    assert what(answer).splitlines()[1:] == [f"- {signs(site)[0].text}"]
    assert kinds(answer) == ["movement"]
    assert "checked" not in answer.document.one("input", name="reply").attrs


def test_very_many_ticks_are_refused_or_counted_once(site):
    """The same tick 190 times is one line; more fields than a form has are refused without a word of theirs."""
    assert len(what(begin(site, *["signs-1"] * 190)).splitlines()) == 2
    many = begin(site, *["signs-1"] * 5_000)
    assert many.status in (400, 413)
    assert is_empty(many)


def test_a_body_that_is_too_long_fills_in_nothing(site):
    """Two million bytes of ticks: refused by length, and the form is empty."""
    answer = begin(site, "x" * 2_000_000)
    assert answer.status in (400, 413)
    assert is_empty(answer)


def test_begin_stores_counts_and_logs_nothing(tmp_path, capfd):
    """No place of a limit is taken, the outbox and its folder stay as they were, and nothing is written to a log."""
    site = open_site(tmp_path, ("en",), LIMITS_PER_ADDRESS="1/hour", SERVER_WORKERS="1", REPORT_MIN_FILL="0s")

    def kept():
        return {path: path.stat().st_size for path in (tmp_path / "demo").rglob("*") if path.is_file()}

    before = kept()
    capfd.readouterr()
    with (
        patch.object(RateLimits, "reserved", side_effect=AssertionError("counted")),
        patch.object(Outbox, "put", side_effect=AssertionError("stored")),
    ):
        answers = [begin(site, "signs-1", "looks-1-1") for _ in range(30)]
    assert {answer.status for answer in answers} == {200}
    assert kept() == before
    assert capfd.readouterr() == ("", "")
    token = answers[0].document.one("input", name="csrf_token").attrs["value"]
    sent = site.post("/en/report", {"csrf_token": token, "what": what(answers[0]), "step": "send"})
    assert sent.status == 200


def test_the_ticks_are_in_no_address_cookie_or_cache(site):
    """The answer is not stored, sets no cookie, and neither it nor the page of signs puts a tick into an address."""
    answer = begin(site, "signs-3")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert "Location" not in answer.headers
    addresses = [
        value for e in answer.document.elements for name, value in e.attrs.items() if name in ("href", "action")
    ]
    assert not [address for address in addresses if "signs-3" in address]
    assert site.get("/en/report?sign=signs-3&step=begin").document.one("textarea", name="what").text == ""
    assert len(answer.response.get_data()) % (64 * 1024) == len(site.post("/en/report", {}).response.get_data()) % (
        64 * 1024
    )


def test_ticks_make_the_answer_no_longer(site):
    """One tick or all of them: the answer has the same length on the line."""
    lengths = {len(begin(site, *ids).response.get_data()) for ids in ((), ("signs-1",), [s.id for s in signs(site)])}
    assert len(lengths) == 1


def test_after_the_way_out_begin_leads_away(site):
    """For two minutes after "Leave this site now" a press of the button shows nothing but the exit."""
    cookie = site.post("/go", {"leave": "now"}).headers["Set-Cookie"].partition(";")[0]
    answer = begin(site, "signs-3", headers={"Cookie": cookie})
    assert (answer.status, answer.headers["Location"]) == (303, site.prerendered.config.site.exit_url)


def test_where_the_form_is_closed_begin_says_so(tmp_path):
    """Past the agency's day the form says that it is closed, with the numbers, and still shows what was ticked."""
    site = open_site(tmp_path, ("en",), AGENCY_EXAMPLE_EXPIRES="2020-01-01")
    answer = begin(site, "signs-3")
    assert (answer.status, "This form is closed" in answer.text) == (503, True)
    assert "tel:111" in {a.attrs["href"] for a in answer.document.all("a")}


def test_kinds_that_the_page_or_the_report_does_not_have_stop_the_start(tmp_path):
    """An operator's own page of signs is checked at start: a kind or a sign that does not exist is a fault."""
    root = site_root(tmp_path, ("en",))
    own = tmp_path / "own" / "en"
    own.mkdir(parents=True)
    english = (root / "content/en/signs.md").read_text()
    wrong = english.replace("signs-1: [movement]", "signs-8: [fishing]")
    (own / "signs.md").write_text(wrong)
    with pytest.raises(Exception, match="no sign of this page") as raised:
        open_site(tmp_path, root=root, CONTENT_FOLDER=str(own.parent))
    assert "kinds has fishing" in str(raised.value)
    (own / "signs.md").write_text(english.replace("signs-1: [movement]", "signs-1: movement"))
    with pytest.raises(Exception, match="kinds does not give"):
        open_site(tmp_path, root=root, CONTENT_FOLDER=str(own.parent))
