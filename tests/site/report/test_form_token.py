"""The token that proves a form is ours: what was signed comes back, everything else is refused."""

import time

import pytest

from app.site.report.form_token import Token, TokenError, TooSoonError, read_token

SECRET = bytes(range(32))


def test_a_token_is_good_for_twelve_hours_from_its_own_making():
    """Read back it is what was signed; older, younger than the form asks, or from the future, it is refused."""
    now = time.time()
    token = Token.new(now)
    assert read_token(token.sign(SECRET), secret=SECRET, now=now + 12 * 3600 - 1, min_fill=3) == token
    with pytest.raises(TokenError):
        read_token(token.sign(SECRET), secret=SECRET, now=now + 12 * 3600 + 1, min_fill=3)
    with pytest.raises(TokenError):
        read_token(token.sign(SECRET), secret=SECRET, now=now - 3600, min_fill=3)
    with pytest.raises(TooSoonError):
        read_token(token.sign(SECRET), secret=SECRET, now=now + 1, min_fill=3)
    assert read_token(token.next().sign(SECRET), secret=SECRET, now=now + 1, min_fill=3).nonce == token.nonce
    with pytest.raises(TokenError):
        read_token(token.sign(bytes(32)), secret=SECRET, now=now + 5, min_fill=3)
