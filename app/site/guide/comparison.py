"""Compares a translation with the English that it was made from, and puts English where the translation has nothing.

Compared are keys, lists, links, headings and safety sentences. A translation of other English than today's is not
compared: its page says that it is behind. English words keep the language of English, and their links lead to the pages
of the language that is shown.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from markupsafe import Markup

from app.site.guide.models import ENGLISH, REQUIRED_PAGES, Contact, Edition, Page, page_path

# Keys that only the English page has, since they hold for every language.
_ENGLISH_KEYS = frozenset({"kinds"})


def compare_editions(translated: Edition, english: Edition, faults: list[str]) -> None:
    """Add to `faults` where a translation of today's English has other keys, list lengths, links or headings than it.

    A page that the language does not have, and that is shown in English, is not compared.
    """
    for slug, page in translated.pages.items():
        fault, model = partial(_add_fault, faults, f"content/{translated.lang}/{slug}.md"), english.pages.get(slug)
        if model is None or page.review.stale or page.lang != translated.lang:
            continue
        own, model_shape = _shape(page.raw), _shape(model.raw)
        keys = (own.keys() | model_shape.keys()) - _ENGLISH_KEYS
        unlike = sorted(key for key in keys if own.get(key, 0) != model_shape.get(key, 0))
        if unlike:
            fault(f"the front matter differs from the English in {', '.join(unlike)}; give it the same keys and lists")
        odd = sorted(page.links ^ model.links)
        if odd:
            fault(f"these links stand in one of this file and the English only: {' '.join(odd)}; make them the same")
        if len(page.headings) != len(model.headings):
            fault(f"{len(page.headings)} headings (##) beside {len(model.headings)} in the English; make them the same")
    odd = sorted(translated.safety.keys() ^ english.safety.keys())
    if translated.safety and odd:
        faults.append(f"content/{translated.lang}/safety.toml: {' '.join(odd)}: in one language only; write it in both")


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _shape(inner) for key, inner in value.items()}
    return [_shape(inner) for inner in value] if isinstance(value, list) else None


def _add_fault(faults: list[str], name: str, words: str) -> None:
    faults.append(f"{name}: {words}")


def in_english_where_missing(edition: Edition, english: Edition, *, signed_only: bool) -> Edition:
    """Return an edition whose missing pages, sentences and uses of contacts are those of the English edition.

    With `signed_only` a page that nobody has signed is missing too, unless it is one of `REQUIRED_PAGES`.
    """
    shown = {slug: edition.pages.get(slug) for slug in english.pages}
    if signed_only:
        kept = (page for page in shown.values() if page and (page.review.reviewed or page.slug in REQUIRED_PAGES))
        shown = dict.fromkeys(shown) | {page.slug: page for page in kept}
    return replace(
        edition,
        pages={slug: page or _english_page(english.pages[slug], edition.lang) for slug, page in shown.items()},
        safety=edition.safety or {key: _in_english(words) for key, words in english.safety.items()},
        contacts={key: _with_uses(contact, english.contacts[key]) for key, contact in edition.contacts.items()},
    )


def _english_page(page: Page, lang: str) -> Page:
    """Return the English page with links to the pages of another language."""

    def lead(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: lead(inner) for key, inner in value.items()}
        if isinstance(value, tuple):
            return tuple(lead(inner) for inner in value)
        if not isinstance(value, Markup):
            return value
        english, own = (f'href="{page_path(code, "home")}' for code in (ENGLISH, lang))
        return Markup(str(value).replace(english, own))  # noqa: S704  # sanitised, and our own addresses

    return replace(page, body=lead(page.body), words=lead(page.words))


def _with_uses(contact: Contact, english: Contact) -> Contact:
    if contact.use:
        return contact
    return replace(contact, use=_in_english(english.use), learns=_in_english(english.learns))


def _in_english(words: str) -> Markup:
    return Markup('<span lang="en" dir="ltr">%s</span>') % words
