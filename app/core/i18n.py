"""The languages: their codes, their own names, their direction, and which one a browser asks for.

A code is the one in an address (`zh-Hans`), which is also a BCP 47 tag. Babel knows neither Samoan nor
Fijian and reads `tl` as `fil`; for those a near relative lends its rules under the right code, so that a
date or a plural is never an error page. A further language is a folder of `content/` with a `language.toml`.
"""

import tomllib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from app.core.errors import ConfigError

DEFAULT = "en"


@dataclass(frozen=True)
class Language:
    """One language: its code in addresses, its own name, and whose rules Babel lends it."""

    code: str
    own_name: str
    lender: str
    direction: str = "ltr"

    @property
    def folder(self) -> str:
        """Where gettext looks for its catalogue under `translations/`."""
        return self.code.replace("-", "_")


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("en", "English", "en_NZ"),
        Language("mi", "Te reo Māori", "mi"),
        Language("zh-Hans", "简体中文", "zh_Hans"),
        Language("ms", "Bahasa Melayu", "ms"),
        Language("vi", "Tiếng Việt", "vi"),
        Language("sm", "Gagana Samoa", "en_NZ"),
        Language("to", "Lea faka-Tonga", "to"),
        Language("fj", "Vosa Vakaviti", "en_NZ"),
        Language("hi", "हिन्दी", "hi"),
        Language("tl", "Tagalog", "fil"),
    )
}

# What browsers send beside our own codes.
_ALIASES = {"fil": "tl", "zh": "zh-hans"}


def known(content: Path) -> dict[str, Language]:
    """The ten, and every further language whose folder below `content` has a `language.toml`.

    `ConfigError` where such a file lacks `own_name` or `rules_of`, the language whose dates and plurals Babel lends it.
    """
    further = (path for path in sorted(content.glob("*/language.toml")) if path.parent.name not in LANGUAGES)
    return LANGUAGES | {path.parent.name: _read(path) for path in further}


def _read(path: Path) -> Language:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        language = Language(path.parent.name, table["own_name"], table["rules_of"], table.get("direction", "ltr"))
        locale(language)
    except (OSError, ValueError, KeyError, TypeError, UnknownLocaleError):
        mend = 'write own_name = "…" and rules_of = "en_NZ" or a nearer relative that Babel knows'
        raise ConfigError((f"content/{path.parent.name}/language.toml: is not right; {mend}",)) from None
    return language


@cache
def locale(language: Language) -> Locale:
    """Babel's locale for a language, lent where Babel has none of its own."""
    lent = Locale.parse(language.lender)
    if language.lender.partition("_")[0] == language.folder.partition("_")[0]:
        return lent
    lent._data  # noqa: B018, SLF001  # loaded now, under the lender's name, which is then changed
    lent.language, lent.territory, lent.script = language.code, None, None
    return lent


def best(accept_language: str, among: Iterable[str]) -> str:
    """The code of these that an `Accept-Language` value prefers, English where it names none (RFC 9110, 12.5.4)."""
    by_tag = {code.lower(): code for code in among}
    for tag, quality in parse_accept_header(accept_language[:1000], LanguageAccept):
        wanted = tag.replace("_", "-").lower()
        primary = wanted.partition("-")[0]
        code = by_tag.get(wanted) or by_tag.get(_ALIASES.get(primary, primary))
        if code and quality > 0:
            return code
    return DEFAULT


def compile_catalogues(root: Path) -> list[Path]:
    """Compile each `messages.po` below `root` that is newer than its `messages.mo`; the paths that were written.

    Where the folder is read-only, what was compiled before is used.
    """
    written = []
    for source in sorted(root.glob("*/LC_MESSAGES/messages.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as file:
            catalogue = read_po(file)
        with suppress(PermissionError), NamedTemporaryFile(dir=source.parent, delete=False) as made:
            write_mo(made, catalogue)
            Path(made.name).replace(target)
            written.append(target)
    return written
