"""Unsealing: what an independent tool sealed, what was damaged, and the files that hold identities."""

import os
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import EnvelopeError, KeyTextError
from app.vault import keys
from app.vault.age import seal
from app.vault.age_open import read_identity_file, unseal, write_identity_file
from tests.support.age_tools import run

IDENTITIES = [keys.new_identity() for _ in range(3)]
RECIPIENTS = [keys.recipient_of(identity) for identity in IDENTITIES]
PLAIN_IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PLAIN_RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
SMALL = seal(b"a tip", RECIPIENTS[:1])
LARGE = seal(bytes(range(256)) * 300, RECIPIENTS[:1])
PASSPHRASE = "kōwhai 中文 horse"


def refused(envelope: bytes) -> str:
    """Return the code with which an envelope is refused."""
    with pytest.raises(EnvelopeError) as caught:
        unseal(envelope, IDENTITIES[:1])
    return caught.value.code


@pytest.mark.needs("node")
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 25_000_000])
def test_what_an_independent_tool_sealed_opens(size, count, tmp_path):
    """We open what an age tool that shares no code with ours sealed to hybrid recipients."""
    data = os.urandom(size)
    envelope = run.age("seal", data, tmp_path, RECIPIENTS[:count])
    assert unseal(envelope, [IDENTITIES[count - 1]]) == data


@pytest.mark.needs("node")
@pytest.mark.parametrize("size", [0, 1, 30, 65_537, 1_000_000])
def test_armored_and_plain_envelopes_open(size, tmp_path):
    """Armor is read as a stream, and an X25519 stanza opens with an X25519 identity."""
    data = os.urandom(size)
    envelope = run.age("armor", data, tmp_path, [PLAIN_RECIPIENT])
    assert envelope.startswith(b"-----BEGIN")
    assert unseal(envelope, [IDENTITIES[0], PLAIN_IDENTITY]) == data
    assert unseal(envelope, [PLAIN_IDENTITY]) == data


@pytest.mark.slow
def test_every_byte_counts():
    """Whichever byte of an envelope is changed, it is refused."""
    codes = set()
    for at in range(len(SMALL)):
        for flip in (1, 0x20, 0x80):
            codes.add(refused(SMALL[:at] + bytes([SMALL[at] ^ flip]) + SMALL[at + 1 :]))
    assert codes == {"armor", "header", "no-match", "mac", "payload"}


@pytest.mark.slow
def test_every_length_counts():
    """Wherever an envelope is cut, and wherever a byte is put in or taken out, it is refused."""
    for at in range(len(SMALL)):
        refused(SMALL[:at])
        refused(SMALL[:at] + SMALL[at + 1 :])
        refused(SMALL[:at] + b"\n" + SMALL[at:])
    refused(SMALL + b"\0")
    refused(SMALL + SMALL)


@given(st.data())
def test_damage_of_any_kind_is_found(data):
    """Random bytes over, into, and instead of any stretch of a longer envelope raise our error only."""
    start = data.draw(st.integers(0, len(LARGE)))
    end = data.draw(st.integers(start, min(len(LARGE), start + 70_000)))
    damaged = LARGE[:start] + data.draw(st.binary(max_size=100)) + LARGE[end:]
    if damaged != LARGE:
        refused(damaged)


def test_chunks_cannot_be_moved():
    """Chunks that change places, are repeated or left out are found."""
    start = LARGE.index(b"\n--- ") + 5 + 43 + 1 + 16
    first, second = LARGE[start : start + 65_552], LARGE[start + 65_552 :]
    assert len(second) == 256 * 300 - 65_536 + 16
    for chunks in (second + first, first + first + second, second, first, first + second + second):
        assert refused(LARGE[:start] + chunks) == "payload"


def test_a_truncated_envelope_is_never_taken_for_a_whole():
    """Of an envelope that is cut after a whole chunk, or one byte before its end, nothing is returned."""
    start = LARGE.index(b"\n--- ") + 5 + 43 + 1 + 16
    assert refused(LARGE[:-1]) == "payload"
    assert refused(LARGE[: start + 65_552]) == "payload"


def test_without_an_identity_nothing_opens():
    """No identity is like a wrong one; a faulty one is said to be faulty."""
    with pytest.raises(EnvelopeError, match=r"^no-match$"):
        unseal(SMALL, [])
    with pytest.raises(KeyTextError):
        unseal(SMALL, [IDENTITIES[0], "AGE-SECRET-KEY-PQ-1"])


def test_25_mb_take_a_few_chunks_of_memory():
    """Opening holds a few chunks of 64 KiB beside the envelope and the data."""
    data = os.urandom(25_000_000)
    envelope = seal(data, RECIPIENTS)
    tracemalloc.start()
    try:
        opened = unseal(envelope, IDENTITIES)
        beside = tracemalloc.get_traced_memory()[1] - len(opened)
    finally:
        tracemalloc.stop()
    assert beside < 8 * 65_536
    assert opened == data


@pytest.mark.parametrize("identity", [IDENTITIES[0], PLAIN_IDENTITY], ids=["hybrid", "X25519"])
def test_identity_files_come_back(identity):
    """A key file is read again, plain or under its passphrase; plain, it is what age expects."""
    plain = write_identity_file(identity, None)
    recipient = keys.recipient_of(identity)
    assert plain.decode() == f"# public key: {recipient}\n{identity}\n"
    assert read_identity_file(plain, None) == (identity,)
    sealed = write_identity_file(identity, PASSPHRASE, work=10)
    assert identity.encode() not in sealed
    assert recipient.encode() not in sealed
    assert read_identity_file(sealed, lambda: PASSPHRASE) == (identity,)


def test_the_work_is_age_s_own_unless_told_otherwise():
    """A key file takes 2^18 rounds to open, as age's own do."""
    sealed = write_identity_file(IDENTITIES[0], PASSPHRASE)
    assert sealed.split(b"\n")[1].split(b" ")[3] == b"18"
    assert read_identity_file(sealed, lambda: PASSPHRASE) == (IDENTITIES[0],)


@pytest.mark.needs("node")
def test_an_independent_tool_reads_and_writes_key_files(tmp_path):
    """Key files under a passphrase go both ways between ours and another age tool."""
    ours = write_identity_file(IDENTITIES[0], PASSPHRASE, work=10)
    opened = run.age("open-with-passphrase", ours, tmp_path, [PASSPHRASE])
    assert opened.decode().splitlines()[-1] == IDENTITIES[0]
    text = f"# created: 2026-11-22T10:00:00+13:00\n\n{IDENTITIES[1]}\r\n {PLAIN_IDENTITY} \n"
    theirs = run.age("seal-with-passphrase", text.encode(), tmp_path, [PASSPHRASE])
    assert read_identity_file(theirs, lambda: PASSPHRASE) == (IDENTITIES[1], PLAIN_IDENTITY)


SEALED = write_identity_file(IDENTITIES[0], PASSPHRASE, work=10)


@pytest.mark.parametrize(
    ("data", "answer", "code"),
    [
        (SEALED, None, "passphrase-needed"),
        (SEALED, "wrong", "passphrase"),
        (SEALED, "", "passphrase"),
        (SEALED, "\ud800", "passphrase"),
        (SEALED[:-1], PASSPHRASE, "key-file"),
        (SEALED.replace(b" 10\n", b" 21\n"), PASSPHRASE, "key-file"),
        (SEALED.replace(b" 10\n", b" 99999999999\n"), PASSPHRASE, "key-file"),
        (SMALL, PASSPHRASE, "passphrase"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", PASSPHRASE, "key-file"),
        (b"", None, "identity"),
        (b"# nothing but a comment\n", None, "identity"),
        (RECIPIENTS[0].encode(), None, "identity"),
        pytest.param(IDENTITIES[0].encode() + b"\nand more\n", None, "identity", id="more than an identity"),
        (b"\xff\xfe", None, "identity"),
    ],
)
def test_bad_key_files_say_what_is_wrong(data, answer, code):
    """A missing or wrong passphrase, damage and text that is no key are told apart."""
    with pytest.raises(KeyTextError, match=f"^{code}$"):
        read_identity_file(data, None if answer is None else lambda: answer)


def test_a_plain_key_file_asks_for_nothing():
    """The passphrase is asked for only where it is needed."""
    plain = write_identity_file(IDENTITIES[0], None)
    assert read_identity_file(plain, lambda: pytest.fail("asked")) == (IDENTITIES[0],)


def test_an_empty_passphrase_protects_nothing():
    """A key file is never written under an empty passphrase."""
    with pytest.raises(KeyTextError, match=r"^passphrase$"):
        write_identity_file(IDENTITIES[0], "")


@given(st.binary(max_size=200))
def test_garbage_is_no_key_file(data):
    """Random bytes, alone or after a good beginning, raise our error and no other."""
    for start in (b"", b"age-encryption.org/v1\n", b"AGE-SECRET-KEY-PQ-1"):
        with pytest.raises(KeyTextError):
            read_identity_file(start + data, lambda: PASSPHRASE)
