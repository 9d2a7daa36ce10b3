"""Day keys at the desk: one for each day, tried on what comes in, and destroyed so that nothing brings them back."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.core.errors import EnvelopeError
from app.delivery.clock import nz_day
from app.desk.case_json import decode_case, encode_case
from app.desk.health import check_health
from app.vault.age import seal
from app.vault.age_open import unseal
from app.vault.day_keys import KEEP_DAYS, read_batch, sign_batch
from app.vault.keys import new_identity, recipient_of
from app.vault.tip_bundles import to_bundles
from tests.support.desk import DAY, NOON, Browser, big_file, jpeg, receive, reply_to, tip

SECONDS = 86_400
YESTERDAY = DAY - timedelta(days=1)


class Clocks:
    """The clock of the wall, and the clock that counts from the machine's start."""

    def __init__(self):
        self.wall, self.steady = NOON, 500.0

    def pass_days(self, days):
        self.wall += days * SECONDS
        self.steady += days * SECONDS

    def open(self, office):
        return office.desk(clock=lambda: self.wall, steady=lambda: self.steady)

    def destroy(self, desk):
        """Look twice, a day apart."""
        desk.destroy_overdue()
        self.pass_days(1)
        desk.destroy_overdue()


@pytest.fixture
def clocks():
    return Clocks()


def _drop(office, one, recipient):
    """Seal all envelopes of a tip to one key; return copies, as the line has them."""
    paths = [office.drop_bundle(bundle, recipients=(recipient,)) for bundle in to_bundles(one)]
    return [path.read_bytes() for path in paths]


def _opens(envelope, identities):
    try:
        return bool(unseal(envelope, identities))
    except EnvelopeError:
        return False


def _stolen_keys(office):
    """Every key that a thief of the desk's identity and of its whole folder finds."""
    found = {office.identity}
    for path in office.folder.rglob("*.age"):
        data = path.read_bytes()
        plain = unseal(data, [office.identity]) if _opens(data, [office.identity]) else data
        found |= {text.decode() for text in re.findall(rb"AGE-SECRET-KEY-PQ-1[0-9A-Z]+", plain)}
    return sorted(found)


def test_whoever_steals_the_desk_later_opens_nothing_that_was_copied_on_its_way(office, clocks):
    """With every key and file of the desk a thief opens copies of 31 days, then none; the desk opens what it keeps."""
    with clocks.open(office) as desk:
        batch = desk.day_keys.make_batch(35, fresh=False)
        one, answer = tip(files=(jpeg(),), reply=reply_to()), tip(answers_to="f" * 32)
        stray = to_bundles(tip(files=(big_file(),)))[1]
        copies = _drop(office, one, batch.recipient_on(DAY)) + _drop(office, answer, batch.recipient_on(DAY))
        copies.append(office.drop_bundle(stray, recipients=(batch.recipient_on(DAY),)).read_bytes())
        receive(desk)
        assert [len(desk.store.list_names(name)) for name in ("envelopes", "parts", "answers", "waiting")] == [1] * 4
        keys = _stolen_keys(office)
        assert (len(keys), [_opens(copy, keys) for copy in copies]) == (37, [True] * 4)
        clocks.pass_days(KEEP_DAYS)
        clocks.destroy(desk)
        assert _opens(copies[0], _stolen_keys(office)), "the day after the thirtieth is the first look"
        clocks.destroy(desk)
        keys = _stolen_keys(office)
        assert [_opens(copy, keys) for copy in copies] == [False] * 4
        assert desk.cases.original(desk.cases.get(one.id)) == one
        kept = [path for path in office.store.rglob("*.age") if path.parent.name in ("envelopes", "parts")]
        assert len(kept) == 2
        assert all(_opens(path.read_bytes(), [office.identity]) for path in kept), (
            "the desk's own key opens what it keeps"
        )
        days = [entry.what for entry in desk.journal.entries if entry.did == "destroyed-day-key"]
        assert days == [f"{day} 2026112201" for day in (YESTERDAY, DAY)]


def test_batches_that_overlap_share_their_keys(office, clocks):
    """The next batch has the keys of the days that had one; fresh keys are all new, and the desk opens both."""
    with clocks.open(office) as desk:
        first = desk.day_keys.make_batch(10, fresh=False)
        clocks.pass_days(3)
        second, fresh = desk.day_keys.make_batch(10, fresh=False), desk.day_keys.make_batch(10, fresh=True)
        after = desk.day_keys.make_batch(10, fresh=False)
    assert [one.number for one in (first, second, fresh, after)] == [2026112201, 2026112501, 2026112502, 2026112503]
    assert (first.first, first.last, second.first, second.last) == (
        YESTERDAY,
        DAY + timedelta(days=9),
        DAY + timedelta(days=2),
        DAY + timedelta(days=12),
    )
    assert second.recipients[:8] == first.recipients[3:]
    assert not set(fresh.recipients) & {*first.recipients, *second.recipients}
    assert after.recipients == fresh.recipients, "the newest key of a day stays"
    with clocks.open(office) as desk:
        for batch in (second, fresh):
            _drop(office, tip(), batch.recipient_on(DAY + timedelta(days=3)))
        receive(desk)
        assert len(desk.cases.all()) == 2
        assert read_batch(sign_batch(fresh, office.key), office.public, [recipient_of(office.identity)]) == fresh


@pytest.mark.parametrize("days", [-3, 40])
def test_a_desk_whose_clock_is_wrong_opens_everything(office, clocks, days):
    """Envelopes of the first, an ordinary and the last day, and of the agency's own key, come in whatever the clock."""
    with clocks.open(office) as desk:
        batch = desk.day_keys.make_batch(20, fresh=False)
    clocks.pass_days(days)
    with clocks.open(office) as desk:
        for recipient in (
            batch.recipients[0],
            batch.recipients[9],
            batch.recipients[-1],
            recipient_of(office.identity),
        ):
            _drop(office, tip(), recipient)
        receive(desk)
        assert (len(desk.cases.all()), desk.inbox.set_aside()) == (4, [])


@pytest.mark.parametrize(("day", "quarters"), [(date(2026, 9, 27), 92), (date(2027, 4, 4), 100)])
def test_the_day_of_23_hours_and_the_day_of_25_have_one_key_each(office, clocks, day, quarters):
    """Over a change of the clocks each day has one key, from its first quarter of an hour to its last."""
    clocks.wall = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Pacific/Auckland")).timestamp()
    with clocks.open(office) as desk:
        batch = desk.day_keys.make_batch(2, fresh=False)
    times = [clocks.wall + 900 * count for count in range(-96, quarters + 96)]
    found = [batch.recipient_on(nz_day(now)) for now in times]
    assert [found.count(recipient) for recipient in batch.recipients] == [96, quarters, 96]


def test_a_restart_in_the_middle_of_destroying_finishes_what_was_begun(office, clocks, monkeypatch):
    """Killed after the zeros and before the deletion, the desk deletes the file at its next start: no key is back."""
    with clocks.open(office) as desk:
        batch = desk.day_keys.make_batch(2, fresh=False)
        clocks.pass_days(KEEP_DAYS + 1)
        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", _killed)
            with pytest.raises(KeyboardInterrupt):
                clocks.destroy(desk)
    files = sorted((office.store / "day-keys").iterdir())
    assert [path.read_bytes().strip(b"\0") == b"" for path in files] == [True, False, False]
    with clocks.open(office) as desk:
        assert len(list((office.store / "day-keys").iterdir())) == 2
        assert desk.day_keys.damaged == []
        _drop(office, tip(), batch.recipients[0])
        receive(desk)
        assert [code for _, code in desk.inbox.set_aside()] == ["no-match"]


def _killed(*_args, **_more):
    raise KeyboardInterrupt


def test_the_zeros_are_written_over_the_key_itself(office, clocks):
    """A second name of a key's file shows zeros after destroying: the blocks were written over, not left behind."""
    with clocks.open(office) as desk:
        desk.day_keys.make_batch(1, fresh=False)
        path = next((office.store / "day-keys").glob("2026-11-21*"))
        (office.folder / "block").hardlink_to(path)
        clocks.pass_days(KEEP_DAYS)
        clocks.destroy(desk)
        assert not path.exists()
        assert (office.folder / "block").read_bytes().strip(b"\0") == b""


def test_a_clock_that_steps_ahead_destroys_no_key(office, clocks):
    """A clock that is a year ahead for some hours destroys nothing, and neither does one that goes back."""
    with clocks.open(office) as desk:
        desk.day_keys.make_batch(5, fresh=False)
        clocks.wall += 365 * SECONDS
        for _ in range(3):
            desk.destroy_overdue()
            clocks.wall += 3600
            clocks.steady += 3600
        clocks.wall -= 400 * SECONDS
        clocks.destroy(desk)
        assert len(desk.store.list_names("day-keys")) == 6


def test_no_key_is_destroyed_while_its_envelope_may_wait_in_the_inbox(office, clocks):
    """A desk that was closed for 40 days destroys no key before it has taken in what waits; after 60 days it does."""
    with clocks.open(office) as desk:
        batch = desk.day_keys.make_batch(1, fresh=False)
        _drop(office, tip(), batch.recipient_on(DAY))
        clocks.pass_days(40)
        clocks.destroy(desk)
        assert len(desk.store.list_names("day-keys")) == 2
        receive(desk)
        assert len(desk.cases.all()) == 1
        _drop(office, tip(), batch.recipient_on(DAY))
        clocks.pass_days(20)
        clocks.destroy(desk)
        assert desk.store.list_names("day-keys") == []


def test_a_backup_that_is_put_back_forgets_again(office, clocks):
    """Keys that a backup brings back are destroyed again, and the next batch has a greater number than any before."""
    with clocks.open(office) as desk:
        desk.day_keys.make_batch(2, fresh=False)
        old = {path: path.read_bytes() for path in (office.store / "day-keys").iterdir()}
        clocks.pass_days(KEEP_DAYS + 3)
        clocks.destroy(desk)
        assert desk.store.list_names("day-keys") == []
    for path, data in old.items():
        path.write_bytes(data)
    with clocks.open(office) as desk:
        clocks.destroy(desk)
        assert desk.store.list_names("day-keys") == []
        assert desk.day_keys.make_batch(2, fresh=False).number > 2026112201


def test_a_day_key_that_does_not_open_stops_nothing_and_is_named(office, clocks):
    """A damaged file of a key leaves the desk and the other days' keys as they are; the queue says so."""
    with clocks.open(office) as desk:
        batch = desk.day_keys.make_batch(30, fresh=False)
    next((office.store / "day-keys").glob(f"{DAY}*")).write_bytes(b"\0" * 99)
    (office.store / "day-keys" / "notes.txt").write_text("not a key")
    with clocks.open(office) as desk:
        _drop(office, tip(), batch.recipients[0])
        receive(desk)
        assert len(desk.cases.all()) == 1
        assert "Day keys that do not open: 1." in Browser(desk).get("/").text


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (45, None),
        (46, "The day keys of this desk end in 13 days."),
        (59, "The day keys of this desk end today."),
        (60, "The day keys of this desk have ended, so the site's form is closed."),
    ],
)
def test_the_desk_asks_for_new_day_keys_two_weeks_before_the_last_day(office, clocks, days, words):
    """The desk's status fails from two weeks before the last day on, and says what to do; without day keys never."""
    with clocks.open(office) as desk:
        assert not check_health(desk.config, clocks.wall).action_needed
        desk.day_keys.make_batch(60, fresh=False)
        clocks.pass_days(days)
        health = check_health(desk.config, clocks.wall)
        said = [line for line in health.lines if "day keys" in line]
        assert health.action_needed == bool(words)
        assert [line.partition(" Make new ones")[0] for line in said] == ([words] if words else [])


def test_a_record_of_an_earlier_version_opens(office):
    """A case that was kept before the desk noted the SHA-256 of its envelope is read, without one."""
    office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        (case,) = desk.cases.all()
    assert re.fullmatch("[0-9a-f]{64}", case.envelope)
    former = encode_case(case).replace(f',"envelope":"{case.envelope}"'.encode(), b"")
    assert len(former) < len(encode_case(case))
    assert decode_case(former).envelope == ""


def test_an_envelope_costs_the_desk_no_more_where_the_key_of_its_day_is_tried_first(office, clocks):
    """Of 41 day keys, that of today is tried first, then those of its neighbours and the desk's own."""
    with clocks.open(office) as desk:
        batch = desk.day_keys.make_batch(40, fresh=False)
        clocks.pass_days(20)
        tried = [recipient_of(one) for one in desk.day_keys.identities()]
    today = batch.first + timedelta(days=21)
    assert tried[0] == batch.recipient_on(today)
    assert {*tried[1:3]} == {batch.recipient_on(today + timedelta(days=step)) for step in (-1, 1)}
    assert tried[3] == recipient_of(office.identity)
    assert len(tried) == 42
    assert not _opens(seal(b"x", [recipient_of(new_identity())]), desk.day_keys.identities())
