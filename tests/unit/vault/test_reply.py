"""A reply under its key: both ways, always as long, and opened by nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import ReplyError
from app.vault.reply import SEALED_BYTES, open_reply, seal_reply

KEY = bytes(range(32))
LOCATOR = "a-locator"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), values, max_size=5))
def test_a_reply_comes_back(message):
    """Any message comes back as it was, and every sealed reply is as long as any other."""
    sealed = seal_reply(message, KEY, LOCATOR)
    assert len(sealed) == SEALED_BYTES == 12 + 32 * 1024 + 16
    assert open_reply(sealed, KEY, LOCATOR) == message


def test_a_reply_is_never_sealed_alike():
    """The nonce is random, so the same message twice has nothing in common."""
    one, other = (seal_reply({"text": "kia ora"}, KEY, LOCATOR) for _ in range(2))
    assert one[:12] != other[:12]
    assert one[12:] != other[12:]


def test_a_reply_belongs_to_its_key_and_locator():
    """Another key, or the same reply under another locator, opens nothing."""
    sealed = seal_reply({"text": "kia ora"}, KEY, LOCATOR)
    for key, locator in ((bytes(32), LOCATOR), (KEY, "another"), (KEY, LOCATOR + "1"), (KEY, "")):
        with pytest.raises(ReplyError):
            open_reply(sealed, key, locator)


@given(st.data())
def test_damage_is_found(data):
    """A reply with a byte changed, cut or added raises our error only."""
    sealed = seal_reply({"text": "kia ora"}, KEY, LOCATOR)
    at = data.draw(st.integers(0, len(sealed) - 1))
    flipped = bytes([sealed[at] ^ data.draw(st.integers(1, 255))])
    for wrong in (sealed[:at] + flipped + sealed[at + 1 :], sealed[:at], sealed[:at] + b"x" + sealed[at:]):
        with pytest.raises(ReplyError):
            open_reply(wrong, KEY, LOCATOR)


@pytest.mark.parametrize("letter", ["a", "中", "🙂", '"', "\n"])
def test_as_much_as_fits_is_taken(letter):
    """A message that fills the 32 KiB exactly is sealed; one byte more is refused."""
    size = len(letter.encode()) if letter not in '"\n' else 2
    room = 32 * 1024 - len('{"t":""}')
    text = letter * (room // size) + "x" * (room % size)
    assert open_reply(seal_reply({"t": text}, KEY, LOCATOR), KEY, LOCATOR) == {"t": text}
    with pytest.raises(ReplyError, match=r"^too-long$"):
        seal_reply({"t": text + "x"}, KEY, LOCATOR)


@pytest.mark.parametrize(
    ("message", "key", "code"),
    [
        ({"t": "\ud800"}, KEY, "message"),
        ({"t": float("nan")}, KEY, "message"),
        ({"t": b"bytes"}, KEY, "message"),
        ({"t": "x"}, b"short", "key"),
    ],
)
def test_what_cannot_be_sealed_is_refused(message, key, code):
    """Half a character, what JSON has no word for, and a key of another length are refused."""
    with pytest.raises(ReplyError, match=f"^{code}$"):
        seal_reply(message, key, LOCATOR)


@pytest.mark.parametrize("plain", [b"", b"[]", b"null", b"\xff", b"{", b"[" * 32_000, b"9" * 32_000])
def test_what_was_sealed_and_is_no_message_is_refused(plain):
    """Even under the right key only a message comes out."""
    from app.vault import reply

    nonce = bytes(12)
    body = reply._cipher(KEY).encrypt(nonce, plain.ljust(reply.PLAIN_BYTES), reply._CONTEXT + LOCATOR.encode())
    with pytest.raises(ReplyError):
        open_reply(nonce + body, KEY, LOCATOR)
