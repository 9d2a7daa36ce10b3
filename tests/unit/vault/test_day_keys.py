"""Batches of day keys: one recipient a day, signed, of one form, and never the agency's own key."""

import json
from base64 import b64encode
from datetime import date, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import KeyTextError, SignatureError
from app.vault.day_keys import MAX_BATCH_BYTES, MAX_BATCH_DAYS, DayKeyBatch, read_batch, sign_batch
from app.vault.keys import key_fingerprint, new_identity, recipient_of
from app.vault.signature import SignatureContext, public_bytes, sign

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = public_bytes(KEY)
OWN = recipient_of(new_identity())
FIRST = date(2027, 4, 3)  # daylight saving ends on the next day
DAYS = tuple(recipient_of(new_identity()) for _ in range(4))
BATCH = DayKeyBatch(2027040301, key_fingerprint([OWN]), FIRST, DAYS)


def signed(line):
    """Return a batch of any bytes, with a right signature."""
    return line + b"\n" + sign(SignatureContext.DAY_KEYS, line, KEY).encode() + b"\n"


def test_a_batch_has_one_key_for_each_day():
    """A batch that was signed is read again: each of its days has its key, and no other day has one."""
    batch = read_batch(sign_batch(BATCH, KEY), PUBLIC, [recipient_of(new_identity()), OWN])
    assert batch == BATCH
    assert [batch.recipient_on(FIRST + timedelta(days=count)) for count in range(-1, 5)] == [None, *DAYS, None]
    assert batch.last == date(2027, 4, 6)


def test_an_envelope_that_holds_nothing_gets_the_nearest_key():
    """Before the first day and after the last the nearest key of the batch stands in, which no tip uses."""
    days = (date.min, FIRST, FIRST + timedelta(days=2), BATCH.last, date.max)
    assert [BATCH.nearest_recipient(day) for day in days] == [DAYS[0], DAYS[0], DAYS[2], DAYS[3], DAYS[3]]


def test_a_batch_of_another_signer_is_refused():
    """A forged batch, a changed byte and a signature of another context are refused before anything is read."""
    data, other = sign_batch(BATCH, KEY), Ed25519PrivateKey.generate()
    line = data.split(b"\n")[0]
    context = line + b"\n" + sign(SignatureContext.REFERRAL, line, KEY).encode() + b"\n"
    for forged in (sign_batch(BATCH, other), data.replace(b"2027-04-03", b"2027-04-04"), context):
        with pytest.raises(SignatureError):
            read_batch(forged, PUBLIC, [OWN])


def test_a_batch_of_another_agency_is_refused():
    """A batch that names another agency's key is refused, although one desk signed both."""
    with pytest.raises(KeyTextError, match="other-agency"):
        read_batch(sign_batch(BATCH, KEY), PUBLIC, [recipient_of(new_identity())])


@pytest.mark.parametrize(
    "change",
    [
        {"recipients": []},
        {"recipients": [DAYS[0], DAYS[0]]},
        {"recipients": [DAYS[0], OWN]},
        {"recipients": [DAYS[0], "age1qqqq"]},
        {"recipients": [DAYS[0], 7]},
        {"recipients": [DAYS[0]] * (MAX_BATCH_DAYS + 1)},
        {"first": "2027-4-3"},
        {"first": "9999-12-31"},
        {"first": None},
        {"number": 0},
        {"number": True},
        {"number": 10**12},
        {"number": "1"},
        {"agency_key": "0000"},
        {"format": "haumaru-day-keys/2"},
        {"more": 1},
    ],
    ids="-".join,
)
def test_a_signed_batch_of_another_form_is_refused(change):
    """Even a desk's own signature lets no other form pass: no key twice, never the agency's own, no odd day."""
    value = json.loads(sign_batch(BATCH, KEY).split(b"\n")[0]) | change
    with pytest.raises(KeyTextError):
        read_batch(signed(json.dumps(value, separators=(",", ":")).encode()), PUBLIC, [OWN])


def test_bytes_that_are_no_batch_are_refused():
    """An empty file, one line, a third line, a space more, deep JSON and a file that is too long are refused."""
    data = sign_batch(BATCH, KEY)
    line = data.split(b"\n")[0]
    spaced = signed(line.replace(b":", b": ", 1))
    unlike = (b"", line, data + b"x", data.rstrip(b"\n"), spaced, signed(b"[" * 100_000), signed(b"\xff"))
    for other in (*unlike, signed(b"1" * MAX_BATCH_BYTES), b64encode(data)):
        with pytest.raises((KeyTextError, SignatureError)):
            read_batch(other, PUBLIC, [OWN])
