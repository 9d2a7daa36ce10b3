"""Parts of tips' files: proven by the words, waiting for them, or gone after 30 days."""

from dataclasses import replace

import pytest

from app.desk.case_fields import RedactionDraft
from app.desk.closing import close_case
from app.desk.dispatch import confirm_key
from app.desk.errors import RefusedError
from app.desk.parts import PartStore
from app.desk.release import send_referrals
from app.vault.part import Part, pack_part, read_part
from app.vault.tip import new_tip_id
from app.vault.tip_bundles import Bundle, read_words, split_files, to_bundles
from tests.support.desk import DAY, NOON, Browser, big_file, jpeg, receive, tip


@pytest.fixture
def sent():
    """A tip with a file of three parts, and its bundles."""
    one = tip(files=(big_file(parts=3),))
    words, *parts = to_bundles(one)
    assert len(parts) == 3
    return one, words, parts


def _forged(bundle):
    """A part that claims to be another tip's, under a new id."""
    part = read_part(bundle.data)
    forged = replace(part, id=new_tip_id(), mac=bytes(32))
    return Bundle(forged.id, pack_part(forged))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2)])
def test_a_tip_is_whole_in_whatever_order_its_envelopes_come(office, sent, order):
    """Words and parts in any order, one in each look, become one case with its file; the last part is noted."""
    one, words, parts = sent
    bundles = [words, *parts]
    with office.desk() as desk:
        for number in order:
            office.drop_bundle(bundles[number])
            receive(desk)
        case = desk.cases.get(one.id)
        assert desk.cases.original(case) == one
        assert [entry.did for entry in desk.journal.entries].count("files-complete") == 1
        assert list((office.store / "waiting").glob("*")) == []
    with office.desk() as desk:
        assert desk.cases.original(desk.cases.get(one.id)) == one, "parts are found again at the next start"


@pytest.mark.parametrize("step", ["prove_waiting", "is_complete"])
def test_a_desk_that_is_killed_after_the_words_finds_the_parts_at_its_next_start(office, sent, monkeypatch, step):
    """Killed when the words are kept and the parts that waited are not proven yet, the desk proves them later."""
    one, words, parts = sent
    for part in parts:
        office.drop_bundle(part)
    with office.desk() as desk:
        receive(desk)

        def killed(_):
            raise KeyboardInterrupt

        office.drop_bundle(words)
        monkeypatch.setattr(desk.cases.parts, step, killed)
        with pytest.raises(KeyboardInterrupt):
            receive(desk)
    with office.desk() as desk:
        receive(desk)
        assert [case.id for case in desk.cases.all()] == [one.id]
        assert desk.cases.original(desk.cases.get(one.id)) == one


def test_words_are_worked_redacted_and_referred_while_parts_are_missing(office, sent):
    """The pages say how many parts are here; the words go on without the files."""
    one, words, parts = sent
    office.drop_bundle(words)
    office.drop_bundle(parts[1])
    with office.desk() as desk:
        receive(desk)
        browser = Browser(desk)
        assert "(1 of 3 parts are here)" in browser.get("/").text
        desk.cases.claim(one.id, "Ana")
        for path in ("", "/redact", "/refer"):
            assert "1 of 3 parts of the files are here." in browser.get(f"/tips/{one.id}{path}").text, path
        with pytest.raises(RefusedError, match="parts-missing"):
            desk.cases.original(desk.cases.get(one.id))
        desk.cases.redact(one.id, "Ana", RedactionDraft(summary="x", authorities=("police",), looked=True))
        police = desk.config.authorities["police"]
        confirm_key(desk.cases, police, "Ana")
        case = send_referrals(desk.cases.get(one.id), [police], desk.referral_context, "Ana")
        assert "whole files" in case.referrals[0].text
        for part in parts:
            office.drop_bundle(part)
        receive(desk)
        assert "parts of the files are here" not in browser.get(f"/tips/{one.id}").text
        assert [file.kind for file in desk.attachments.of(case)] == ["text"]


def test_a_forged_part_changes_nothing_and_uses_up_no_attempt(office, sent):
    """Forged parts under a known tip's id, before and after the words, neither spoil the files nor count as parts."""
    one, words, parts = sent
    with office.desk() as desk:
        for _ in range(6):
            office.drop_bundle(_forged(parts[0]))
        receive(desk)
        office.drop_bundle(words)
        for _ in range(6):
            office.drop_bundle(_forged(parts[0]))
        receive(desk)
        assert desk.cases.parts.count(desk.cases.get(one.id)) == 0
        for part in parts:
            office.drop_bundle(part)
        receive(desk)
        assert desk.cases.original(desk.cases.get(one.id)) == one


def test_parts_that_nothing_proves_go_after_30_days(office, sent):
    """A part without words waits 30 days, and a day for the second look; a proven one stays as long as its case."""
    one, words, parts = sent
    later = {"now": NOON}
    with office.desk(clock=lambda: later["now"]) as desk:
        office.drop_bundle(words)
        office.drop_bundle(parts[0])
        office.drop_bundle(to_bundles(tip(files=(jpeg(),)))[1])
        receive(desk)
        for days, waiting in ((30, 1), (1, 1), (1, 0)):
            later["now"] += days * 86400
            desk.destroy_overdue()
            assert len(list((office.store / "waiting").glob("*.age"))) == waiting
        assert desk.cases.parts.count(desk.cases.get(one.id)) == 1
        close_case(desk.cases, one.id, "Ana", "nothing")
        for days in (31, 1):
            later["now"] += days * 86400
            desk.destroy_overdue()
        assert list((office.store / "parts").glob("*.age")) == []


def test_waiting_parts_have_a_cap(office):
    """Beyond the cap a part that waits gives its place; the same part twice takes one place."""
    with office.desk() as desk:
        parts = PartStore(desk.store, [office.identity], lambda: DAY, max_waiting=3)
        for number in range(5):
            part = Part(new_tip_id(), new_tip_id(), 1, 1, bytes(32), bytes(32), b"x")
            for _ in range(2):
                assert parts.receive(part, b"envelope %d" % number, f"{number:064x}", []) is None
        names = list((office.store / "waiting").glob("*.age"))
        assert len(names) == 3
        assert b"envelope 4" in {path.read_bytes() for path in names}


def test_proven_parts_that_make_other_files_are_refused_and_the_words_stay(office):
    """A sender can prove parts that do not make the files that the words name: the page says so and shows the words."""
    one = tip(files=(jpeg(1),))
    first = to_bundles(one)[0]
    parts = split_files([jpeg(2)], tip=one.id, key=read_words(first.data).key)
    with office.desk() as desk:
        for bundle in (first, *parts):
            office.drop_bundle(bundle)
        receive(desk)
        assert [file.kind for file in desk.attachments.of(desk.cases.get(one.id))] == ["refused"]
        page = Browser(desk).get(f"/tips/{one.id}").text
        assert "packhouse" in page
        assert "damaged or not complete" in page
