"""Submit a first tip or an answer to a reply: clean its files, make its bundles, seal them, put them into the outbox.

`submit` touches no disk before the tip is sealed and keeps no plaintext after it. A tip with files is held in memory,
encrypted, until `confirm`. "Sent" is said only once the outbox has every envelope on disk; where the outbox cannot
promise that, both raise, and nothing was sent.
"""

import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

from app.core.errors import (
    AlreadySentError,
    BundleError,
    BusyError,
    HeldDestroyedError,
    HeldFullError,
    MemoryStoreError,
)
from app.delivery.clock import nz_day
from app.delivery.memory_store import PART
from app.delivery.outbox import Envelope, Outbox
from app.files.clean import CleanedFile, RefusedFile
from app.files.uploads import memory_to_clean_uploads
from app.site.agencies import AgencyConfig, new_decoy_envelope
from app.site.config import ForwardConfig
from app.site.report.held import DRAFT_BYTES, HeldBundles, HeldTipStore
from app.site.report.held_files import FindWords, HeldFile, held_files, notes_of_files
from app.vault.age import seal
from app.vault.tip import ReplyTo, Tip, TipFile, TipId, new_tip_id
from app.vault.tip_bundles import Bundle, FileEntry, TipBundles, read_words, renumbered
from app.web.network_shares import NetworkShares

CleanFiles = Callable[[Sequence[bytes], Sequence[str]], Sequence[CleanedFile | RefusedFile]]
CleanedFiles = tuple[CleanedFile | RefusedFile, ...]
# Cleaned files take at most the larger of these: a picture of one colour must not become a hundred envelopes.
_MIN_CLEANED_BYTES = 4 * 1024**2
_MAX_GROWTH = 10  # times what was uploaded
_WAIT_SECONDS = 30.0


@dataclass(frozen=True)
class Submission:
    """What one person sends: answers without hidden characters and within their limits, and files as they came.

    `nonce` makes a form send once. `reply_to` is where the desk may leave a reply; `answers_to` is the locator of the
    reply that this submission answers, and `replies` is what it says to questions of the desk, by their ids;
    `withdraw` asks the desk not to pass the report on.
    `envelope_id` makes the ids of the envelopes from the receipt code (0 for the words, then the parts); without it
    they are random. `networks` are the sender's, narrowest first, under hourly names: files wait for their turns by
    network, and none may hold more than its share. `untrusted_files` is empty once
    they are cleaned, so that they take no memory any more.
    """

    answers: Mapping[str, str | tuple[str, ...]]
    nonce: bytes
    untrusted_files: list[bytes] = field(default_factory=list)
    reply_to: ReplyTo | None = None
    answers_to: str | None = None
    replies: Mapping[str, str] = field(default_factory=dict)
    withdraw: bool = False
    envelope_id: Callable[[int], TipId] | None = None
    networks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SubmissionContext:
    """What a submission passes through: the agency, the outbox, held tips, and the cleaning of files.

    Files are taken only while `words_room` bytes are free where the outbox lies. `waiting` has a place for each request
    whose files are cleaned or wait, and `memory` counts the bytes that they take. `find_words` finds in a text file
    what may say who wrote it. Each of `others`, the agencies to which the submission does not go, gets as many decoys
    as the submission has envelopes, so that nobody sees which agency was chosen.
    """

    agency: AgencyConfig
    outbox: Outbox
    held: HeldTipStore
    clean_files: CleanFiles
    words_room: int
    waiting: NetworkShares
    memory: NetworkShares
    find_words: FindWords = lambda _text: ()
    others: Sequence[AgencyConfig] = ()


@dataclass(frozen=True)
class Submitted:
    """What became of a submission: its files, and the draft of a held tip, None for one that is on its way.

    `held_until` is the end, in unix seconds, to which the held tip can be extended. `shown` is what its page shows of
    each file that was not refused.
    """

    files: CleanedFiles = ()
    draft: bytes | None = None
    held_until: int = 0
    shown: tuple[HeldFile, ...] = ()


def submit(
    submission: Submission, context: SubmissionContext, *, most_waiting: int | None = None, now: float
) -> Submitted:
    """Seal a submission to the agency and put it into the outbox; with files, hold it until it is confirmed.

    `now` is in unix seconds; the tip keeps only its day. Raises BundleError `too-large`, FileRefusedError, BusyError,
    WordsFullError where `most_waiting` words of tips wait already, or another OutboxError; then nothing was sent.
    """
    if not submission.untrusted_files:
        locator = submission.answers_to
        number = context.outbox.number_answer(locator, submission.nonce, now) if locator else 0
        sealed = _seal_bundles(_bundles(submission, (), now, number), context.agency, now)
        nonce, covers = submission.nonce, _covers(context, len(sealed), now)
        also = _form_with_words(nonce, sealed[0].id) if submission.envelope_id else None
        context.outbox.put(sealed, covers=covers, nonce=nonce, now=now, most_waiting=most_waiting, also=also)
        return Submitted()
    _require_room_to_hold(context, most_waiting, now)
    with _memory_for_files(submission, context):
        files = _clean(submission, context)
        submission.untrusted_files.clear()
        _require_room_to_hold(context, most_waiting, now)  # cleaning took its time
        taken = [file for file in files if isinstance(file, CleanedFile)]
        notes, draft = notes_of_files(taken, context.find_words), secrets.token_bytes(DRAFT_BYTES)
        bundles = _bundles(submission, taken, now)
        latest = context.held.hold(
            draft, bundles, nonce=submission.nonce, networks=submission.networks, now=now, notes=notes
        )
        entries = [FileEntry(file.path, file.type, len(file.data), file.removed) for file in taken]
        return Submitted(files, draft, latest, held_files(entries, notes))


def confirm(draft: bytes, context: SubmissionContext, *, nonce: bytes, now: float, networks: Sequence[str] = ()) -> int:
    """Seal a held tip to the agency and put it into the outbox; return the number of its parts.

    An answer gets the day of `now`, and its number among the answers of that day.
    Raises AlreadySentError, HeldGoneError or another OutboxError, or BusyError; then nothing was sent just now.
    """
    try:
        with context.held.opened(draft, now=now, networks=networks) as bundles:
            sealed = _seal_bundles(_as_sent(bundles, context, nonce, now), context.agency, now)
            covers, also = _covers(context, len(sealed), now), _form_with_words(nonce, sealed[0].id)
            context.outbox.put(sealed, covers=covers, nonce=nonce, draft=draft, now=now, also=also)
            parts = len(bundles) - 1
    except AlreadySentError:
        if context.held.was_discarded(draft, now=now):
            raise HeldDestroyedError from None
        raise
    context.held.drop(draft)
    return parts


def was_sent_as(words_id: TipId, outbox: Outbox, *, nonce: bytes, now: float) -> bool:
    """Return whether a form was sent with the receipt code from which `words_id` follows: True where that is sure.

    The words are in the outbox, or were put less than 45 minutes ago. Raises OutboxError.
    """
    return bool(outbox.present([words_id])) or outbox.was_sent(_form_with_words(nonce, words_id), now)


def arrival_hours(parts: int, context: SubmissionContext, forward: ForwardConfig, *, late: float = 0.0) -> int:
    """Return within how many hours the `parts` of a tip leave: 2, 4, 8 …, with the parts that wait before them.

    The most that wait for any agency count, so that nobody who sends to one learns for which one parts wait.
    At least a quarter of the cells are for parts while any wait. The time is given as longer by `late`, a part of the
    time that is drawn for each network and hour: so the powers of two do not tell when one part more waits.
    """
    waiting = 0
    with suppress(MemoryStoreError):
        memory, ids = context.outbox.memory, [agency.id for agency in (context.agency, *context.others)]
        waiting = max(sum(kind.name == PART for kind in memory.kinds(each).values()) for each in ids) if memory else 0
    seconds = (4 * max(parts, waiting) / forward.cells + 1) * forward.window * (1 + late)
    hours = 2
    while 3600 * hours < seconds:
        hours *= 2
    return hours


def _form_with_words(nonce: bytes, words_id: TipId) -> bytes:
    """Return a secret by which nobody finds the envelope of a tip but from the page of its form."""
    return nonce + words_id.encode()


def _require_room_to_hold(context: SubmissionContext, most_waiting: int | None, now: float) -> None:
    """Raise WordsFullError where too many words wait: a held tip is sent later, whatever waits then."""
    if most_waiting is not None:
        context.outbox.require_room(most_waiting, now=now, to_hold=True)


def _memory_for_files(submission: Submission, context: SubmissionContext) -> AbstractContextManager[None]:
    """Hold the memory that cleaning takes beside the files as they came; raises BusyError where there is none soon."""
    amount = memory_to_clean_uploads(submission.untrusted_files)
    return context.memory.hold_more(submission.networks, amount, seconds=_WAIT_SECONDS)


def _clean(submission: Submission, context: SubmissionContext) -> CleanedFiles:
    """Return the files, cleaned or refused.

    Raises HeldFullError where the disk has room for words alone, BusyError where no file had its turn in time.
    """
    untrusted_files, networks = submission.untrusted_files, submission.networks
    folder = context.outbox.database.path and context.outbox.database.path.parent
    if folder and shutil.disk_usage(folder).free < context.words_room:
        raise HeldFullError
    if not context.waiting.wait_for(networks, seconds=_WAIT_SECONDS):
        raise BusyError
    try:
        files = tuple(context.clean_files(untrusted_files, networks))
    finally:
        context.waiting.give_back(networks)
    if all(isinstance(file, RefusedFile) and file.code == "no-time" for file in files):
        raise BusyError("no-time")
    uploaded = sum(map(len, untrusted_files))
    cleaned = sum(len(file.data) for file in files if isinstance(file, CleanedFile))
    if cleaned > max(_MIN_CLEANED_BYTES, _MAX_GROWTH * uploaded):
        raise BundleError("too-large")
    return files


def _as_sent(bundles: HeldBundles, context: SubmissionContext, nonce: bytes, now: float) -> Iterator[Bundle]:
    following = iter(bundles)
    first = next(following)
    words = read_words(first.data)
    if locator := words.tip.answers_to:
        number = context.outbox.number_answer(locator, nonce, now)
        first = renumbered(words, received=nz_day(now), number=number)
    yield first
    yield from following


def _seal_bundles(bundles: Iterable[Bundle], agency: AgencyConfig, now: float) -> list[Envelope]:
    recipients = agency.recipients_at(now)
    return [Envelope(bundle.id, agency.id, seal(bundle.data, recipients)) for bundle in bundles]


def _covers(context: SubmissionContext, count: int, now: float) -> list[Envelope]:
    return [new_decoy_envelope(agency, now) for agency in context.others for _ in range(count)]


def _bundles(submission: Submission, files: Sequence[CleanedFile], now: float, number: int = 0) -> TipBundles:
    new_id = submission.envelope_id or (lambda _number: new_tip_id())
    tip = Tip(
        id=new_id(0),
        received=nz_day(now),
        answers=submission.answers,
        files=tuple(TipFile(path=file.path, type=file.type, removed=file.removed, data=file.data) for file in files),
        reply=submission.reply_to,
        answers_to=submission.answers_to,
        number=number,
        replies=submission.replies,
        withdraw=submission.withdraw,
    )
    return TipBundles(tip, part_ids=new_id)
