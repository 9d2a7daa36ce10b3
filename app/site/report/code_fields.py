"""What the field `code` of a request holds: a receipt code as a person typed it, or the secret of a report's form.

The secret is 16 bytes that follow from the random nonce of the form, and travels in every page after the first: the
receipt code follows from it, so the same form shows the same code again, also where its first page is sent again. The
server keeps neither. A wrong word of a typed code is named, escaped, with the words of the list that are like it.
"""

import re

from flask import request
from flask_babel import gettext as _
from markupsafe import Markup, escape

from app.core.errors import CodeError
from app.delivery.code_words import WrongWord
from app.vault.age import hkdf_sha256

_SECRET_BYTES = 16
_SECRET = re.compile(r"[0-9a-f]{32}", re.ASCII)
_CODE_LENGTH = 400  # characters; eight words and what a person may write between them


def typed_code(name: str = "code") -> str:
    """Return the beginning of a code as a person typed it, for that person's own page alone."""
    return request.form.get(name, "")[:_CODE_LENGTH]


def code_secret(nonce: bytes) -> bytes:
    """Return the secret of the form that came back, or the one that follows from its nonce where its page had none.

    Both are only in the page: the server keeps no more of a nonce than its SHA-256, for an hour. HKDF-SHA256 (RFC 5869)
    with the info `haumaru/form-secret/1`.
    """
    return given_secret() or hkdf_sha256(nonce, b"haumaru/form-secret/1")[:_SECRET_BYTES]


def given_secret() -> bytes | None:
    """Return the secret of the form that came back, None where its page had none."""
    untrusted_secret = typed_code()
    return bytes.fromhex(untrusted_secret) if _SECRET.fullmatch(untrusted_secret) else None


def code_sentences(error: CodeError) -> list[str]:
    """Return at least one sentence in the language of the page."""
    if error.code == "code-word":
        return [_wrong_word(wrong) for wrong in error.wrong]
    if error.code == "code-number":
        words = escape(_("“%(number)s” cannot be right. The numbers go from 0001 to 2048."))
        return [words % {"number": wrong.untrusted_word} for wrong in error.wrong]
    if error.code == "code-order":
        return [_("One of the words or numbers is wrong, or two of them are in the wrong order.")]
    return [_("That is not a receipt code. A receipt code has eight words, or eight groups of four numbers.")]


def _wrong_word(wrong: WrongWord) -> Markup:
    sentence = escape(_("“%(word)s” is not a word of a receipt code.")) % {"word": _as_typed(wrong.untrusted_word)}
    if not wrong.nearest:
        return sentence
    words = Markup(", ").join(map(_as_typed, wrong.nearest))
    return sentence + Markup(" ") + escape(_("Did you mean one of these: %(words)s?")) % {"words": words}


def _as_typed(untrusted_word: str) -> Markup:
    return Markup('<bdi translate="no">%s</bdi>') % untrusted_word
