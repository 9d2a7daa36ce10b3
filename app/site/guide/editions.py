"""What a site serves: the languages that have content, and of those, where only signed ones are shown, the signed.

A site with `reviewed_only` shows a language once a speaker has signed what a person in danger reads, and the catalogue,
which has the menus, the form and its errors. Every other site shows all languages, and each page says what nobody has
checked. The English is always served. Nothing here renders a page.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from app.core.i18n import known_languages
from app.site.config import Config
from app.site.guide.loader import load_catalogue_reviews, load_library
from app.site.guide.models import ENGLISH, Library, Review


def served_languages(root: Path) -> tuple[str, ...]:
    """Return the codes of the languages that have content below `root`, in the order of the languages."""
    return tuple(code for code in known_languages(root) if any((root / code).glob("*.md")))


def load_editions(config: Config, root: Path) -> tuple[Library, Mapping[str, Review]]:
    """Return what a site serves of `content/` and `translations/` below `root`, and the review of each catalogue.

    With `reviewed_only` a language is served if a speaker has signed its required pages and its catalogue. Raises
    ConfigError with every fault.
    """
    codes = served_languages(root / "content")
    library = load_library(root / "content", codes, config.content, signed_only=config.site.reviewed_only)
    catalogue_reviews = load_catalogue_reviews(root / "translations", codes)
    if not config.site.reviewed_only:
        return library, catalogue_reviews
    signed = library.only_reviewed()
    return _only_signed(signed, catalogue_reviews), catalogue_reviews


def _only_signed(library: Library, catalogue_reviews: Mapping[str, Review]) -> Library:
    """Return the library without the languages whose catalogue nobody has signed.

    The menus, the form and its errors are in the catalogue, so that a language without a signed one is not shown.
    """
    kept = {code: edition for code, edition in library.editions.items() if catalogue_reviews[code].reviewed}
    return replace(library, editions=MappingProxyType(kept))


def review_warnings(library: Library, reviews: Mapping[str, Review], *, reviewed_only: bool) -> Iterator[str]:
    """Yield what an operator should know about signatures: what is shown unsigned, hidden, or shown in English."""
    editions = {lang: edition for lang, edition in library.editions.items() if lang != ENGLISH}
    if not reviewed_only:
        unsigned = [lang for lang, edition in editions.items() if not edition.reviewed]
        if unsigned:
            yield f"[site] reviewed_only: no speaker has signed {', '.join(unsigned)}; have each checked, or write true"
        return
    hidden = [lang for lang, edition in editions.items() if not (edition.signed and reviews[lang].reviewed)]
    if hidden:
        yield f"[site] reviewed_only: {', '.join(hidden)} not shown; have a speaker sign what make review CODE=… prints"
    for lang in sorted(editions.keys() - set(hidden)):
        english = [slug for slug, page in editions[lang].pages.items() if page.lang != lang]
        if english:
            yield f"content/{lang}: {', '.join(english)} come in English; have a speaker sign them"
