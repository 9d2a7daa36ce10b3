"""Tips with a number, an address or a firm in common: shown on each, filtered, never for what is locked or no tip's."""

import threading
from dataclasses import replace

import pytest

from app.desk.case import Case
from app.desk.common_details import MAX_COUNTED, MAX_LISTED, CommonDetails
from app.desk.queue import QueueFilter
from app.vault.tip import TipId
from tests.support.desk import DAY, Browser, receive, reply_to, tip
from tests.support.paths import ROOT
from tests.support.phrases import phrases


def made(number: int, text: str) -> Case:
    """A case with a text."""
    return Case(TipId(f"{number:026}"), DAY, {"what": text})


def shared(desk, case_id: str) -> dict[str, set[str]]:
    """By the words in a case, the ids of the other tips that have them too."""
    return {one.shown: {other.id for other in one.cases} for one in desk.common.of(desk.cases.get(case_id))}


def test_tips_in_any_language_are_joined_by_what_they_have_in_common(office):
    """A plate, a number and an address are found in Tongan, Chinese and Hindi letters; what differs is not joined."""
    texts = {
        "en": "A white van, KTR482, at 12 Kowhai Road. They say 021 264 8897.",
        "to": "‘Oku nau nofo ‘i he 12 kōwhai rd, ko e veeni KTR 482",
        "zh": "车牌ＫＴＲ４８２，电话 +64 21 264 8897",
        "hi": "फ़ोन ०२१ २६४ ८८९७",
        "other": "Another van, KTR483, at 14 Kowhai Road, 021 264 8898, and call 111 or 04 555 0100.",
        "last": "Call 111 or 04 555 0100, which is the desk, or +64 9 927 3971, the help line.",
    }
    with office.desk() as desk:
        ids = {}
        for code, text in texts.items():
            ids[office.drop(tip({"what": text}))] = code
        receive(desk)
        found = {
            ids[case_id]: {words: {ids[other] for other in others} for words, others in shared(desk, case_id).items()}
            for case_id in ids
        }
        assert found["en"] == {
            "KTR482": {"to", "zh"},
            "12 Kowhai Road": {"to"},
            "021 264 8897": {"zh", "hi"},
        }
        assert found["hi"] == {"०२१ २६४ ८८९७": {"en", "zh"}}
        assert found["other"] == found["last"] == {}
        page = desk.queue.page(QueueFilter(common=True), "Ana")
        assert {ids[case.id] for case in page.rows} == {"en", "to", "zh", "hi"}
        assert {ids[case_id]: count for case_id, count in page.common.items()} == {"en": 3, "to": 2, "zh": 3, "hi": 2}


def test_an_answer_in_a_thread_joins_its_tip(office):
    """What the sender adds later counts for the tip itself, and never joins the tip with itself."""
    first = tip({"what": "They live behind the shop"}, reply=reply_to())
    answer = tip({"what": "The van is KTR482"}, reply=reply_to(), answers_to=reply_to().locator)
    other = tip({"what": "I saw KTR482"})
    with office.desk() as desk:
        for one in (first, answer):
            office.drop(one)
            receive(desk)
        assert shared(desk, first.id) == {}
        office.drop(other)
        receive(desk)
        assert shared(desk, first.id) == {"KTR482": {other.id}}
        assert shared(desk, other.id) == {"KTR482": {first.id}}


def test_a_locked_or_destroyed_tip_joins_nothing(office):
    """What is locked away or destroyed is in no list from that moment on, and its details are in memory no longer."""
    ids = [office.drop(tip({"what": "The van KTR482"})) for _ in range(3)]
    with office.desk() as desk:
        receive(desk)
        assert shared(desk, ids[0]) == {"KTR482": set(ids[1:])}
        desk.cases.lock_away(ids[1], "Ana")
        assert shared(desk, ids[0]) == {"KTR482": {ids[2]}}
        desk.cases.destroy([desk.cases.get(ids[2])])
        assert shared(desk, ids[0]) == {}
        assert desk.common._details.keys() == {ids[0]}
        assert list(desk.common._cases.values()) == [{ids[0]: None}]


def test_the_page_names_what_is_the_same_and_escapes_it(office, desk):
    """The page says which detail other tips have, with a link to each; words of a sender are text and no markup."""
    one, other = (office.drop(tip({"what": f"<b>van</b> KTR482 number {place}"})) for place in "ab")
    receive(desk)
    browser = Browser(desk)
    page = browser.get(f"/tips/{one}").text
    assert "Same number plate <bdi>KTR482</bdi> in 1 other tip" in page
    assert f'/tips/{other}"' in page
    assert "<b>van" not in page
    assert "Never tell one sender what another wrote" in page
    assert "same number, address or firm as 1 other tip" in browser.get("/").text
    assert "There are no tips" not in browser.get("/?common=1").text
    assert "still comparing" not in page


def test_a_flood_of_one_number_keeps_lists_short_and_pages_quick(office):
    """Of 300 tips with one plate a page lists 20 and counts 99, the queue 20; a page meanwhile waits for one tip."""
    with office.desk() as desk:
        for number in range(300):
            desk.cases.records.publish(made(number, f"The van KTR482, seen {number} times"))
        assert not desk.common.complete
        first = desk.cases.get(f"{0:026}")
        assert desk.common.of(first) == []
        assert len(desk.common._details) == 1
        assert "still comparing" in Browser(desk).get(f"/tips/{first.id}").text
        desk.common.renew(threading.Event())
        assert desk.common.complete
        (found,) = desk.common.of(first)
        assert (len(found.cases), found.count, desk.common.count(first)) == (MAX_LISTED, 99, MAX_COUNTED)


@pytest.mark.parametrize("answers", [{"what": "No number here"}, {}])
def test_a_changed_text_is_compared_anew(office, answers):
    """A case whose words change is found by its present words alone."""
    with office.desk() as desk:
        for number in range(2):
            desk.cases.records.publish(made(number, "The van KTR482"))
        assert len(desk.common.of(desk.cases.get(f"{0:026}"))) == 1
        desk.cases.records.publish(replace(made(1, ""), answers=answers))
        assert desk.common.of(desk.cases.get(f"{0:026}")) == []


def test_a_help_line_joins_nothing_however_it_is_written(office):
    """The numbers that the site shows, and the desk's own contact, are no tip's: in any form they join nothing."""
    contacts = (ROOT / "content" / "contacts.toml").read_text(encoding="utf-8")
    with office.desk() as desk:
        common = CommonDetails(desk.cases.records, phrases(), never=[contacts, "Example desk, 04 555 0100"])
        for number, text in enumerate(
            ("I called +64 9 927 3971, 04 555 0100", "(09) 927-3971 is busy, +64 4 555 0100 too")
        ):
            desk.cases.records.publish(made(number, text))
        assert common.of(desk.cases.get(f"{0:026}")) == []
        assert len(desk.common.of(desk.cases.get(f"{0:026}"))) == 1
