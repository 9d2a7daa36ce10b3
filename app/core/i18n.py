"""The languages: their codes, own names and directions, their Babel locales, and the choice for a browser.

A code is part of an address (`zh-Hans`) and is also a BCP 47 tag. Babel knows neither Samoan nor Fijian and reads `tl`
as `fil`. These languages use the rules of another Babel locale under their own code, so that a date or a plural never
causes an error page. A further language is a folder of `content/` with a `language.toml`.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel import Locale, UnknownLocaleError
from markupsafe import Markup, escape
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from app.core.errors import ConfigError

DEFAULT = "en"


@dataclass(frozen=True)
class Language:
    """One language: its code in addresses, its own name, and the Babel locale whose rules the language uses.

    `font` is the font of its handouts, where Noto Sans lacks its letters.
    """

    code: str
    own_name: str
    babel_locale: str
    direction: str = "ltr"
    font: str = ""

    @property
    def folder(self) -> str:
        """Return the folder of the gettext catalogue below `translations/`."""
        return self.code.replace("-", "_")


@dataclass(frozen=True)
class LocalText:
    """A text that an operator wrote in several languages, by their codes, or once for all languages, without a code."""

    texts: Mapping[str, str]

    def __bool__(self) -> bool:
        return any(self.texts.values())

    def show(self, code: str) -> Markup:
        """Return the text for a page in a language: in that language, or else in English and marked as English."""
        own = self.texts.get(code, self.texts.get(""))
        if own is not None:
            return escape(own)
        return Markup('<span lang="en" dir="ltr">%s</span>') % self.texts[DEFAULT]


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("en", "English", "en_NZ"),
        Language("mi", "Te reo Māori", "mi"),
        Language("zh-Hans", "简体中文", "zh_Hans", font="Noto Sans SC"),
        Language("ms", "Bahasa Melayu", "ms"),
        Language("vi", "Tiếng Việt", "vi"),
        Language("sm", "Gagana Samoa", "en_NZ"),
        Language("to", "Lea faka-Tonga", "to"),
        Language("fj", "Vosa Vakaviti", "en_NZ"),
        Language("hi", "हिन्दी", "hi", font="Noto Sans Devanagari"),
        Language("tl", "Tagalog", "fil"),
    )
}

# Codes that browsers send, and our own codes for the same languages.
_ALIASES = {"fil": "tl", "zh": "zh-hans"}


def known_languages(content: Path) -> dict[str, Language]:
    """Return the ten languages, and every further language whose folder below `content` has a `language.toml`.

    Raises ConfigError for a file without `own_name` or `rules_of`, the Babel locale of its dates and plurals.
    """
    further = (path for path in sorted(content.glob("*/language.toml")) if path.parent.name not in LANGUAGES)
    return LANGUAGES | {path.parent.name: _read_language(path) for path in further}


def _read_language(path: Path) -> Language:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        language = Language(
            path.parent.name,
            table["own_name"],
            table["rules_of"],
            table.get("direction", "ltr"),
            table.get("font", ""),
        )
        locale_of(language)
    except (OSError, ValueError, KeyError, TypeError, UnknownLocaleError):
        remedy = 'write own_name = "…" and rules_of = "en_NZ" or a nearer relative that Babel knows'
        raise ConfigError((f"content/{path.parent.name}/language.toml: is not right; {remedy}",)) from None
    return language


@cache
def locale_of(language: Language) -> Locale:
    """Return the Babel locale of a language, with the language's own code."""
    locale = Locale.parse(language.babel_locale)
    if language.babel_locale.partition("_")[0] == language.folder.partition("_")[0]:
        return locale
    locale._data  # noqa: B018, SLF001  # loads the data now, before the name changes
    locale.language, locale.territory, locale.script = language.code, None, None
    return locale


def best_language(accept_language: str, among: Iterable[str]) -> str:
    """Return the code that an `Accept-Language` value prefers, or English (RFC 9110, section 12.5.4)."""
    by_tag = {code.lower(): code for code in among}
    for tag, quality in parse_accept_header(accept_language[:1000], LanguageAccept):
        wanted = tag.replace("_", "-").lower()
        primary = wanted.partition("-")[0]
        code = by_tag.get(wanted) or by_tag.get(_ALIASES.get(primary, primary))
        if code and quality > 0:
            return code
    return DEFAULT


def codes_by_tag(among: Iterable[str]) -> dict[str, str]:
    """Return, for a proxy, each code by the primary language tags that browsers send for the code (RFC 5646, 2.2.1)."""
    codes = {code.lower(): code for code in among}
    aliases = {alias: codes[tag] for alias, tag in _ALIASES.items() if tag in codes}
    return {tag.partition("-")[0]: code for tag, code in codes.items()} | aliases
