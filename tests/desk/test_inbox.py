"""The inbox: envelopes come in, decoys vanish, and what does not open is set aside."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.vault.age import seal
from app.vault.age_open import unseal
from app.vault.keys import new_identity, recipient_of
from app.vault.tip import new_decoy, new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.desk import jpeg, receive, tip


def test_envelopes_come_in_and_decoys_vanish(office):
    """Tips are kept, sealed to the desk's own key alone; a decoy leaves nothing, not even a line of the journal."""
    one, decoy = office.drop(tip(files=(jpeg(),))), new_decoy()
    office.drop(decoy)
    came = (office.inbox / f"{one}.age").read_bytes()
    with office.desk() as desk:
        receive(desk)
        assert [case.id for case in desk.cases.all()] == [one]
        kept = (office.store / f"envelopes/{one}.age").read_bytes()
        assert unseal(kept, [office.identity]) == unseal(came, [office.identity])
        assert [data.count(b"-> mlkem768x25519 ") for data in (came, kept)] == [4, 1]
        assert kept[-1000:] != came[-1000:], "a copy of the line shows no envelope of the store"
        assert list(office.inbox.iterdir()) == []
        came = sorted((entry.did, entry.tip, entry.at) for entry in desk.journal.entries)
        assert came == [("files-complete", one, "2026-11-22"), ("received", one, "2026-11-22")], "in no order"
        assert not list(office.store.rglob(f"*{decoy.id}*"))


def test_what_does_not_open_is_set_aside_with_its_reason(office):
    """A truncated envelope, one for somebody else, a wrong name, a link: each is listed, and the rest come in."""
    good = office.drop(tip())
    cut, other, wrong = tip(), tip(), tip()
    office.drop(cut)
    path = office.inbox / f"{cut.id}.age"
    path.write_bytes(path.read_bytes()[:-7])
    office.drop(other, recipients=(recipient_of(new_identity()),))
    office.drop(wrong, name=f"{new_tip_id()}.age")
    office.drop(tip(), name="../inbox/hello.age")
    (office.inbox / "link.age").symlink_to("/etc/passwd")
    with office.desk() as desk:
        receive(desk)
        assert [case.id for case in desk.cases.all()] == [good]
        reasons = sorted(code for _, code in desk.inbox.set_aside())
        assert reasons == ["file", "name", "name", "no-match", "payload"]
        name = next(f"{one}.{code}" for one, code in desk.inbox.set_aside() if code == "no-match")
        desk.inbox.retry("Ana", name)
        receive(desk)
        assert len(desk.inbox.set_aside()) == 5
        desk.inbox.destroy("Ana", name)
        assert len(desk.inbox.set_aside()) == 4
        with pytest.raises(RefusedError, match="gone"):
            desk.inbox.destroy("Ana", "../desk.age")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_bytes_stop_the_desk(office, data):
    """Any bytes, sealed or not, are a tip or set aside; never an error that ends the intake."""
    raw = data.draw(st.binary(max_size=300))
    bundle = bytearray(data.draw(st.sampled_from(to_bundles(tip(files=(jpeg(data=b"\xff\xd8\xff"),))))).data)
    place = data.draw(st.integers(0, 3000))
    bundle[place] ^= data.draw(st.integers(1, 255))
    sealed = seal(data.draw(st.sampled_from((raw, bytes(bundle)))), [recipient_of(office.identity)])
    name = data.draw(st.sampled_from((new_tip_id(), "x", "0" * 26)))
    (office.inbox / f"{name}.age").write_bytes(data.draw(st.sampled_from((raw, sealed))))
    with office.desk() as desk:
        receive(desk)
        assert not list(office.inbox.iterdir())
        kept = [path for path in office.store.rglob("*.*") if path.parent.name in ("aside", "envelopes", "waiting")]
        assert kept, "a tip, a part that waits, or set aside"


def test_opening_many_shows_its_progress_and_stops(office):
    """Work that is asked to stop ends after the item in hand; what is done stays done, the rest waits."""
    for _ in range(6):
        office.drop(tip())

    class Impatient(Job):
        def advance(self, count=1):
            super().advance(count)
            if self.done == 2:
                self.stop()

    with office.desk() as desk:
        work = Impatient("test")
        desk.inbox.receive(work)
        assert (work.done, work.total, len(desk.cases.all())) == (2, 6, 2)
        assert len(list(office.inbox.iterdir())) == 4
        receive(desk)
        assert len(desk.cases.all()) == 6
