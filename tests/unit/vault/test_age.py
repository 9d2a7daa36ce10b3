"""The format itself: every vector of the community's suite, and what the suite leaves open."""

import hashlib
import io
import zlib
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import EnvelopeError
from app.vault import age, age_open
from app.vault.age import Stanza
from tests.support.age_tools import run

# Vectors that are not run, each with its reason. All of the package's concern this program's stanzas.
LEFT_OUT: dict[str, str] = {}

CODES = {
    "header failure": "header",
    "armor failure": "armor",
    "no match": "no-match",
    "HMAC failure": "mac",
    "payload failure": "payload",
}
KNOWN = {"expect", "payload", "file key", "identity", "passphrase", "armored", "compressed", "comment"}


@dataclass(frozen=True)
class Vector:
    expect: str
    payload: str
    identities: tuple[str, ...]
    passphrases: tuple[str, ...]
    file: bytes


def read(raw: bytes) -> Vector:
    head, _, file = raw.partition(b"\n\n")
    fields = [line.split(": ", 1) for line in head.decode().split("\n")]
    assert {name for name, _ in fields} <= KNOWN
    values = {name: [value for other, value in fields if other == name] for name in KNOWN}
    return Vector(
        values["expect"][0],
        "".join(values["payload"]),
        tuple(values["identity"]),
        tuple(values["passphrase"]),
        zlib.decompress(file) if values["compressed"] else file,
    )


def outcome(vector: Vector) -> tuple[str, str]:
    """Open a vector both ways; return what came of it and the hash of what the stream released."""
    keys = [
        *(partial(age_open._unwrap_scrypt, phrase.encode()) for phrase in vector.passphrases),
        *map(age_open._unwrapper, vector.identities),
    ]
    released = io.BytesIO()
    try:
        age_open._unseal_stream(io.BytesIO(vector.file), released, keys)
    except EnvelopeError as error:
        with pytest.raises(EnvelopeError, match=f"^{error.code}$"):
            age_open._unseal(vector.file, keys)
        return error.code, hashlib.sha256(released.getvalue()).hexdigest()
    assert age_open._unseal(vector.file, keys) == released.getvalue()
    return "success", hashlib.sha256(released.getvalue()).hexdigest()


@pytest.mark.needs("node")
def test_every_vector_has_the_outcome_that_it_names(record_property):
    """Each of the suite's files opens to the right bytes, or fails for the reason it is there to fail for."""
    every = run.vectors()
    assert set(LEFT_OUT) <= set(every)
    wrong = []
    ran = 0
    for name in sorted(set(every) - set(LEFT_OUT)):
        vector = read(every[name])
        got, released = outcome(vector)
        ran += 1
        if got != CODES.get(vector.expect, vector.expect):
            wrong.append(f"{name}: wanted {vector.expect}, got {got}")
        elif vector.payload and released != vector.payload:
            wrong.append(f"{name}: released something else than its payload")
        elif not vector.payload and released != hashlib.sha256(b"").hexdigest():
            wrong.append(f"{name}: released something before its header was good")
    assert wrong == []
    assert ran == len(every) - len(LEFT_OUT)
    assert ran >= 143, "the package held 143 when it was chosen"
    record_property("vectors_run", ran)
    print(f"age vectors run: {ran} of {len(every)}, left out: {len(LEFT_OUT)}")


@pytest.mark.needs("node")
def test_headers_of_the_suite_are_written_as_they_were_read():
    """Every header that opens is made again, byte for byte, from what was read and the file key."""
    again = 0
    for raw in run.vectors().values():
        vector = read(raw)
        if vector.expect != "success" or not vector.file.startswith(b"age-encryption"):
            continue
        head = raw.partition(b"\n\n")[0].decode()
        file_key = bytes.fromhex(head.partition("file key: ")[2].partition("\n")[0])
        header, payload = age.read_header(io.BytesIO(vector.file))
        written = io.BytesIO()
        age.write_header(written, header.stanzas, file_key)
        assert written.getvalue() + payload.read() == vector.file
        again += 1
    assert again > 15


@given(st.binary(max_size=500))
def test_base64_has_one_form(data):
    """What was encoded decodes to itself, and its text is the only one that does."""
    text = age.encode_base64(data)
    assert age.decode_base64(text) == data
    for other in (text + b"=", text + b"\n", b" " + text):
        with pytest.raises(EnvelopeError):
            age.decode_base64(other)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=5))
def test_stanza_bodies_of_any_length_come_back(lengths):
    """A body ends with a short line, whatever its length is."""
    stanzas = tuple(Stanza(("example.org/x", "!~"), bytes(length)) for length in lengths)
    written = io.BytesIO()
    age.write_header(written, stanzas, bytes(16))
    header, _ = age.read_header(io.BytesIO(written.getvalue()))
    assert header.stanzas == stanzas
    age.check_mac(header, bytes(16))
    with pytest.raises(EnvelopeError, match=r"^mac$"):
        age.check_mac(header, b"another file key")


@given(st.binary(max_size=300))
def test_garbage_is_not_an_envelope(data):
    """Random bytes, alone or after a good beginning, raise our error and no other."""
    for start in (b"", b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"\n \n"):
        with pytest.raises(EnvelopeError):
            age_open.unseal(start + data, [])


class Endless(io.RawIOBase):
    """A stream that begins well and never ends; it counts what was taken."""

    def __init__(self, first: bytes, piece: bytes) -> None:
        self.left, self.piece, self.taken = first, piece, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.left = self.left or self.piece
        size = min(len(buffer), len(self.left))
        buffer[:size], self.left = self.left[:size], self.left[size:]
        self.taken += size
        return size


@pytest.mark.parametrize("piece", [b"-> x " + b"y" * 10_000, b"-> x\n\n" * 2000, b"\n", b"A" * 64 + b"\n"])
@pytest.mark.parametrize("first", [b"", b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----\n"])
def test_an_endless_header_is_given_up(first, piece):
    """A header is read to its limit and no further, in one line or in many."""
    endless = Endless(first, piece)
    with pytest.raises(EnvelopeError, match=r"^(header|armor)$"):
        age.read_header(io.BufferedReader(endless))
    assert endless.taken < 2 * age.MAX_HEADER_BYTES


def test_a_stream_that_gives_little_at_a_time_is_read_whole():
    """A pipe that hands out a few bytes at once makes no chunk short."""

    class Trickle(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 1000) if size >= 0 else 1000)

    sealed, opened = io.BytesIO(), io.BytesIO()
    age.encrypt_payload(Trickle(bytes(200_000)), sealed, bytes(16), bytes(16))
    age.decrypt_payload(Trickle(sealed.getvalue()), opened, bytes(16))
    assert opened.getvalue() == bytes(200_000)
    assert len(sealed.getvalue()) == 16 + 200_000 + 4 * 16
