"""What the self-check page shows: questions, and whom to call for a yes.

It has no route that takes an answer, and its form no address: an answer cannot leave the page. What is said
for a yes or for all no is on the page from the start, and the stylesheet shows what fits.
"""

from typing import Any

from app.site.guide.contacts import Contact
from app.site.guide.models import Edition


def values(edition: Edition) -> dict[str, Any]:
    """The template's values: the contacts for a yes and for danger now, as objects."""
    words = edition.pages["self-check"].words
    return {
        "yes_contacts": _contacts(edition, words["yes_contacts"]),
        "danger_contacts": _contacts(edition, words["danger_contacts"]),
    }


def _contacts(edition: Edition, ids: tuple[str, ...]) -> tuple[Contact, ...]:
    return tuple(edition.contacts[str(identifier)] for identifier in ids)
