"""Marks the sentences of the program that a language does not have yet, so that a page says that they are English.

gettext returns such a sentence in English, without a sign of that. Here the sentence comes between two characters that
no text of a visitor can have (private-use characters are removed from what is typed). `mark_english` turns them into
`lang` and `dir` where an element can stand, and removes them where none can: in attributes, titles and form fields.
"""

import re
from collections.abc import Iterable
from gettext import NullTranslations

from flask import Flask, g
from flask_babel import get_translations

from app.site.guide.models import ENGLISH

_BEGIN, _END = "\ue000", "\ue001"
# A tag with its attributes, or an element that holds text alone; or else a marked sentence.
_PLACES = re.compile(
    rf"<(?P<holder>title|textarea|option)\b.*?</(?P=holder)>|<[^>]*>|{_BEGIN}(?P<sentence>[^{_BEGIN}{_END}]*){_END}",
    re.DOTALL,
)


class EnglishSentences(NullTranslations):
    """Stands behind a catalogue, and returns each sentence that the catalogue lacks between two marks."""

    def gettext(self, message: str) -> str:
        """Return the sentence in English, marked."""
        return f"{_BEGIN}{message}{_END}"


def mark_untranslated(app: Flask, codes: Iterable[str]) -> None:
    """Put `EnglishSentences` behind the catalogue of each language but English; call it once for an application."""
    for code in codes:
        if code != ENGLISH:
            with app.test_request_context():
                g.lang = code
                get_translations().add_fallback(EnglishSentences())


def mark_english(html: str) -> str:
    """Return a page whose marked sentences say that they are English (WCAG 3.1.2)."""
    return _PLACES.sub(_marked, html) if _BEGIN in html else html


def _marked(match: re.Match[str]) -> str:
    if match["sentence"] is not None:
        return f'<span lang="en" dir="ltr">{match["sentence"]}</span>'
    return match[0].replace(_BEGIN, "").replace(_END, "")
