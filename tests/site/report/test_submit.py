"""A submission on its way: held while it has files, sealed at the last moment, and put once with all its envelopes."""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.errors import AlreadySentError, BundleError, BusyError, HeldFullError, HeldGoneError, OutboxError
from app.delivery.clock import nz_day_end
from app.delivery.leases import Leases
from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.memory_store import EnvelopeKind, memory_key
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import derive_keys, new_code
from app.files.clean import CleanedFile, RefusedFile
from app.site import demo
from app.site.config import ForwardConfig, load_config
from app.site.report.held import HeldTipStore
from app.site.report.submit import Submission, SubmissionContext, arrival_hours, confirm, submit, was_sent_as
from app.vault.age import ENVELOPE_BYTES
from app.vault.age_open import unseal
from app.vault.keys import DEMONSTRATION, new_identity, recipient_of
from app.vault.part import read_part
from app.vault.tip_bundles import from_bundles, read_words
from app.web.network_shares import NetworkShares

NOW = 1_800_000_000.0
PHOTOGRAPH = random.Random(1).randbytes(2_700_000)
FORWARD = ForwardConfig(window=600, cells=16, stock=64)


def clean(files, networks=()):
    """Files are taken as they come; one that begins with `bad` is refused."""
    return [
        RefusedFile(number, "unknown")
        if data.startswith(b"bad")
        else CleanedFile(f"files/{number}.jpg", "image/jpeg", (), data)
        for number, data in enumerate(files, 1)
    ]


@pytest.fixture
def context(tmp_path) -> Iterator[SubmissionContext]:
    """The demonstration's agency, with a database on a disk and a memory store in memory."""
    agency = load_config(demo.prepare_folder(tmp_path / "demo"), {}).intake
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="haumaru-") as folder:
        memory = SqliteMemoryStore(Path(folder))
        outbox = Outbox(f"sqlite:///{tmp_path}/outbox.db", memory)
        yield SubmissionContext(
            agency,
            outbox,
            HeldTipStore(memory, outbox),
            clean,
            words_room=0,
            waiting=NetworkShares(8),
            memory=NetworkShares(10**9),
        )


def submission(*files: bytes, **more) -> Submission:
    return Submission({"what": "They keep our wages."}, os.urandom(16), list(files), **more)


def waiting(context, identity: str = DEMONSTRATION):
    """The bundles that wait in the outbox, opened, by the id of their envelope."""
    leases = Leases(context.outbox.database)
    data = {one: leases.load(one) for one in leases.waiting(context.agency.id)}
    assert {len(sealed) for sealed in data.values()} <= {ENVELOPE_BYTES}
    return {one: unseal(sealed, [identity]) for one, sealed in data.items()}


def test_a_form_is_known_with_its_code_and_nobody_finds_the_envelope(context):
    """A form is known to be sent under its code after the tip has left, under no other, and not by an id alone."""
    keys, others = derive_keys(new_code()), derive_keys(new_code())
    form, outbox = submission(envelope_id=keys.envelope_id), context.outbox

    def known(nonce, code_keys):
        return was_sent_as(code_keys.envelope_id(0), outbox, nonce=nonce, now=NOW)

    assert not known(form.nonce, keys)
    submit(form, context, now=NOW)
    assert known(form.nonce, keys)
    outbox.settle(keys.envelope_id(0))
    assert [known(form.nonce, keys), known(form.nonce, others), known(b"another form", keys)] == [True, False, False]
    assert not outbox.was_sent(keys.envelope_id(0).encode(), NOW)


def test_words_alone_are_sealed_and_put_at_once(context):
    """One envelope, of which nothing was held."""
    assert submit(submission(), context, now=NOW).draft is None
    ((identifier, bundle),) = waiting(context).items()
    assert read_words(bundle).tip.id == identifier


def test_a_tip_with_files_waits_in_memory_until_it_is_confirmed(context):
    """Nothing is in the outbox before; then its words and every part are, and give the files back byte for byte."""
    sent = submission(PHOTOGRAPH, b"bad", b"a note")
    submitted = submit(sent, context, now=NOW)
    assert [type(file) for file in submitted.files] == [CleanedFile, RefusedFile, CleanedFile]
    assert waiting(context) == {}
    assert confirm(submitted.draft, context, nonce=sent.nonce, now=NOW) == 21
    found = waiting(context)
    assert len(found) == 22
    words = next(read_words(bundle) for bundle in found.values() if b"tip.json" in bundle[:60])
    tip = from_bundles(words, [read_part(bundle) for bundle in found.values() if b"part.json" in bundle[:60]])
    assert [(file.path, file.data) for file in tip.files] == [("files/1.jpg", PHOTOGRAPH), ("files/3.jpg", b"a note")]
    kinds = context.outbox.memory.kinds(context.agency.id)
    assert kinds[words.tip.id] == EnvelopeKind("words", 21)
    with pytest.raises(AlreadySentError):
        confirm(submitted.draft, context, nonce=sent.nonce, now=NOW)


LOCATOR = "0123456789abcdef0123456789abcdef"


def numbers(context):
    """The day and number of each answer that waits, by what it says."""
    tips = [read_words(bundle).tip for bundle in waiting(context).values() if b"tip.json" in bundle[:60]]
    return {tip.answers["what"]: (tip.received.isoformat(), tip.number) for tip in tips}


def answer(what: str, *files: bytes, locator: str = LOCATOR) -> Submission:
    return Submission({"what": what}, os.urandom(16), list(files), answers_to=locator)


def test_answers_are_numbered_in_the_order_in_which_they_are_sent(context):
    """A held answer gets its day and number when it is sent, not when it is held; a first tip has no number."""
    held, first = answer("second", b"a note"), submission()
    draft = submit(held, context, now=NOW).draft
    for each in (answer("first"), answer("elsewhere", locator=LOCATOR[::-1]), first):
        submit(each, context, now=NOW)
    confirm(draft, context, nonce=held.nonce, now=NOW + 60)
    submit(answer("third"), context, now=NOW + 120)
    submit(answer("the next day"), context, now=NOW + 86_400)
    assert numbers(context) == {
        "first": ("2027-01-15", 1),
        "second": ("2027-01-15", 2),
        "third": ("2027-01-15", 3),
        "elsewhere": ("2027-01-15", 1),
        first.answers["what"]: ("2027-01-15", 0),
        "the next day": ("2027-01-16", 1),
    }


def test_an_answer_that_is_held_over_midnight_has_the_day_on_which_it_was_sent(context):
    """The day and the number are those of the confirmation; every file still belongs to its words."""
    held = answer("late", PHOTOGRAPH)
    midnight = nz_day_end(NOW)
    draft = submit(held, context, now=midnight - 600).draft
    submit(answer("early"), context, now=midnight - 300)
    confirm(draft, context, nonce=held.nonce, now=midnight + 600)
    assert numbers(context) == {"early": ("2027-01-15", 1), "late": ("2027-01-16", 1)}
    bundles = waiting(context).values()
    words = next(each for each in map(read_words, (one for one in bundles if b"tip.json" in one[:60])) if each.files)
    parts = [read_part(bundle) for bundle in bundles if b"part.json" in bundle[:60]]
    assert [file.data for file in from_bundles(words, parts).files] == [PHOTOGRAPH]


def _is_away(_write):
    raise OutboxError("database-away")


def test_an_answer_that_failed_keeps_its_number(context, monkeypatch):
    """A form whose answer could not be put is sent again under the same number, and the next form gets the next."""
    first, second = answer("first"), answer("second")
    with monkeypatch.context() as patch:
        patch.setattr(context.outbox.database, "write_with_others", _is_away)
        with pytest.raises(OutboxError):
            submit(replace(first), context, now=NOW)
    submit(second, context, now=NOW)
    submit(first, context, now=NOW)
    assert {what: number for what, (_, number) in numbers(context).items()} == {"first": 1, "second": 2}


def test_without_a_memory_store_an_answer_is_sent_without_a_number(context):
    """The order within the day is not known then, and nothing is lost."""
    context.outbox.memory = None
    submit(answer("words"), context, now=NOW)
    assert numbers(context) == {"words": ("2027-01-15", 0)}


def test_a_held_tip_is_sealed_to_the_recipients_of_the_moment_of_its_confirmation(context):
    """A key that was changed while the tip was held opens the tip; the key of before does not."""
    sent = submission(b"a note")
    draft = submit(sent, context, now=NOW).draft
    identity = new_identity()
    changed = replace(context, agency=replace(context.agency, recipients=(recipient_of(identity),)))
    confirm(draft, changed, nonce=sent.nonce, now=NOW)
    assert len(waiting(changed, identity)) == 2


def test_a_confirmation_that_failed_can_be_tried_again(context, monkeypatch):
    """While the database is away nothing is called sent, and the tip is still held."""
    sent = submission(b"a note")
    draft = submit(sent, context, now=NOW).draft
    with monkeypatch.context() as patch:
        patch.setattr(context.outbox.database, "write_with_others", _is_away)
        with pytest.raises(OutboxError):
            confirm(draft, context, nonce=sent.nonce, now=NOW)
    confirm(draft, context, nonce=sent.nonce, now=NOW)
    assert len(waiting(context)) == 2


def test_a_destroyed_tip_is_no_longer_there(context):
    """A confirmation after the tip was destroyed raises HeldGoneError, never "already sent"."""
    sent = submission(b"a note")
    draft = submit(sent, context, now=NOW).draft
    context.held.discard(draft, now=NOW)
    with pytest.raises(HeldGoneError):
        confirm(draft, context, nonce=sent.nonce, now=NOW)
    assert waiting(context) == {}


def test_the_ids_of_a_tip_with_a_receipt_code_follow_from_the_code(context):
    """Words and parts bear the ids that the code gives, in order; without a code the ids are random."""
    keys = derive_keys(new_code())
    sent = submission(PHOTOGRAPH[:300_000], envelope_id=keys.envelope_id)
    draft = submit(sent, context, now=NOW).draft
    confirm(draft, context, nonce=sent.nonce, now=NOW)
    found = waiting(context)
    assert set(found) == {keys.envelope_id(number) for number in range(4)}
    assert read_words(found[keys.envelope_id(0)]).tip.id == keys.envelope_id(0)
    assert read_part(found[keys.envelope_id(3)]).number == 3


def test_files_that_grow_when_they_are_cleaned_are_refused(context):
    """Cleaned files may take 4 MiB, or ten times the upload where that is more."""
    for uploaded, cleaned, taken in (
        (100, 4 * 1024**2, True),
        (100, 4 * 1024**2 + 1, False),
        (500_000, 5_000_000, True),
    ):
        growing = replace(context, clean_files=lambda _, _networks, size=cleaned: clean([bytes(size)]))
        if taken:
            assert submit(submission(bytes(uploaded)), growing, now=NOW).draft
        else:
            with pytest.raises(BundleError, match="too-large"):
                submit(submission(bytes(uploaded)), growing, now=NOW)


def test_files_are_refused_before_the_disk_has_no_more_room_for_words(context, tmp_path):
    """With less free than `words_room`, files are refused before they are cleaned, and words are taken."""
    short = replace(context, words_room=shutil.disk_usage(tmp_path).total, clean_files=None)
    with pytest.raises(HeldFullError):
        submit(submission(b"a note"), short, now=NOW)
    submit(submission(), short, now=NOW)
    assert len(waiting(short)) == 1


@pytest.mark.parametrize(
    ("parts", "forward", "hours"),
    [
        (1, FORWARD, 2),
        (22, FORWARD, 2),
        (200, FORWARD, 16),
        (200, replace(FORWARD, cells=64), 4),
        (22, ForwardConfig(window=3600, cells=8, stock=32), 16),
        (1, ForwardConfig(window=5, cells=4, stock=16), 2),
    ],
)
def test_the_hours_that_files_take_follow_from_parts_and_cells(context, parts, forward, hours):
    """A quarter of the cells is for parts: the hours are the next power of two, and at least two."""
    assert arrival_hours(parts, context, forward) == hours


def test_the_hours_count_the_parts_that_wait_before(context):
    """Parts of others that wait make it longer; decoys and words do not."""
    sent = submission(PHOTOGRAPH)
    confirm(submit(sent, context, now=NOW).draft, context, nonce=sent.nonce, now=NOW)
    assert arrival_hours(1, context, replace(FORWARD, cells=4)) == arrival_hours(21, context, replace(FORWARD, cells=4))


def test_the_hours_count_the_parts_for_any_agency(context):
    """Who sends to one agency reads the same hours as who sends to another, and does not learn for which parts wait."""
    second = replace(context.agency, id="police")
    to_first, to_second = replace(context, others=[second]), replace(context, agency=second, others=[context.agency])
    sent, forward = submission(PHOTOGRAPH), replace(FORWARD, cells=4)
    confirm(submit(sent, to_second, now=NOW).draft, to_second, nonce=sent.nonce, now=NOW)
    assert arrival_hours(1, to_first, forward) == arrival_hours(1, to_second, forward)
    assert arrival_hours(1, to_first, forward) > arrival_hours(1, context, forward)


@pytest.mark.parametrize("agencies", [1, 2, 3])
def test_an_open_tip_counts_the_memory_of_the_decoys_for_other_agencies(tmp_path, context, agencies):
    """While a held tip is sent, its bytes count once, and once more for each agency that gets envelopes."""
    room = NetworkShares(10**9)
    held = HeldTipStore(context.outbox.memory, context.outbox, room=room, agencies=agencies)
    draft = submit(submission(PHOTOGRAPH), replace(context, held=held), now=NOW).draft
    size = context.outbox.memory.held_size(memory_key(draft), NOW)
    with held.opened(draft, now=NOW):
        assert room.used == (1 + agencies) * size


def test_beyond_so_many_requests_with_files_one_network_is_told_to_come_later(context, monkeypatch):
    """One network has a quarter of the places in which files are cleaned, and waits for more; others have theirs."""
    monkeypatch.setattr("app.site.report.submit._WAIT_SECONDS", 0.1)
    seen = []

    def nested(files, networks):
        seen.append(networks)
        if len(seen) == 1:
            for name in ("greedy", "honest"):
                try:
                    submit(submission(b"a note", networks=(name,)), inner, now=NOW)
                except BusyError:
                    seen.append(("refused", name))
        return clean(files)

    inner = replace(context, clean_files=nested)
    assert context.waiting.take(("greedy",))
    submit(submission(b"a note", networks=("greedy",)), inner, now=NOW)
    assert seen == [("greedy",), ("refused", "greedy"), ("honest",)]
    assert context.waiting.used == 1
