"""What the field `code` of a request holds: a receipt code as a person typed it, or the secret of a report's form.

The secret is 16 random bytes, made for the page on which a report is looked at, and travels in every later page of the
same form: the receipt code follows from it, so the same form shows the same code again. The server keeps neither. A
wrong word of a typed code is named, escaped, with the words of the list that are like it.
"""

import re
import secrets

from flask import request
from flask_babel import gettext as _
from markupsafe import Markup, escape

from app.core.errors import CodeError
from app.delivery.code_words import WrongWord

_SECRET_BYTES = 16
_SECRET = re.compile(r"[0-9a-f]{32}", re.ASCII)
_CODE_LENGTH = 400  # characters; eight words and what a person may write between them


def typed_code(name: str = "code") -> str:
    """Return the beginning of a code as a person typed it, for that person's own page alone."""
    return request.form.get(name, "")[:_CODE_LENGTH]


def code_secret() -> bytes:
    """Return the secret of the form that came back, or a new one where its page had none."""
    untrusted_secret = request.form.get("code", "")
    found = _SECRET.fullmatch(untrusted_secret)
    return bytes.fromhex(untrusted_secret) if found else secrets.token_bytes(_SECRET_BYTES)


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
