"""Signatures: bound to their context, in one form of base64, and keys that go through files and text."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import KeyTextError, SignatureError
from app.vault.signature import (
    SignatureContext,
    decode_public_key,
    encode_public_key,
    new_signing_key,
    public_bytes,
    read_signing_key,
    sign,
    verify,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = public_bytes(KEY)
CONTEXTS = {
    SignatureContext.REFERRAL: b"haumaru/referral/1",
    SignatureContext.REPLY_POST: b"haumaru/reply-post/1",
    SignatureContext.JOURNAL: b"haumaru/journal/1",
    SignatureContext.DAY_KEYS: b"haumaru/day-keys/1",
    SignatureContext.SEATS: b"haumaru/seats/1",
    SignatureContext.QUESTION: b"haumaru/question/1",
    SignatureContext.OUTCOMES: b"haumaru/outcomes/1",
}


@pytest.mark.parametrize(("context", "prefix"), CONTEXTS.items())
def test_a_signature_covers_the_context_and_then_the_data(context, prefix):
    """A signature is the Ed25519 signature of context and data, in base64, and verifies as text and as bytes."""
    signature = sign(context, b"data", KEY)
    assert signature == b64encode(KEY.sign(prefix + b"data")).decode()
    verify(context, b"data", signature, PUBLIC)
    verify(context, b"data", signature.encode(), PUBLIC)


def test_every_context_is_tested():
    """The contexts of the test are all contexts that there are."""
    assert set(CONTEXTS) == set(SignatureContext)


@pytest.mark.parametrize(
    ("context", "data", "key"),
    [
        (SignatureContext.JOURNAL, b"data", PUBLIC),
        (SignatureContext.REFERRAL, b"other", PUBLIC),
        (SignatureContext.REFERRAL, b"data", public_bytes(Ed25519PrivateKey.generate())),
        (SignatureContext.REFERRAL, b"data", b""),
        (SignatureContext.REFERRAL, b"data", PUBLIC[:31]),
    ],
    ids=["context", "data", "key", "no key", "short key"],
)
def test_another_context_text_or_key_does_not_verify(context, data, key):
    """A signature for a referral is none for another context, other data or another key."""
    signature = sign(SignatureContext.REFERRAL, b"data", KEY)
    with pytest.raises(SignatureError, match=r"^signature$"):
        verify(context, data, signature, key)


def test_a_text_in_another_form_is_no_signature():
    """Only canonical base64 is read: no space, no other alphabet, no spare bits, no lone surrogate."""
    signature = sign(SignatureContext.REFERRAL, b"data", KEY)
    spare = signature[:-3] + chr(ord(signature[-3]) + 1) + "=="
    for text in (f" {signature}", signature.rstrip("="), f"{signature}\n", spare, "é", "\ud800", b"\xff"):
        with pytest.raises(SignatureError, match=r"^signature-form$"):
            verify(SignatureContext.REFERRAL, b"data", text, PUBLIC)
    with pytest.raises(SignatureError, match=r"^signature$"):
        verify(SignatureContext.REFERRAL, b"data", "", PUBLIC)


@pytest.mark.parametrize("passphrase", [None, "a long enough passphrase"])
def test_a_new_key_comes_back_from_its_file(passphrase):
    """The file of a new key opens with its passphrase, and holds the key whose public half was returned."""
    data, public = new_signing_key(passphrase)
    assert public_bytes(read_signing_key(data, passphrase)) == public
    assert (b"ENCRYPTED" in data) == (passphrase is not None)


def test_another_file_or_passphrase_is_refused():
    """A wrong passphrase, a missing one, and a file of another kind raise KeyTextError."""
    data, _ = new_signing_key("right")
    for file, passphrase in ((data, "wrong"), (data, None), (b"nothing", None), (b"", None)):
        with pytest.raises(KeyTextError, match=r"^signing-key$"):
            read_signing_key(file, passphrase)


def test_a_public_key_goes_through_text():
    """The text of a public key gives its 32 bytes back; any other text or length is refused."""
    assert decode_public_key(encode_public_key(PUBLIC)) == PUBLIC
    for text in ("", "!", encode_public_key(PUBLIC[:31]), encode_public_key(PUBLIC + b"x"), "é"):
        with pytest.raises(KeyTextError, match=r"^public-key$"):
            decode_public_key(text)
