"""What `content/` is once it has been read: pages, editions, the library of them all; none of it changes again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from app.site.guide.contacts import Contact
from app.site.guide.markdown import Heading
from app.site.guide.plan import Plan
from app.site.guide.review import Review

ENGLISH = "en"
SLUGS = (
    "home",
    "help",
    "self-check",
    "signs",
    "what-is-trafficking",
    "law",
    "response",
    "plan",
    "sheet",
    "contact",
    "anonymity",
    "privacy",
    "accessibility",
    "about",
)


@dataclass(frozen=True)
class Page:
    """One page in one language; its front matter's other keys three ways: as written, as HTML, as a sheet's runs."""

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
class Edition:
    """Everything in one language."""

    lang: str
    pages: Mapping[str, Page]
    safety: Mapping[str, Markup]
    contacts: Mapping[str, Contact]
    common: Review
    stale: tuple[str, ...]

    @property
    def reviewed(self) -> bool:
        """Whether a speaker has signed every file as it is now."""
        return self.common.reviewed and all(page.review.reviewed for page in self.pages.values())


@dataclass(frozen=True)
class Library:
    """All editions by language code, in the order of the languages, and the plan."""

    editions: Mapping[str, Edition]
    plan: Plan

    @property
    def stale(self) -> tuple[str, ...]:
        """The translated files that were made from other English than today's."""
        return tuple(name for edition in self.editions.values() for name in edition.stale)

    def only_reviewed(self) -> "Library":
        """The same library without the languages that no reviewer has signed."""
        kept = {lang: edition for lang, edition in self.editions.items() if edition.reviewed}
        return replace(self, editions=kept)
