"""What a new passphrase must be, for a seat and for a key file: long, and nothing that a guesser tries first.

The rules follow NIST SP 800-63B-4, 3.1.1.2, and ASVS 6.2: a length and no demands on kinds of letters; not one of the
3,000 commonest passphrases of this length, and hardly more than a word that belongs to the desk or to its person. Each
refusal says which rule it was. The list is data (`common_passphrases.txt`), and nothing is asked from a network.
"""

import string
from collections.abc import Iterable
from importlib.resources import files

from app.desk.errors import RefusedError
from app.desk.seat import name_form

MIN_PASSPHRASE = 12  # characters; ASVS 6.2.1 asks for 8
MAX_PASSPHRASE = 200
_MIN_DIFFERENT = 5  # letters
_MIN_REST = 6  # letters and digits that must be left beside words that a guesser knows
# Words in the form in which names are compared: what people write where twelve characters are asked for, what the desk
# is, and four words that do not belong together and that everybody knows.
_KNOWN_WORDS = (
    *("password", "passphrase", "123456", "qwerty", "letmein", "iloveyou", "welcome", "admin"),
    *("haumaru", "trafficking", "supervisor", "handler", "translator", "correcthorsebatterystaple"),
)


def require_long(passphrase: str) -> None:
    """Raise RefusedError `passphrase-short` for a passphrase under 12 characters."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise RefusedError("passphrase-short")


def require_uncommon(passphrase: str, context: Iterable[str] = ()) -> None:
    """Raise RefusedError for a passphrase that somebody guesses who knows the desk and what people choose.

    `context` are names of the desk and its person. The codes are `passphrase-letters`, `passphrase-common` and
    `passphrase-context`.
    """
    if len(set(passphrase)) < _MIN_DIFFERENT:
        raise RefusedError("passphrase-letters")
    form = name_form(passphrase)
    if {form, form.strip(string.digits)} & _common_forms():
        raise RefusedError("passphrase-common")
    rest = form
    for word in (*(name_form(one) for one in context), *_KNOWN_WORDS):
        rest = rest.replace(word, "")
    if rest != form and len(rest) < _MIN_REST:
        raise RefusedError("passphrase-context")


def _common_forms() -> frozenset[str]:
    """Return the list, read anew: a new passphrase is rare, and the list need not stay in memory."""
    return frozenset(files("app.desk").joinpath("common_passphrases.txt").read_text("utf-8").split())
