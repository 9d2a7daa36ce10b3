"""The filter of the queue as it travels in addresses: read, written, and carried from the queue to a tip and back.

Only values that the queue knows are read, and only names of this module are written into an address of the desk's own:
nothing in a request leads to another place. Each address of a tip that is opened from the queue carries the filter, the
addresses of its forms too, so that "Queue" leads back to the same rows and page.
"""

from collections.abc import Mapping
from typing import Any

from flask import g, request

from app.desk.queue import SORT_KEYS, VIEWS, QueueFilter
from app.desk.web.context import current_desk
from app.vault.tip import SCHEMA

FLAGS = ("danger", "children", "mine", "due", "translator", "answerable", "files", "common")
_TEXTS = {"place": 100, "words": 200}  # the most characters of each
_CHOICES: Mapping[str, frozenset[str]] = {
    "view": frozenset(VIEWS),
    "kind": frozenset(kind.value for kind in SCHEMA.kinds),
    "sort": frozenset(SORT_KEYS),
}
_NAMES = frozenset({*FLAGS, *_TEXTS, *_CHOICES, "language", "page"})
_MAX_DIGITS = 5
_BLUEPRINTS = frozenset({"assignment", "thread", "queue", "case", "closing", "joined_tips", "referral", "asked"})
_BACK = frozenset({"queue.show", "closing.close_many", "closing.undo", "queue.export_chosen"})


def read_filter(untrusted_query: Mapping[str, str]) -> QueueFilter:
    """Return what the address asks for; anything unknown in it counts as not asked for."""
    asked: dict[str, Any] = {name: untrusted_query.get(name) == "1" for name in FLAGS}
    asked |= {name: untrusted_query.get(name, "")[:most].strip() for name, most in _TEXTS.items()}
    asked |= {name: untrusted_query[name] for name in _CHOICES if untrusted_query.get(name) in _CHOICES[name]}
    language, number = untrusted_query.get("language", ""), untrusted_query.get("page", "")
    page = int(number) if number.isascii() and number.isdigit() and len(number) <= _MAX_DIGITS else 1
    known = language if language in current_desk().queue.languages.choices else ""
    return QueueFilter(**asked, language=known, page=page)


def filter_query(filters: QueueFilter) -> dict[str, Any]:
    """Return the query of an address that asks for this, without what is so by default."""
    plain = QueueFilter()
    names = [name for name in sorted(_NAMES) if getattr(filters, name) != getattr(plain, name)]
    return {name: "1" if name in FLAGS else str(getattr(filters, name)) for name in names}


def carry_filter(endpoint: str, values: dict[str, Any]) -> None:
    """Put the filter of this request into an address that is made for a tip, or for the way back to the queue.

    An address that names a part of a filter itself stays as it is, and so do those of the queue's own tabs.
    """
    of_tip = "tip" in values and endpoint.partition(".")[0] in _BLUEPRINTS and endpoint != "case.show_file"
    back = endpoint in _BACK and endpoint != request.endpoint
    if (of_tip or back) and request.blueprint in _BLUEPRINTS and not _NAMES.intersection(values):
        if "filter_query" not in g:  # once for all addresses of a page
            g.filter_query = filter_query(read_filter(request.args))
        values.update(g.filter_query)
