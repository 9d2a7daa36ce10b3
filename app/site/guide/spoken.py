"""Makes the words of a page as a recording says them, and the digest by which a recording knows its page.

A recording says what the page says, in the order of the page: title, emergency number, numbers to call, text. Numbers
to call are said digit by digit. Addresses of web sites and opening hours are left out. The digest covers words and
numbers only: another comma does not make a recording old, another phone number does.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser

from app.site.guide.models import ENGLISH, Contact, Edition, Page

# The pages that have a place for a recording.
SPOKEN_SLUGS = ("help", "self-check")
# A key to press that is no number to call: it is said digit by digit too.
_KEYS = ("55",)
_BLOCKS = frozenset("p h2 h3 li tr br hr blockquote".split())
_HOST = re.compile(r"(?:https?://)?[\w-]+(?:\.[\w-]+)+(?:/\S*)?")


@dataclass(frozen=True)
class SpokenRun:
    """Words in one language of one line; `lang` is the language's code."""

    words: str
    lang: str


SpokenLine = tuple[SpokenRun, ...]


def spoken_page(edition: Edition, slug: str) -> tuple[SpokenLine, ...]:
    """Return the lines that a recording of a page says, each a heading, a paragraph or an entry of a list."""
    page = edition.pages[slug]
    reader = _LineReader(edition)
    reader.add(page.title, page.description, edition.safety["emergency"])
    for text in _self_check(page, edition) if slug == "self-check" else _numbers(edition):
        reader.add(*text) if isinstance(text, tuple) else reader.add(text)
    reader.add(page.body)
    return tuple(reader.lines)


def spoken_digest(lines: Iterable[SpokenLine]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the words, without punctuation and capitals."""
    words = " ".join(run.words for line in lines for run in line).casefold()
    return sha256(" ".join(re.findall(r"[^\W_]+", words)).encode()).hexdigest()[:16]


def _numbers(edition: Edition) -> Iterator[str]:
    """Yield what a page of numbers says of each contact: its name, its number, what it is for, and what it learns."""
    yield edition.pages["sheet"].words["contacts_heading"]
    for contact in edition.contacts.values():
        if contact.number:
            yield _call(contact)
            yield f"{contact.use} {contact.learns}"


def _call(contact: Contact) -> str:
    return f'<span lang="{ENGLISH}">{contact.name}</span>: <a href="{contact.href}">{contact.number}</a>.'


def _self_check(page: Page, edition: Edition) -> Iterator[str]:
    """Yield the questions, and everything that the page can show after them."""
    words = page.words
    yield from (words["danger_heading"], words["danger"], words["private"], words["part_true"])
    yield from words["questions"]
    yield from (words["yes_heading"], words["yes"])
    # A translation of older English may lack the steps.
    for step in words.get("steps", {}).values():
        yield from (step["heading"], step["text"])
        yield from (_call(edition.contacts[str(identifier)]) for identifier in step["contacts"])
    yield from (words["none_heading"], words["none"])


class _LineReader(HTMLParser):
    """Reads sanitised HTML into lines of words."""

    def __init__(self, edition: Edition) -> None:
        super().__init__(convert_charrefs=True)
        numbers = {contact.number.replace(" ", "") for contact in edition.contacts.values() if contact.number}
        forms = "|".join(map(_spaced, sorted({*numbers, *_KEYS}, reverse=True)))
        self._called = re.compile(rf"(?<!\d)(?:{forms})(?!\d)")
        self._lang, self._langs = edition.lang, [edition.lang]
        self.lines: list[SpokenLine] = []
        self._runs: list[SpokenRun] = []

    def add(self, *texts: str) -> None:
        """Read texts, each of which begins a new line."""
        for text in texts:
            self.feed(text)
            self.close()
            self._end_line()
            self.reset()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Begin a block or words of another language (HTMLParser)."""
        if tag in _BLOCKS:
            self._end_line()
        elif tag == "span":
            self._langs.append(dict(attrs).get("lang") or self._langs[-1])

    def handle_endtag(self, tag: str) -> None:
        """End a block or words of another language (HTMLParser)."""
        if tag in _BLOCKS:
            self._end_line()
        elif tag == "span" and len(self._langs) > 1:
            self._langs.pop()

    def handle_data(self, data: str) -> None:
        """Take words, without the address of a web site (HTMLParser)."""
        words = re.sub(r"\s+", " ", data)
        if not _HOST.fullmatch(words.strip()):
            self._runs.append(SpokenRun(self._called.sub(_digit_by_digit, words), self._langs[-1]))

    def _end_line(self) -> None:
        joined: list[SpokenRun] = []
        for run in self._runs:
            if joined and joined[-1].lang == run.lang:
                joined[-1] = SpokenRun(joined[-1].words + run.words, run.lang)
            else:
                joined.append(run)
        if any(run.words.strip() for run in joined):
            self.lines.append(tuple(joined))
        self._runs = []


def _spaced(number: str) -> str:
    """Return the pattern of a number that is written with or without spaces."""
    return " ?".join(number)


def _digit_by_digit(match: re.Match[str]) -> str:
    return ", ".join(" ".join(group) for group in match[0].split())
