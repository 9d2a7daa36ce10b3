"""The values that `content/` holds once it is read: contacts, reviews, pages, editions, and the library of them all.

Every value is frozen. A contact is accepted only with its source and a day; a review only with a reviewer and a day.
`read_contacts` and `read_review` report what is wrong through their `fault` callback and never raise for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from app.core.errors import N_
from app.site.guide.plan import Plan

ENGLISH = "en"
SLUGS = (
    "home",
    "help",
    "visa",
    "self-check",
    "signs",
    "what-is-trafficking",
    "law",
    "response",
    "plan",
    "plan-actions",
    "outcomes",
    "sheet",
    "contact",
    "anonymity",
    "privacy",
    "accessibility",
    "about",
)
# What a speaker must have signed before a site with `reviewed_only` shows a language; handouts are made of these pages.
REQUIRED_PAGES = ("help", "self-check", "signs", "sheet")
# A page's own address, where it differs from its name in `content/`.
_ADDRESSES = {"home": "", "plan-actions": "plan/actions", "sheet": "sheets"}
# The keys that record the review of a translated file: in front matter, TOML files and catalogues alike.
REVIEW_KEYS = frozenset({"source_digest", "status", "reviewed_by", "reviewed_on", "reviewed_words"})
_REQUIRED = ("id", "name", "asks_name", "source", "as_at")
_OPTIONAL = ("number", "tel", "url", "hours", "from_overseas")
# A key that says yes or no, and its value where the key is left out.
_FLAGS = {"dated": True, "free": False, "silent": False, "text": False, "languages": False}
_ASKS_NAME = ("yes", "no", "ask")
# The opening hours that the program has words for in every language; other hours are shown as they are written.
HOURS = {
    "": N_("We do not know the hours."),
    "always": N_("Open day and night, every day."),
    "weekdays-6-22": N_("Open Monday to Friday, 6am to 10pm, but not on public holidays."),
}


def page_path(lang: str, slug: str) -> str:
    """Return the path of a page; the routes and the links in `content/` are both made with it."""
    return f"/{lang}/{_ADDRESSES.get(slug, slug)}"


@dataclass(frozen=True)
class Contact:
    """One number or address to call; `asks_name` is "yes", "no", or "ask" where the caller has to ask first.

    `hours` is a key of `HOURS` or the hours in words. `free`: a call costs nothing. `silent`: a person who cannot
    speak gets help too. `text`: people who are deaf can send a text message. `languages`: an interpreter can join the
    call. `from_overseas` is the number for callers in another country, as it is shown. `dated` says that `as_at` is
    the day that the source itself gives. `use` (what the contact is for) and `learns` (whether the contact learns who
    calls) are HTML in the language of the edition. `name_lang` is the language of the name.
    """

    id: str
    name: str
    asks_name: str
    source: str
    as_at: date
    number: str = ""
    tel: str = ""
    url: str = ""
    hours: str = ""
    from_overseas: str = ""
    dated: bool = True
    free: bool = False
    silent: bool = False
    text: bool = False
    languages: bool = False
    use: str = ""
    learns: str = ""
    name_lang: str = ENGLISH

    @property
    def href(self) -> str:
        """Return the link that calls the number (RFC 3966), or an empty text."""
        return f"tel:{self.tel}" if self.tel else ""

    @property
    def overseas_href(self) -> str:
        """Return the link that calls the number for callers in another country (RFC 3966), or an empty text."""
        return f"tel:{self.from_overseas.replace(' ', '')}" if self.from_overseas else ""

    @property
    def host(self) -> str:
        """Return the host of the web address, without www."""
        return urlsplit(self.url).netloc.removeprefix("www.")


@dataclass(frozen=True)
class Review:
    """The review of one translated file: `stale` when the English changed since, `reviewed` when a speaker signed."""

    stale: bool
    reviewed: bool


# The review of English itself.
SOURCE_REVIEW = Review(stale=False, reviewed=True)


@dataclass(frozen=True)
class Heading:
    """One entry of a page's table of contents."""

    id: str
    words: str


@dataclass(frozen=True)
class Run:
    """Words in one style within a line of a handout: plain or strong, in another language, or a link."""

    text: str
    strong: bool = False
    lang: str = ""
    href: str = ""


@dataclass(frozen=True)
class Page:
    """One page; the other keys of its front matter as written, as HTML, and as runs for a handout.

    `lang` is the language of its words: a language shows the English page where it has none of its own.
    """

    lang: str
    slug: str
    title: str
    description: str
    body: Markup
    headings: tuple[Heading, ...]
    raw: Mapping[str, Any]
    words: Mapping[str, Any]
    runs: Mapping[str, Any]
    links: frozenset[str]
    review: Review


@dataclass(frozen=True)
class PageRecording:
    """A page read aloud: the bytes of the file, and whether a computer's voice reads."""

    data: bytes
    by_computer: bool

    @property
    def kilobytes(self) -> int:
        """Return the size that stands beside the player: in thousands of bytes, rounded up."""
        return -(-len(self.data) // 1000)


@dataclass(frozen=True)
class Edition:
    """All pages, sentences and contacts in one language; `common` is the review of the files that all pages share.

    `recordings` are the pages that are read aloud, by slug; `old_recordings` name the files that say other words than
    their page does now, and that no page offers.
    """

    lang: str
    pages: Mapping[str, Page]
    safety: Mapping[str, Markup]
    contacts: Mapping[str, Contact]
    common: Review
    stale: tuple[str, ...]
    font: str = ""
    recordings: Mapping[str, PageRecording] = field(default_factory=dict)
    old_recordings: tuple[str, ...] = ()

    @property
    def reviewed(self) -> bool:
        """Return whether a speaker has signed every file as it is now."""
        return self.common.reviewed and all(page.review.reviewed for page in self.pages.values())

    @property
    def signed(self) -> bool:
        """Return whether a speaker has signed what a person in danger reads: safety sentences and `REQUIRED_PAGES`."""
        required = (self.pages[slug] for slug in REQUIRED_PAGES)
        return self.common.reviewed and all(page.review.reviewed and page.lang == self.lang for page in required)

    @property
    def printable(self) -> bool:
        """Return whether the language has the pages of which its handouts are made."""
        return all(self.pages[slug].lang == self.lang for slug in ("sheet", "signs", "self-check"))


@dataclass(frozen=True)
class GuideFolders:
    """The program's content, and the operator's own, which lies over it."""

    program: Path
    own: Path | None

    def find(self, name: str) -> Path:
        """Return the operator's own file of this name, or else the program's."""
        own = self.own_file(name)
        return own if own is not None else self.program / name

    def own_file(self, name: str) -> Path | None:
        """Return the operator's own file of this name where there is one."""
        own = self.own / name if self.own is not None else None
        return own if own is not None and own.is_file() else None


@dataclass(frozen=True)
class Library:
    """All editions by language code, in the order of the languages, the plan, and the folder of them all."""

    editions: Mapping[str, Edition]
    plan: Plan
    content: Path

    @property
    def stale(self) -> tuple[str, ...]:
        """Return the names of the translated files whose English has changed since."""
        return tuple(name for edition in self.editions.values() for name in edition.stale)

    @property
    def old_recordings(self) -> tuple[str, ...]:
        """Return the names of the recordings that say other words than their page does now."""
        return tuple(name for edition in self.editions.values() for name in edition.old_recordings)

    def only_reviewed(self) -> "Library":
        """Return the library without the languages whose safety sentences and required pages nobody has signed."""
        kept = {lang: edition for lang, edition in self.editions.items() if edition.signed}
        return replace(self, editions=kept)


def source_digest(english: bytes) -> str:
    """Return what a translation records of its English file: the first 16 hexadecimal digits of the SHA-256."""
    return sha256(english).hexdigest()[:16]


def read_review(record: Mapping[str, Any], english: bytes, fault: Callable[[str], None]) -> Review:
    """Return the review that a translated file records; `english` is the English file as it is now."""
    status = record.get("status")
    if status not in ("unreviewed", "reviewed"):
        fault('status is not right; write "unreviewed" or "reviewed"')
    if not isinstance(record.get("source_digest"), str):
        fault(f'source_digest is missing; write "{source_digest(english)}" if it was made from the English of today')
    signed = bool(record.get("reviewed_by")) and isinstance(record.get("reviewed_on"), date)
    if status == "reviewed" and not signed:
        fault("a reviewed file says who and when; write reviewed_by, and reviewed_on as a day")
    stale = record.get("source_digest") != source_digest(english)
    return Review(stale=stale, reviewed=status == "reviewed" and signed and not stale)


def read_contacts(rows: Sequence[Mapping[str, Any]], fault: Callable[[str], None]) -> dict[str, Contact]:
    """Return the contacts of `content/contacts.toml` by id, in the order of the file."""
    contacts: dict[str, Contact] = {}
    for row in rows:
        contact = _read_contact(row, partial(_row_fault, fault, str(row.get("id", "?"))))
        if contact.id in contacts:
            fault(f"[[contact]] {contact.id} stands twice; keep one")
        contacts[contact.id] = contact
    if not contacts:
        fault("there is no [[contact]]; a site without a number to call helps nobody")
    return contacts


def _row_fault(fault: Callable[[str], None], identifier: str, words: str) -> None:
    fault(f"[[contact]] {identifier}: {words}")


def _read_contact(row: Mapping[str, Any], fault: Callable[[str], None]) -> Contact:
    for problem in _contact_problems(row):
        fault(problem)
    values: dict[str, Any] = {key: str(row.get(key, "")) for key in (*_REQUIRED[:-1], *_OPTIONAL)}
    values |= {key: bool(row.get(key, usual)) for key, usual in _FLAGS.items()}
    return Contact(as_at=_read_day(row.get("as_at"), fault), **values)


def _contact_problems(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key} is missing; write it" for key in _REQUIRED if not row.get(key))
    if "anonymous" in row:
        yield 'anonymous has become asks_name; write asks_name = "no" where they do not ask for a name'
    known = {*_REQUIRED, *_OPTIONAL, *_FLAGS, "anonymous"}
    yield from (f"{key} is not known; correct its spelling" for key in sorted(row.keys() - known))
    flags = [key for key in _FLAGS if not isinstance(row.get(key, False), bool)]
    yield from (f"{key} is neither true nor false; write one of them" for key in flags)
    if bool(row.get("number")) != bool(row.get("tel")):
        yield "number and tel go together; write both or neither"
    if not str(row.get("url", "https://")).startswith("https://"):
        yield "url does not start with https://; write the whole address"
    if not str(row.get("from_overseas", "+")).startswith("+"):
        yield "from_overseas does not start with +; write the whole number"
    if row.get("asks_name") not in _ASKS_NAME:
        yield 'asks_name is not right; write "yes", "no" or "ask"'


def _read_day(value: object, fault: Callable[[str], None]) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        fault("as_at is not a day; write one such as 2026-11-22")
        return date.min
