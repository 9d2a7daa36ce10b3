"""The sentences of a translation beside their English, and the back-translations that belong to them.

A back-translation is kept under a digest of the words that were translated back, in the JSON object
`translations/reviews/back/<code>.json`: `{"<digest>": "<back-translation in English>"}`. So a sentence keeps its
back-translation wherever the sentence moves, and a sentence that changes has none until somebody translates it back.
"""

import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

from app.site.guide.loader import split_front_matter
from app.site.guide.models import REVIEW_KEYS, SLUGS

_PARAGRAPHS = re.compile(r"\n\s*\n")
# Settings of a page, which hold no words: ids of contacts, and the kinds of report of each sign.
_SETTINGS = frozenset({"contact", "contacts", "danger_contacts", "kinds", "page", "version", *REVIEW_KEYS})
# The files in the order in which a reviewer reads them: what a person in danger meets first comes first.
_FIRST = ("safety", "help", "self-check", "sheet", "messages", "signs", "contacts", "contact", "visa", "home")
FILES = tuple(dict.fromkeys((*_FIRST, *SLUGS)))


@dataclass(frozen=True)
class Sentence:
    """One sentence or paragraph: its key, such as `help:3` or `messages:<English>`, its English and its translation."""

    key: str
    english: str
    translated: str


def words_digest(words: str) -> str:
    """Return the key of a back-translation: 16 hexadecimal digits of the SHA-256 of the translated words.

    White space counts as one space, and the letters are in Unicode's composed form (NFC).
    """
    return sha256(unicodedata.normalize("NFC", " ".join(words.split())).encode()).hexdigest()[:16]


def sentences(root: Path, code: str, name: str) -> list[Sentence]:
    """Return the sentences of one file of a translation in their order; of a file that is not there, none."""
    if name == "messages":
        return list(_messages(root / "translations" / code.replace("-", "_") / "LC_MESSAGES" / "messages.po"))
    suffix = "toml" if (root / "content" / "en" / f"{name}.toml").exists() else "md"
    path = root / "content" / code / f"{name}.{suffix}"
    if not path.exists():
        return []
    english, label = path.parents[1] / "en" / path.name, path.name if suffix == "toml" else name
    told, model = _texts(path), _texts(english)
    return [Sentence(f"{label}:{key}", model.get(key, ""), words) for key, words in told.items()]


def read_back(root: Path, code: str) -> dict[str, str]:
    """Return the back-translations of a language by the digest of the words that were translated back."""
    path = _back_path(root, code)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def store_back(root: Path, code: str, given: Mapping[str, str], words: Mapping[str, str]) -> list[str]:
    """Keep the given back-translations by key, and return the keys of the sentences that have none afterwards.

    `words` holds, by key, the translated words that were translated back. A back-translation of words that no file of
    the language has any more is left out.
    """
    had = read_back(root, code) | {words_digest(words[key]): told for key, told in given.items() if key in words}
    now = {one.key: words_digest(one.translated) for name in FILES for one in sentences(root, code, name)}
    kept = {digest: had[digest] for digest in now.values() if digest in had}
    path = _back_path(root, code)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    return [key for key, digest in now.items() if digest not in kept]


def _back_path(root: Path, code: str) -> Path:
    return root / "translations" / "reviews" / "back" / f"{code}.json"


def _messages(path: Path) -> Iterator[Sentence]:
    if not path.exists():
        return
    with path.open("rb") as file:
        catalogue = read_po(file)
    for message in catalogue:
        if message.id:
            yield Sentence(f"messages:{_first(message.id)}", _joined(message.id), _joined(message.string))


def _first(words: Any) -> str:
    return str(words if isinstance(words, str) else words[0])


def _joined(words: Any) -> str:
    """Return the forms of a sentence for one and for several, in one line."""
    return words if isinstance(words, str) else " | ".join(words)


def _texts(path: Path) -> dict[str, str]:
    """Return every text of a page or a table of content by its key: `title`, `steps.work.heading`, or a number."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return dict(_leaves(tomllib.loads(text)))
    front, body = split_front_matter(text)
    paragraphs = (part for part in _PARAGRAPHS.split(body) if part.strip())
    return dict(_leaves(front)) | {str(number): part for number, part in enumerate(paragraphs)}


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if key.rpartition(".")[2] in _SETTINGS:
        return
    rows = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in rows:
        yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    if isinstance(value, str) and value:
        yield key, value
