"""Who stands behind a seat: nobody is two people alone, and a desk of several people is."""

import json
from dataclasses import replace

import pytest

from app.desk.errors import RefusedError
from app.desk.labels import backers_label
from app.desk.seat import Role, SeatBacker, decode_seats, encode_seats
from app.desk.seats import Seats
from app.vault.signature import SignatureContext, sign
from tests.support.desk import NOON
from tests.support.seats import KEY, VERIFIER, enrolled

TODAY = "2026-11-22"


@pytest.fixture
def seats(desk):
    return Seats(desk.store, desk.journal, desk.key, clock=lambda: NOON)


@pytest.fixture
def kaia(seats):
    """The supervisor who was made at the desk's own machine, and who is the rogue in most tests."""
    return enrolled(seats, "Kaia")


def recovered(seats, by, seat):
    """The seat after whoever recovered it has used the new link."""
    code = seats.recover(by, seat.id, seats.get(seat.id).version)
    return seats.enrol(code, VERIFIER, KEY, "the browser of whoever has the link")


def confirm(seats, by, seat):
    seats.confirm(by, seat.id, seats.get(seat.id).version)
    return seats.get(seat.id)


def refused(job) -> str:
    with pytest.raises(RefusedError) as caught:
        job()
    return caught.value.code


def test_the_first_people_of_a_desk_count_at_once(seats, kaia):
    """Seats of the desk's own machine count: who uses the machine has the desk's keys, and needs no seat."""
    ana = enrolled(seats, "Ana", Role.HANDLER)
    assert (kaia.counts, ana.counts) == (True, True)
    assert backers_label(ana) == f"Somebody at the desk's own machine gave the link on {TODAY}."


def test_a_seat_counts_once_two_people_stand_behind_it(seats, kaia):
    """A new seat counts when a colleague who did not give its link confirms it; the day of both is kept."""
    ana = enrolled(seats, "Ana", Role.HANDLER)
    tui = enrolled(seats, "Tui", Role.HANDLER, kaia)
    assert not tui.counts
    confirmed = confirm(seats, ana, tui)
    assert confirmed.counts
    assert confirmed.backers == (SeatBacker("Kaia", TODAY, counted=True), SeatBacker("Ana", TODAY, counted=True))
    assert confirmed.version == tui.version, "the person works on"
    assert backers_label(confirmed) == f"Kaia gave the link on {TODAY}. Ana confirmed the seat on {TODAY}."


def test_a_supervisor_alone_makes_no_seat_that_counts(seats, kaia):
    """Not one seat and not two, whoever of them confirms whom: none of the new seats counts."""
    first, second = enrolled(seats, "First", by=kaia), enrolled(seats, "Second", by=kaia)
    for by, seat, code in (
        (kaia, first, "seat-confirmed"),
        (first, second, "not-counted"),
        (second, first, "not-counted"),
        (first, first, "own-seat"),
        (kaia, kaia, "own-seat"),
    ):
        assert refused(lambda by=by, seat=seat: confirm(seats, by, seat)) == code
    assert [one.name for one in seats.all() if one.counts] == ["Kaia"]


def test_a_chain_of_new_supervisors_makes_no_seat_that_counts(seats, kaia):
    """A seat that the rogue's second seat made is not confirmed by the rogue's first: the maker did not count."""
    puppet = enrolled(seats, "Puppet", by=kaia)
    second = enrolled(seats, "Second", Role.HANDLER, puppet)
    assert not confirm(seats, kaia, second).counts
    third = enrolled(seats, "Third", by=puppet)
    assert not confirm(seats, kaia, third).counts
    assert refused(lambda: confirm(seats, third, second)) == "not-counted"
    recovered(seats, puppet, second)
    assert not confirm(seats, kaia, second).counts
    assert [one.name for one in seats.all() if one.counts] == ["Kaia"]


def test_a_recovered_seat_does_not_count_and_confirms_nobody(seats, kaia):
    """The rogue takes over the seats of two honest colleagues, which counted: neither counts, nor helps the other."""
    ana, mere = enrolled(seats, "Ana", Role.HANDLER), enrolled(seats, "Mere")
    for one in (ana, mere):
        assert not recovered(seats, kaia, one).counts
    assert refused(lambda: confirm(seats, ana, mere)) == "not-counted"
    assert refused(lambda: confirm(seats, kaia, mere)) == "seat-confirmed"
    again = recovered(seats, mere, ana)
    assert not confirm(seats, kaia, again).counts
    assert [one.name for one in seats.all() if one.counts] == ["Kaia"]


def test_another_role_and_a_seat_that_is_opened_again_give_no_second_person(seats, kaia):
    """A quiet old seat of a translator, made a handler's later or closed and opened again, still does not count."""
    quiet = enrolled(seats, "Quiet", Role.TRANSLATOR, kaia)
    assert refused(lambda: confirm(seats, enrolled(seats, "Ana", Role.HANDLER), quiet)) == "seat-not-used"
    seats.set_role(kaia, quiet.id, quiet.version, Role.HANDLER)
    for closed in (True, False):
        seats.set_disabled(kaia, quiet.id, seats.get(quiet.id).version, disabled=closed)
        assert not seats.get(quiet.id).counts


def test_who_confirmed_before_a_recovery_has_confirmed_nothing_after(seats, kaia):
    """A recovery takes all backers away; a confirmation of a page from before the new link was used is refused."""
    ana, mere = enrolled(seats, "Ana", Role.HANDLER), enrolled(seats, "Mere")
    tui = enrolled(seats, "Tui", Role.HANDLER, kaia)
    seen = confirm(seats, ana, tui).version
    assert [one.name for one in recovered(seats, kaia, tui).backers] == ["Kaia"]
    assert refused(lambda: seats.confirm(mere, tui.id, seen)) == "seat-changed"
    assert confirm(seats, mere, tui).counts


def test_a_seat_whose_link_nobody_used_cannot_be_confirmed(seats, kaia):
    """Nobody stands behind a person who has not signed in; a closed seat neither counts nor is confirmed."""
    ana = enrolled(seats, "Ana", Role.HANDLER)
    tui, _ = seats.add(kaia, "Tui", Role.HANDLER)
    assert refused(lambda: confirm(seats, ana, tui)) == "seat-not-used"
    seats.set_disabled(kaia, ana.id, ana.version, disabled=True)
    assert not seats.get(ana.id).counts
    assert refused(lambda: confirm(seats, None, ana)) == "seat-not-used"


def test_a_demoted_colleague_confirms_nobody(seats, kaia):
    """Who was a handler a moment ago, and is a translator now, confirms nobody."""
    ana = enrolled(seats, "Ana", Role.HANDLER)
    tui = enrolled(seats, "Tui", Role.HANDLER, kaia)
    seats.set_role(kaia, ana.id, ana.version, Role.TRANSLATOR)
    assert refused(lambda: confirm(seats, ana, tui)) == "not-counted"


def test_a_confirmation_is_told_and_journaled(desk, seats, kaia):
    """The person and every supervisor read who confirmed a seat, and the journal has a line of it."""
    ana = enrolled(seats, "Ana", Role.HANDLER)
    tui = enrolled(seats, "Tui", Role.HANDLER, kaia)
    confirm(seats, ana, tui)
    told = [(one.name, [news.did for news in one.news if news.by == "Ana"]) for one in seats.all()]
    assert told == [("Kaia", ["seat-confirmed"]), ("Ana", []), ("Tui", ["seat-confirmed"])]
    last = desk.journal.entries[-1]
    assert (last.who, last.did, last.what.split()[0]) == ("Ana", "seat-confirmed", f"seat:{tui.id}")
    assert Seats(desk.store, desk.journal, desk.key, clock=lambda: NOON).get(tui.id) == seats.get(tui.id)


def test_a_file_of_the_former_format_opens_and_its_seats_wait(desk, seats, kaia):
    """Nobody noted who gave the links of the former format: its people sign in, and count once they are confirmed."""
    data, version = encode_seats({kaia.id: kaia}, 2), 2
    former = json.loads(data)
    former["format"] = "haumaru-seats/1"
    del former["seats"][0]["backers"]
    data = json.dumps(former).encode()
    desk.store.write("seats.age", data + b"\n" + sign(SignatureContext.SEATS, data, desk.key).encode())
    opened = Seats(desk.store, desk.journal, desk.key, clock=lambda: NOON)
    old = opened.get(kaia.id)
    assert (old.supervises, old.counts) == (True, False)
    assert "earlier version" in backers_label(old)
    assert confirm(opened, None, old).counts
    assert decode_seats(data) == ({kaia.id: replace(kaia, backers=())}, version)
    former["format"] = "haumaru-seats/2"
    with pytest.raises(KeyError):
        decode_seats(json.dumps(former).encode())
