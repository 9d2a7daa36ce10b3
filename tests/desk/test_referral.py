"""A referral as bytes: read as it was made, and made by the desk alone."""

from base64 import b64encode
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import HaumaruError
from app.desk.errors import RefusedError
from app.desk.referral import Referral, pack_referral, referral_text, require_signer, unpack_referral
from app.vault.signature import new_signing_key, read_signing_key
from app.vault.tip import TipFile, new_tip_id

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


BUNDLE = pack_referral(made(), KEY)


def test_a_referral_is_read_as_it_was_made():
    """JSON, text, signature and files come back the same; danger and children stand before the fields."""
    one = made()
    assert unpack_referral(pack_referral(one, KEY)) == one
    text = referral_text(one)
    assert text.index("danger") < text.index("children") < text.index("What is happening")
    assert "anonymous" in text
    assert "may themselves be victims" in text
    assert "Example desk" in text


@given(st.integers(0, len(BUNDLE.rstrip(b"\0")) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place, by):
    """No byte of a signed referral can be changed without one of our errors."""
    changed = bytearray(BUNDLE)
    changed[place] ^= by
    with pytest.raises(HaumaruError):
        unpack_referral(bytes(changed))


def test_another_signer_is_told_apart():
    """A referral that is whole but signed by somebody else is refused for this desk's key."""
    other_pem, other = new_signing_key(None)
    assert require_signer(unpack_referral(BUNDLE), PUBLIC)
    with pytest.raises(RefusedError, match="signature"):
        require_signer(unpack_referral(BUNDLE), other)
    forged = pack_referral(made(), read_signing_key(other_pem, None))
    with pytest.raises(RefusedError, match="signature"):
        unpack_referral(forged)
