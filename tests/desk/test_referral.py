"""A referral as bytes: read as it was made, and made by the desk alone."""

from base64 import b64encode
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import BundleError, HaumaruError
from app.desk.errors import RefusedError
from app.desk.referral import (
    Referral,
    join_referral,
    pack_referral,
    read_referral,
    referral_bundles,
    referral_text,
    referral_words,
    require_signer,
)
from app.vault.bundle import BUNDLE_BYTES
from app.vault.part import read_part
from app.vault.signature import new_signing_key, read_signing_key
from app.vault.tip import TipFile, new_tip_id
from tests.support.desk import big_file

PEM, PUBLIC = new_signing_key(None)


KEY = read_signing_key(PEM, None)


def made(**more):
    """A referral signed with the key above."""
    values = {
        "id": new_tip_id(),
        "to": "Example Police",
        "day": date(2026, 11, 22),
        "summary": "Men are held.",
        "danger": "yes",
        "children": "no",
        "kinds": ("work",),
        "fields": {"what": "A [removed] works there.", "where": "Katikati"},
        "files": (TipFile("files/1.txt", "text/plain", (), b"a file"),),
        "removed": ("name",),
        "contact": "Example desk",
        "key": b64encode(PUBLIC).decode(),
    }
    return Referral(**values | more)


BUNDLE = pack_referral(referral_words(made()), KEY)


def test_a_referral_is_read_as_it_was_made():
    """JSON, text, signature and files come back the same; danger and children stand before the fields."""
    one = made(files=(TipFile("files/1.txt", "text/plain", (), b"a file"), big_file(2)))
    first, *parts = referral_bundles(referral_words(one), one.files, KEY)
    assert len(parts) == 3
    assert {len(bundle.data) for bundle in (first, *parts)} == {BUNDLE_BYTES}
    words = read_referral(first.data)
    assert join_referral(words, [read_part(part.data) for part in parts]) == one
    text = referral_text(words)
    assert text.index("danger") < text.index("children") < text.index("What is happening")
    assert "anonymous" in text
    assert "may be victims" in text
    assert "Example desk" in text


@given(st.integers(0, len(BUNDLE.rstrip(b"\0")) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place, by):
    """No byte of a signed referral can be changed without one of our errors."""
    changed = bytearray(BUNDLE)
    changed[place] ^= by
    with pytest.raises(HaumaruError):
        read_referral(bytes(changed))


def test_another_signer_is_told_apart():
    """A referral that is whole but signed by somebody else is refused for this desk's key."""
    other_pem, other = new_signing_key(None)
    assert require_signer(read_referral(BUNDLE).referral, PUBLIC)
    with pytest.raises(RefusedError, match="signature"):
        require_signer(read_referral(BUNDLE).referral, other)
    forged = pack_referral(referral_words(made()), read_signing_key(other_pem, None))
    with pytest.raises(RefusedError, match="signature"):
        read_referral(forged)


def test_a_file_that_is_not_the_signed_one_is_refused():
    """A sender who knows the key of the parts can prove other parts, but not a file with another SHA-256."""
    one = made()
    words = referral_words(one)
    other = made(id=one.id, files=(TipFile("files/1.txt", "text/plain", (), b"b file"),))
    parts = [read_part(part.data) for part in referral_bundles(words, other.files, KEY)[1:]]
    assert all(words.proves(part) for part in parts)
    with pytest.raises(BundleError, match="referral"):
        join_referral(words, parts)
