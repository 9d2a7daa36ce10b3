"""Seats: who may change them, what is kept of them, and what an attacker of the file of seats reaches."""

import threading
from dataclasses import replace
from functools import partial

import pytest

from app.desk.errors import RefusedError
from app.desk.passphrases import Passphrases
from app.desk.seat import Role, encode_seats
from app.desk.seats import LINK_SECONDS, Seats
from app.desk.sign_in_tries import SignInTries
from tests.support.desk import NOON
from tests.support.seats import KEY, VERIFIER, enrolled


class Now:
    """A clock that a test moves."""

    def __init__(self):
        self.seconds = NOON

    def __call__(self):
        return self.seconds


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def seats(desk, now):
    return Seats(desk.store, desk.journal, desk.key, clock=now)


def refused(job) -> str:
    with pytest.raises(RefusedError) as caught:
        job()
    return caught.value.code


def test_a_seat_is_journaled_and_comes_back(desk, seats, now):
    """A seat is there again when the desk is opened again, and each change has its line in the journal."""
    kaia = enrolled(seats, "Kaia")
    seats.add(kaia, "Tui", Role.TRANSLATOR)
    assert Seats(desk.store, desk.journal, desk.key, clock=now).all() == seats.all()
    lines = [(one.who, one.did) for one in desk.journal.entries]
    assert lines == [("desk", "seat-added"), ("Kaia", "seat-enrolled"), ("Kaia", "seat-added")]


def test_a_link_works_once_and_for_a_day(seats, now):
    """A one-time link enrols one person, and ends after a day or with its seat."""
    seat, code = seats.add(None, "Kaia", Role.SUPERVISOR)
    assert seats.find_link(code) == seat
    kaia = seats.enrol(code, VERIFIER, KEY, "b")
    assert refused(lambda: seats.find_link(code)) == "seat-link"
    assert refused(lambda: seats.enrol(code, VERIFIER, KEY, "b")) == "seat-link"
    tui, late = seats.add(kaia, "Tui", Role.HANDLER)
    now.seconds += LINK_SECONDS
    assert refused(lambda: seats.find_link(late)) == "seat-link"
    rui, closed = seats.add(kaia, "Rui", Role.HANDLER)
    seats.set_disabled(kaia, rui.id, rui.version, disabled=True)
    assert refused(lambda: seats.find_link(closed)) == "seat-link"
    assert seats.get(tui.id).in_use is False


@pytest.mark.parametrize("role", [Role.HANDLER, Role.TRANSLATOR, Role.FIGURES])
def test_only_a_supervisor_changes_seats(seats, role):
    """No other role adds, recovers, changes or closes a seat, and neither does a supervisor of a moment ago."""
    kaia = enrolled(seats, "Kaia")
    other = enrolled(seats, "Tui", role, kaia)
    third = enrolled(seats, "Rui", Role.HANDLER, kaia)
    assert refused(lambda: seats.add(other, "Ata", Role.SUPERVISOR)) == "role"
    assert refused(lambda: seats.recover(other, third.id, third.version)) == "role"
    assert refused(lambda: seats.set_role(other, other.id, other.version, Role.SUPERVISOR)) == "role"
    assert refused(lambda: seats.set_disabled(other, kaia.id, kaia.version, disabled=True)) == "role"
    assert refused(lambda: seats.add(replace(other, role=Role.SUPERVISOR), "Ata", Role.SUPERVISOR)) == "role"


def test_a_supervisor_never_changes_the_own_seat_and_one_stays(seats):
    """A supervisor can change every seat but the own one, so at least one supervisor stays."""
    kaia = enrolled(seats, "Kaia")
    assert refused(lambda: seats.recover(kaia, kaia.id, kaia.version)) == "own-seat"
    assert refused(lambda: seats.set_role(kaia, kaia.id, kaia.version, Role.HANDLER)) == "own-seat"
    assert refused(lambda: seats.set_disabled(kaia, kaia.id, kaia.version, disabled=True)) == "own-seat"
    mere = enrolled(seats, "Mere", by=kaia)
    seats.set_role(kaia, mere.id, mere.version, Role.HANDLER)
    assert [one.name for one in seats.all() if one.supervises] == ["Kaia"]


def test_the_second_of_two_supervisors_is_told(seats):
    """Two supervisors who change one seat at once: the second reads that it was changed, and changes nothing."""
    kaia = enrolled(seats, "Kaia")
    mere, tui = enrolled(seats, "Mere", by=kaia), enrolled(seats, "Tui", Role.HANDLER, kaia)
    seen = tui.version
    seats.set_role(kaia, tui.id, seen, Role.TRANSLATOR)
    assert refused(lambda: seats.set_disabled(mere, tui.id, seen, disabled=True)) == "seat-changed"
    assert seats.get(tui.id).role is Role.TRANSLATOR
    assert not seats.get(tui.id).disabled


def test_two_supervisors_never_remove_each_other_at_once(seats):
    """Of two supervisors who take each other's role away in the same moment one stays."""
    kaia = enrolled(seats, "Kaia")
    mere = enrolled(seats, "Mere", by=kaia)
    gate, codes = threading.Barrier(2), []

    def demote(by, other):
        gate.wait()
        try:
            seats.set_role(by, other.id, other.version, Role.HANDLER)
        except RefusedError as error:
            codes.append(error.code)

    threads = [threading.Thread(target=demote, args=pair) for pair in ((kaia, mere), (mere, kaia))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert codes == ["role"]
    assert sum(one.supervises for one in seats.all()) == 1


def test_a_recovery_takes_the_old_keys_and_tells_the_person_and_every_supervisor(seats):
    """After a recovery nothing of the old keys is left, and three people read of it until they say so."""
    kaia = enrolled(seats, "Kaia")
    mere, tui = enrolled(seats, "Mere", by=kaia), enrolled(seats, "Tui", Role.HANDLER, kaia)
    rui = enrolled(seats, "Rui", Role.HANDLER, kaia)
    code = seats.recover(kaia, tui.id, tui.version)
    lost = seats.get(tui.id)
    assert (lost.in_use, lost.keys, lost.verifier, lost.browsers) == (False, (), None, ())
    assert lost.version > tui.version
    told = {one.name: [(news.did, news.seat, news.by) for news in one.news] for one in seats.all()}
    line = ("seat-recovered", "Tui", "Kaia")
    assert [line in told[name] for name in ("Kaia", "Mere", "Tui", "Rui")] == [True, True, True, False]
    assert seats.enrol(code, VERIFIER, KEY, "b").in_use
    seats.forget_news(mere)
    assert seats.get(mere.id).news == ()
    assert seats.get(rui.id).version == rui.version


def test_a_name_is_never_used_again(seats):
    """A name that differs only in spaces, accents or capital letters is taken, that of a closed seat too."""
    kaia = enrolled(seats, "Kaia Rangi")
    seat, _ = seats.add(kaia, "Tūī", Role.HANDLER)
    seats.set_disabled(kaia, seat.id, seat.version, disabled=True)
    taken = ("kaia  rangi", "Tui", "KAIARANGI")
    assert {refused(partial(seats.add, kaia, name, Role.HANDLER)) for name in taken} == {"seat-taken"}
    odd = ["", "   ", "…", "Desk", "d e s k", "a" * 61, "a\u202eb", "a\nb\x00"]
    assert {refused(partial(seats.add, kaia, name, Role.HANDLER)) for name in odd} == {"seat-name"}


def test_a_planted_file_of_seats_is_refused(desk, seats, now):
    """Anybody may seal to the desk's public key: a file of seats that the desk did not sign opens no desk."""
    kaia = enrolled(seats, "Kaia")
    planted = replace(kaia, id="f" * 16, name="Mallory")
    desk.store.write("seats.age", encode_seats({planted.id: planted}, 99) + b"\nAAAA")
    assert refused(lambda: Seats(desk.store, desk.journal, desk.key, clock=now)) == "journal"


def test_an_older_file_of_seats_is_refused(desk, seats, now):
    """A file from before a seat was closed, put back in its place, opens no desk; neither does a missing file."""
    kaia = enrolled(seats, "Kaia")
    tui = enrolled(seats, "Tui", Role.HANDLER, kaia)
    older = (desk.store.folder / "seats.age").read_bytes()
    seats.set_disabled(kaia, tui.id, tui.version, disabled=True)
    (desk.store.folder / "seats.age").write_bytes(older)
    assert refused(lambda: Seats(desk.store, desk.journal, desk.key, clock=now)) == "journal"
    (desk.store.folder / "seats.age").unlink()
    assert refused(lambda: Seats(desk.store, desk.journal, desk.key, clock=now)) == "journal"


def test_a_change_that_cannot_be_journaled_is_undone(desk, seats, now, monkeypatch):
    """Where the journal cannot be written, the seat is as before, in memory and on the disk."""
    kaia = enrolled(seats, "Kaia")
    tui = enrolled(seats, "Tui", Role.HANDLER, kaia)

    def fail(*_):
        raise RefusedError("disk-full")

    with monkeypatch.context() as broken:
        broken.setattr(desk.journal, "write", fail)
        assert refused(lambda: seats.set_disabled(kaia, tui.id, tui.version, disabled=True)) == "disk-full"
    assert seats.get(tui.id) == tui
    assert Seats(desk.store, desk.journal, desk.key, clock=now).get(tui.id) == tui


def test_a_disk_that_fills_up_in_the_middle_changes_nothing(desk, seats, monkeypatch):
    """Where neither the journal nor the former file can be written, the seat is as before, and works on later."""
    kaia = enrolled(seats, "Kaia")
    tui = enrolled(seats, "Tui", Role.HANDLER, kaia)

    def fail(*_):
        monkeypatch.setattr(desk.store, "write", fail)
        raise RefusedError("disk-full")

    with monkeypatch.context() as broken:
        broken.setattr(desk.journal, "write", fail)
        assert refused(lambda: seats.set_disabled(kaia, tui.id, tui.version, disabled=True)) == "disk-full"
    monkeypatch.undo()
    assert seats.get(tui.id) == tui
    seats.set_role(kaia, tui.id, tui.version, Role.TRANSLATOR)
    assert seats.get(tui.id).role is Role.TRANSLATOR


def test_a_desk_that_was_killed_before_the_journal_line_opens_and_says_so(desk, seats, now, monkeypatch):
    """A change of the file that has no line yet, because the power failed, stays and gets a line."""
    kaia = enrolled(seats, "Kaia")
    monkeypatch.setattr(desk.journal, "write", lambda *_: None)
    seats.add(kaia, "Tui", Role.HANDLER)
    monkeypatch.undo()
    assert Seats(desk.store, desk.journal, desk.key, clock=now).named("Tui")
    assert desk.journal.entries[-1].did == "seats-found"


def test_an_assertion_is_kept_for_one_sign_in(seats):
    """Two answers of a key to challenges of one moment sign in once; a change of the seat ends the sign-in."""
    kaia = enrolled(seats, "Kaia")
    seats.note_sign_in(kaia, replace(KEY, count=5), "b")
    assert refused(lambda: seats.note_sign_in(kaia, replace(KEY, count=5), "b")) == "seat-changed"


def test_passphrases_are_compared_slowly_and_strong():
    """The right passphrase matches, in another form of Unicode too; a wrong one, and that of nobody, do not."""
    made = Passphrases()
    kept = made.new_verifier("kererū with four légs", "Kaia")
    assert made.matches("kereru\u0304 with four le\u0301gs", kept)
    assert not made.matches("kererū with four legs", kept)
    assert not made.matches("kererū with four légs", None)
    assert b"legs" not in kept.derived
    assert "derived" not in repr(kept)


def test_too_many_at_once_are_told_that_the_desk_is_busy(monkeypatch):
    """More than eight derivations at once are refused before they take memory."""
    made, gate = Passphrases(), threading.Event()
    monkeypatch.setattr("app.desk.passphrases.Argon2id", lambda **_: _Waiting(gate))
    threads = [threading.Thread(target=made.matches, args=("x" * 12, None)) for _ in range(8)]
    for one in threads:
        one.start()
    while made._places._value:
        pass
    assert refused(lambda: made.matches("x" * 12, None)) == "busy"
    gate.set()
    for one in threads:
        one.join()


class _Waiting:
    def __init__(self, gate):
        self.gate = gate

    def derive(self, _):
        self.gate.wait()
        return b""


def test_a_stranger_who_tries_a_name_locks_nobody_out(seats, now):
    """A thousand wrong tries from strangers' addresses make strangers wait, and not the person's own browser."""
    kaia = enrolled(seats, "Kaia")
    tries = SignInTries(clock=now)
    for number in range(1000):
        tries.note_wrong("Kaia", kaia, "", f"192.0.2.{number % 200}")
    assert tries.wait("Kaia", kaia, "", "198.51.100.1") > 600
    assert tries.wait("Kaia", kaia, "guessed", "192.0.2.1") > 600
    assert tries.wait("Kaia", kaia, "browser of Kaia", "192.0.2.1") == 0
    now.seconds += 3601
    assert tries.wait("Kaia", kaia, "", "198.51.100.1") == 0


def test_each_wrong_try_waits_longer_for_a_name_of_nobody_too(seats, now):
    """The waits grow up to a quarter of an hour, are the same for a name that no seat has, and stay bounded."""
    kaia = enrolled(seats, "Kaia")
    tries, waits = SignInTries(clock=now), []
    for _ in range(14):
        tries.note_wrong("Kaia", kaia, "", "192.0.2.1")
        tries.note_wrong("Nobody", None, "", "192.0.2.2")
        waits.append(tries.wait("Kaia", kaia, "", "192.0.2.1"))
        assert waits[-1] == tries.wait("Nobody", None, "", "192.0.2.2")
    assert waits[:4] == [0, 0, 0, 0]
    assert waits == sorted(waits)
    assert waits[-1] == 900
    for number in range(10_000):
        tries.note_wrong(f"name {number}", None, "", f"address {number}")
    assert len(tries._counts) == 4096


def test_a_sign_in_forgets_the_own_wrong_tries(seats, now):
    """Who signs in starts anew; the count of strangers at the name stays."""
    kaia = enrolled(seats, "Kaia")
    tries = SignInTries(clock=now)
    for _ in range(8):
        tries.note_wrong("Kaia", kaia, "browser of Kaia", "192.0.2.1")
        tries.note_wrong("Kaia", kaia, "", "192.0.2.9")
    tries.forget("Kaia", kaia, "browser of Kaia", "192.0.2.1")
    assert tries.wait("Kaia", kaia, "browser of Kaia", "192.0.2.1") == 0
    assert tries.wait("Kaia", kaia, "", "192.0.2.1") > 0
