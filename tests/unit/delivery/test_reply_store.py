"""The store of replies: who may post a reply, what is kept, and for how long."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import ReplyError, ReplyKnownError
from app.delivery.outbox import Outbox
from app.delivery.receipt_codes import (
    ReceiptCode,
    derive_keys,
    new_code,
)
from app.delivery.reply_store import ReplyPost, ReplyStore, read_reply_post
from app.delivery.schema import message_spares, messages, posted, replies
from app.vault.reply import SEALED_BYTES, open_reply, seal_reply

NOW = datetime(2026, 11, 22, 5, 43, 21, tzinfo=UTC).timestamp()
TODAY = date(2026, 11, 22)
DAY = 86_400

# The code, and what Node's argon2Sync and hkdfSync derive from it.
CODE = ReceiptCode("abandon ability able about above absent absorb banana")
LOCATOR = "6d80ca45dea0e6b1928afeb6be42c47b"
REPLY_KEY = "1b62bd13864e8dfade9bf09608d2073393af436632c561fa6625d84f19c1c07b"


@pytest.fixture
def box(outbox) -> ReplyStore:
    return ReplyStore(outbox.database)


def make(reply_id: str = "r1", *, days: int = 90, locator: str = LOCATOR, message: bytes = b"") -> ReplyPost:
    return ReplyPost("intake", reply_id, locator, TODAY + timedelta(days=days), message.ljust(SEALED_BYTES, b"."))


# Posts


KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYS = {"intake": KEY.public_key().public_bytes_raw(), "other": OTHER.public_key().public_bytes_raw()}


def body(**changes: object) -> bytes:
    fields = {
        "agency": "intake",
        "reply_id": "r1",
        "locator": LOCATOR,
        "expires": "2026-12-24",
        "message": base64.b64encode(bytes(SEALED_BYTES)).decode(),
    }
    return json.dumps(fields | changes).encode()


def signed(raw: bytes, key: Ed25519PrivateKey = KEY, context: bytes = b"haumaru/reply-post/1") -> str:
    return base64.b64encode(key.sign(context + raw)).decode()


def test_a_signed_post_is_read():
    """A post that the agency's desk signed is read as what it says."""
    raw = body()
    assert len(raw) < 64 * 1024
    post = read_reply_post(raw, signed(raw), KEYS)
    assert post == ReplyPost("intake", "r1", LOCATOR, date(2026, 12, 24), bytes(SEALED_BYTES))


@pytest.mark.parametrize(
    ("raw", "signature"),
    [
        (body(), ""),
        (body(), "not base64!"),
        (body(), "\ud800"),
        (body(), base64.b64encode(bytes(64)).decode()),
        (body(), signed(body() + b" ")),
        (body() + b" ", signed(body())),
        (body(), signed(body(), context=b"")),
        (body(), signed(body(), Ed25519PrivateKey.generate())),
        (body(), signed(body(), OTHER)),
        (b"x" * 65_537, signed(b"x" * 65_537)),
        *(
            (raw, signed(raw))
            for raw in (
                b"",
                b"\xff",
                b"[]",
                b"null",
                b"{}",
                b"[" * 60_000,
                body(agency="other"),
                body(agency=["intake"]),
                body(reply_id=""),
                body(reply_id=7),
                body(reply_id="\ud800"),
                body(locator="x"),
                body(locator=LOCATOR.upper()),
                body(locator=LOCATOR + "\n"),
                body(locator=None),
                body(expires="soon"),
                body(expires=20261224),
                body(message="*"),
                body(message=base64.b64encode(bytes(SEALED_BYTES - 1)).decode()),
                body(message=None),
            )
        ),
    ],
    ids=len,
)
def test_posts_refused(raw, signature):
    """Without a good signature, by this agency, over this very body, or with a fault in it, it is a 403."""
    with pytest.raises(ReplyError) as caught:
        read_reply_post(raw, signature, KEYS)
    assert caught.value.status == 403
    assert caught.value.__cause__ is None


# The box


def test_a_reply_is_fetched_by_its_code(box):
    """A reply that a desk sealed is found under the code's locator and opens with its key, and only so."""
    keys = derive_keys(CODE)
    locator, key = keys.locator, keys.reply_key
    sealed = seal_reply({"text": "Kia ora"}, key, locator)
    box.store(make(message=sealed), now=NOW)
    (found,) = box.fetch(locator, now=NOW)
    assert open_reply(found, key, locator) == {"text": "Kia ora"}
    assert box.fetch(derive_keys(new_code()).locator, now=NOW) == ()


def test_several_replies_under_one_locator(box):
    """Replies under one locator come with the one that ends first first, and go together; others stay."""
    box.store(make("late", days=9, message=b"late"), now=NOW)
    box.store(make("soon", days=3, message=b"soon"), now=NOW)
    box.store(make("other", locator="0" * 32, message=b"other"), now=NOW)
    assert [found[:4] for found in box.fetch(LOCATOR, now=NOW)] == [b"soon", b"late"]
    box.delete(LOCATOR)
    box.delete(LOCATOR)
    assert box.fetch(LOCATOR, now=NOW) == ()
    assert len(box.fetch("0" * 32, now=NOW)) == 1


def test_a_reply_id_is_known_until_its_day(box):
    """The same post again is a 409, though the reply was deleted; after its day it is refused as past."""
    box.store(make(days=5), now=NOW)
    for deleted in (False, True):
        with pytest.raises(ReplyKnownError) as caught:
            box.store(make(days=5), now=NOW + 5 * DAY)
        assert caught.value.status == 409
        if not deleted:
            box.delete(LOCATOR)
    assert box.fetch(LOCATOR, now=NOW) == ()
    with pytest.raises(ReplyError, match="expires"):
        box.store(make(days=5), now=NOW + 6 * DAY)


@pytest.mark.parametrize(("days", "good"), [(-1, False), (0, True), (90, True), (91, False), (4000, False)])
def test_days_that_are_taken(box, days, good):
    """A reply may end today or up to 90 days from now."""
    if good:
        box.store(make(days=days), now=NOW)
        assert len(box.fetch(LOCATOR, now=NOW)) == 1
    else:
        with pytest.raises(ReplyError, match="expires"):
            box.store(make(days=days), now=NOW)


def count(outbox: Outbox) -> list[int]:
    with outbox.database.read() as connection:
        return [len(connection.execute(table.select()).all()) for table in (replies, messages, message_spares, posted)]


def test_replies_end(outbox, box):
    """Past its day a reply is not found, and the next tidying, or the next post, destroys all of it."""
    box.store(make("one", days=2), now=NOW)
    box.store(make("two", days=4), now=NOW)
    for days in range(3):
        outbox.tidy(NOW + days * DAY)
    assert len(box.fetch(LOCATOR, now=NOW + 2 * DAY)) == 2
    assert len(box.fetch(LOCATOR, now=NOW + 3 * DAY)) == 1
    assert count(outbox) == [2, 2, 2, 2]
    outbox.tidy(NOW + 3 * DAY)
    assert count(outbox) == [1, 1, 1, 1]
    outbox.tidy(NOW + 4 * DAY)
    box.store(make("three", days=50), now=NOW + 5 * DAY)
    assert count(outbox) == [1, 1, 1, 1]


def run_steadily(outbox, first: int, last: int) -> None:
    """Look at the clock on each of some days, as a forwarder that runs does."""
    for days in range(first, last + 1):
        outbox.tidy(NOW + days * DAY)


@pytest.mark.parametrize("jump", [92, 365, 4000])
def test_a_clock_that_jumps_forward_destroys_no_reply(outbox, box, jump):
    """After a jump of months nothing is destroyed for a day, whatever looks at the clock; put right, all is there."""
    run_steadily(outbox, -3, 0)
    box.store(make(days=90), now=NOW)
    for minutes in (0, 1, 15, 60, 12 * 60, 23 * 60):
        later = NOW + jump * DAY + 60 * minutes
        outbox.tidy(later)
        with suppress(ReplyError):
            box.store(make("another", days=jump + 1, locator="0" * 32), now=later)
    assert box.fetch(LOCATOR, now=NOW + jump * DAY) == ()
    run_steadily(outbox, 0, 3)
    assert len(box.fetch(LOCATOR, now=NOW + 3 * DAY)) == 1


def test_a_clock_that_jumps_twice_destroys_no_reply(outbox, box):
    """A second jump, over the next midnight too, begins the count again."""
    run_steadily(outbox, -3, 0)
    box.store(make(days=90), now=NOW)
    for days in (92, 93, 200, 201, 0, 120, -500, 4):
        outbox.tidy(NOW + days * DAY)
    assert len(box.fetch(LOCATOR, now=NOW)) == 1


def test_after_a_pause_replies_end_once_the_clock_has_run_for_a_day(outbox, box):
    """A forwarder that was off for half a year destroys what has ended at the second midnight that it sees."""
    box.store(make(days=90), now=NOW)
    seen = []
    for days in (180, 181, 182):
        outbox.tidy(NOW + days * DAY)
        seen.append(count(outbox)[0])
    assert seen == [1, 1, 0]


def test_machines_that_pass_midnight_one_after_the_other_keep_the_clock_steady(outbox, box):
    """Two machines whose clocks differ by minutes destroy what has ended, as one machine does."""
    box.store(make(days=2), now=NOW)
    midnight = datetime(2026, 11, 22, 11, 0, tzinfo=UTC).timestamp()
    for day in range(4):
        for seconds in (-60, 60, -30, 90):
            outbox._tidied = 0
            outbox.tidy(midnight + day * DAY + seconds)
    assert count(outbox) == [0, 0, 0, 0]


def test_a_reply_ends_at_midnight_in_auckland(box):
    """A reply is found up to the last second of its day in New Zealand, in summer time too, and not a second later."""
    box.store(make(days=2), now=NOW)
    midnight = datetime(2026, 11, 24, 11, 0, tzinfo=UTC).timestamp()
    assert len(box.fetch(LOCATOR, now=midnight - 1)) == 1
    assert box.fetch(LOCATOR, now=midnight) == ()


def test_a_deleted_reply_is_gone_from_the_files(tmp_path):
    """No byte of a deleted reply is in the files; the code and its key never were."""
    outbox = Outbox(f"sqlite:///{tmp_path}/o.db")
    outbox.prepare()
    box = ReplyStore(outbox.database)
    keys = derive_keys(CODE)
    locator, key = keys.locator, keys.reply_key
    sealed = seal_reply({"text": "Kia ora"}, key, locator)
    box.store(make("a-reply-id", message=sealed), now=NOW)
    before = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    box.delete(locator)
    after = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    outbox.database.close()
    assert sealed[:64] in before
    assert locator.encode() in before
    assert sealed[:64] not in after
    assert locator.encode() not in after
    for never in (CODE.encode(), key, key.hex().encode(), b"a-reply-id"):
        assert never not in before


def test_many_posts_of_one_reply(box):
    """Of many posts of one reply at once, one is stored."""

    def post(_: int) -> str:
        try:
            box.store(make(), now=NOW)
        except ReplyKnownError:
            return "known"
        return "stored"

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(8))) == ["known"] * 7 + ["stored"]
    assert len(box.fetch(LOCATOR, now=NOW)) == 1
