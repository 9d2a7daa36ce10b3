"""Two people must agree: what one supervisor tries alone on the pages of a desk with seats, and how a team goes on."""

import re
from dataclasses import replace

import pytest

from app.desk.authority_questions import question_state
from app.desk.case_fields import QuestionState
from app.desk.seat import Role
from tests.support.desk import Office, receive, tip
from tests.support.questions import ask, referred
from tests.support.seats import ORIGIN, SeatedDesk

NOT_TWO = "do not count as two people"
NEW_SEAT = "Your seat does not count as one of two people yet"


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path, release=2)


@pytest.fixture
def seated(office):
    with office.desk() as desk:
        yield SeatedDesk(desk)


@pytest.fixture
def kaia(seated):
    """The supervisor from the desk's own machine: the rogue, where a test has one."""
    return seated.person("Kaia")


@pytest.fixture
def ready(office, seated, kaia):
    """A tip that Kaia has redacted, and could prepare."""
    desk, made = seated.desk, office.drop(tip())
    receive(desk)
    desk.cases.claim(made, "Kaia")
    draft = replace(desk.cases.get(made).draft, looked=True, summary="Some men work.", authorities=("police",))
    desk.cases.redact(made, "Kaia", draft)
    return made


def press(seated, browser, made, page="refer", **more):
    version = seated.desk.cases.get(made).version
    return browser.post(f"/tips/{made}/{page}", **{"version": version, "confirmed": "police"} | more)


def recover(kaia, browser, name):
    """Kaia takes a seat over, and uses its new link in a browser."""
    seat = kaia.office.desk.seats.named(name)
    page = kaia.post(f"/seats/{seat.id}", version=seat.version, do="recover", sure="yes").text
    browser.enrol(re.search(rf'value="{ORIGIN}/enrol/([\w-]+)"', page)[1], name)
    return browser


def confirm(browser, seat, **more):
    return browser.post(f"/seats/{seat.id}/confirm", version=seat.version, **{"spoken": "yes"} | more)


def test_a_supervisor_and_a_new_seat_of_the_same_supervisor_are_not_two(seated, kaia, ready):
    """Whether the new seat releases or prepares, nothing leaves, and the refusal says what to do."""
    puppet = seated.person("Puppet", Role.SUPERVISOR, kaia.seat)
    assert press(seated, kaia, ready).status_code == 303
    refused = press(seated, puppet, ready)
    assert refused.status_code == 409
    assert NEW_SEAT in refused.text
    puppet.post(f"/tips/{ready}/refer/back")
    assert NEW_SEAT in press(seated, puppet, ready).text
    assert seated.desk.cases.get(ready).referrals == ()


def test_two_new_seats_of_one_supervisor_are_not_two(seated, kaia, ready):
    """Two seats that one supervisor made do not count, however they confirm each other."""
    first = seated.person("First", Role.SUPERVISOR, kaia.seat)
    second = seated.person("Second", Role.HANDLER, first.seat)
    assert confirm(first, second.seat).status_code == 409
    assert confirm(kaia, second.seat).status_code == 303
    assert press(seated, kaia, ready).status_code == 303
    for one in (first, second):
        assert NEW_SEAT in press(seated, one, ready).text
    assert seated.desk.cases.get(ready).referrals == ()


def test_a_seat_that_was_taken_over_releases_nothing(seated, kaia, ready):
    """The rogue recovers an honest handler's seat: it neither releases nor stands as the one who prepared."""
    ana = seated.person("Ana", Role.HANDLER)
    press(seated, kaia, ready)
    taken = recover(kaia, seated.browser(), "Ana")
    assert NEW_SEAT in press(seated, taken, ready).text
    assert ana.get("/").status_code == 303
    kaia.post(f"/tips/{ready}/refer/back")
    seated.desk.cases.release(ready, "Kaia")
    seated.desk.cases.claim(ready, "Ana")
    seated.desk.cases.change(ready, "Ana", "prepared", lambda now: now.prepared("Ana"))
    assert NOT_TWO in press(seated, kaia, ready).text
    assert seated.desk.cases.get(ready).referrals == ()


def test_a_name_of_the_file_without_a_seat_is_nobody_who_prepared(seated, kaia, ready):
    """What a name of desk.toml prepared on loopback is released by no seat: the desk cannot tell who that was."""
    press(seated, kaia, ready)
    seated.desk.cases.change(ready, "Ben", "prepared", lambda now: replace(now, draft=replace(now.draft, by="Ben")))
    assert NOT_TWO in press(seated, kaia, ready).text


def test_no_text_goes_to_a_translator_by_one_person_with_two_seats(seated, kaia, ready):
    """The hand-over to a translator elsewhere is refused in the same way, for the one who prepares too."""
    puppet = seated.person("Puppet", Role.HANDLER, kaia.seat)
    fields = {"translator": "translator", "confirmed": "translator"}
    assert press(seated, kaia, ready, "translator", **fields).status_code == 303
    assert NEW_SEAT in press(seated, puppet, ready).text
    puppet.post(f"/tips/{ready}/refer/back")
    assert NEW_SEAT in press(seated, puppet, ready, "translator", **fields).text
    assert not any(one.did == "to-translator" for one in seated.desk.journal.entries)


def test_no_refusal_goes_to_an_authority_by_one_person_with_two_seats(tmp_path):
    """The refusal of a question needs two people who count, and leaves once the second one does."""
    office = Office(tmp_path)
    with office.desk() as desk:
        case = referred(office, desk)
        asked = ask(office, desk, case)
        desk.cases.release(case.id, "Ana")
    office.config.write_text(office.config.read_text().replace("release = 1", "release = 2"))
    with office.desk() as desk:
        seated = SeatedDesk(desk)
        kaia, mere = seated.person("Kaia"), seated.person("Mere")
        puppet = seated.person("Puppet", Role.HANDLER, kaia.seat)
        path = f"/tips/{case.id}/asked/{asked.id}"
        desk.cases.claim(case.id, "Kaia")
        kaia.post(f"{path}/decline", reason="danger", refusal="yes")
        assert desk.cases.get(case.id).questions[0].wants_refusal
        for browser, words in ((puppet, NEW_SEAT), (kaia, "cannot also release")):
            assert words in browser.post(f"{path}/refusal", do="send").text
            assert desk.cases.get(case.id).questions[0].refusal == ""
        mere.post(f"{path}/refusal", do="send")
        now = desk.cases.get(case.id)
        assert now.questions[0].refusal
        assert question_state(desk.cases, now, now.questions[0]) is QuestionState.DECLINED


def test_a_team_confirms_its_new_colleague_and_goes_on(seated, kaia, ready):
    """A colleague speaks with the new person, ticks the box and confirms; the two then release, with no wait."""
    ana, tui = seated.person("Ana", Role.HANDLER), seated.person("Tui", Role.HANDLER, kaia.seat)
    assert "does not count yet as one of the two people" in tui.get("/seat").text
    assert "Confirm the seat of Tui" not in kaia.get("/seat").text
    assert "This seat does not count as one of two people yet" in kaia.get("/seats").text
    assert "Confirm the seat of Tui" in ana.get("/seat").text
    assert confirm(ana, tui.seat, spoken="").location == "/seat"
    assert "Speak with Tui first" in ana.get("/seat").text
    assert not tui.seat.counts
    assert confirm(ana, tui.seat).location == "/seat"
    assert "You have confirmed the seat of Tui" in ana.get("/seat").text
    assert "Ana confirmed the seat of Tui." in kaia.get("/").text
    assert "Your seat counts as one of the two people" in tui.get("/seat").text
    assert press(seated, kaia, ready).status_code == 303
    assert press(seated, tui, ready).status_code == 303
    assert [(one.by, one.second) for one in seated.desk.cases.get(ready).referrals] == [("Kaia", "Tui")]


def test_the_desk_says_when_two_seats_are_in_use_and_too_few_count(seated, kaia):
    """One supervisor who made every other seat reads what to do at the desk's own machine."""
    tui = seated.person("Tui", Role.HANDLER, kaia.seat)
    assert "haumaru-desk seat confirm NAME" in kaia.get("/seats").text
    seated.desk.seats.confirm(None, tui.seat.id, tui.seat.version)
    page = kaia.get("/seats").text
    assert "haumaru-desk seat confirm NAME" not in page
    assert "confirmed the seat on 2026-11-22" in page


def test_where_one_person_is_enough_nobody_is_asked_to_confirm(tmp_path):
    """With a release of one, a new seat sends alone, and no page speaks of confirming it."""
    office = Office(tmp_path)
    with office.desk() as desk:
        seated = SeatedDesk(desk)
        kaia = seated.person("Kaia")
        tui = seated.person("Tui", Role.HANDLER, kaia.seat)
        assert "Two people" not in tui.get("/seat").text
        assert "does not count" not in kaia.get("/seats").text
        assert "Kaia gave the link on 2026-11-22." in kaia.get("/seats").text
