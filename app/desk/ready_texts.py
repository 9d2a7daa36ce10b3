"""The ready texts of a reply in the sender's language, for a handler to choose and change.

The words come from the catalogues of the site, which are read when a handler first asks for a language. A text whose
catalogue no speaker has signed for the English of today is a draft, and says so; a text with a sentence that has no
translation is in English.
"""

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from app.core.i18n import DEFAULT, LANGUAGES, Language, known_languages
from app.desk.errors import RefusedError
from app.vault.ready_replies import READY_REPLIES

_CJK = frozenset({"zh-Hans"})  # languages that write no blank between sentences
_RECORD = re.compile(r'^"X-(Source-Digest|Status): (\w+)\\n"$', re.MULTILINE)  # as `make digests` writes the record
_HEAD = 4000  # characters of a catalogue, which hold its header
_DIGITS = 16


@dataclass(frozen=True)
class ReadyText:
    """One ready text in a language: its words, and their English; `is_draft`: no speaker has checked the words."""

    id: str
    language: Language
    text: str
    english: str
    is_draft: bool


class ReadyTexts:
    """Every ready text in the languages of the site; safe for threads."""

    def __init__(self, translations: Path, languages: Mapping[str, Language]) -> None:
        self._translations, self.languages = translations, languages
        self._catalogues: dict[str, tuple[Catalog | None, bool]] = {}
        self._lock = threading.Lock()

    def find(self, untrusted_id: str, untrusted_code: str) -> ReadyText:
        """Return a text in a language; raises RefusedError `ready-text` for one that is not in the list."""
        reply, language = READY_REPLIES.get(untrusted_id), self.languages.get(untrusted_code)
        if reply is None or language is None:
            raise RefusedError("ready-text")
        catalogue, signed = self._catalogue(language)
        found = [catalogue.get(sentence) if catalogue else None for sentence in reply.sentences]
        translated = [str(message.string) for message in found if message and message.string and not message.fuzzy]
        if len(translated) < len(reply.sentences):
            return ReadyText(reply.id, self.languages[DEFAULT], reply.english, reply.english, is_draft=False)
        text = ("" if language.code in _CJK else " ").join(translated)
        return ReadyText(reply.id, language, text, reply.english, is_draft=not signed)

    def _catalogue(self, language: Language) -> tuple[Catalog | None, bool]:
        with self._lock:
            if language.code not in self._catalogues:
                self._catalogues[language.code] = self._read(language)
            return self._catalogues[language.code]

    def _read(self, language: Language) -> tuple[Catalog | None, bool]:
        """Return the catalogue of a language, None for English or a language without one, and whether it is signed."""
        path = self._translations / language.folder / "LC_MESSAGES" / "messages.po"
        if not path.exists():
            return None, False
        with path.open("rb") as file:
            catalogue = read_po(file)
        record = dict(_RECORD.findall(path.read_text(encoding="utf-8")[:_HEAD]))
        digest = sha256((self._translations / "messages.pot").read_bytes()).hexdigest()[:_DIGITS]
        return catalogue, (record.get("Status"), record.get("Source-Digest")) == ("reviewed", digest)


def load_ready_texts(root: Path) -> ReadyTexts:
    """Return the ready texts of the languages whose pages and catalogues are below `root`; reads no catalogue yet."""
    languages = known_languages(root / "content")
    return ReadyTexts(root / "translations", {code: languages[code] for code in (*LANGUAGES, *languages)})


def without_ready_texts(text: str) -> str:
    """Return a reply without the English ready sentences in it, which need no warning."""
    for sentence in sorted(_sentences(), key=len, reverse=True):
        text = text.replace(sentence, "")
    return text


def _sentences() -> Iterable[str]:
    return {sentence for reply in READY_REPLIES.values() for sentence in reply.sentences}
