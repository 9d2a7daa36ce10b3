"""Whom to call: every number and address once, from `content/contacts.toml`.

A number or an address stands only with its source and a day. What a contact is for, and whether it learns
who one is, are words, and so lie in each language's own `contacts.toml`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

_REQUIRED = ("id", "name", "anonymous", "source", "as_at")
_OPTIONAL = ("number", "tel", "url", "hours")
_FLAGS = ("dated",)


@dataclass(frozen=True)
class Contact:
    """One number or address; `anonymous` is yes, no or ask; `dated` says that `as_at` is the source's own day."""

    id: str
    name: str
    anonymous: str
    source: str
    as_at: date
    number: str = ""
    tel: str = ""
    url: str = ""
    hours: str = ""
    dated: bool = True
    use: Markup = Markup()
    learns: Markup = Markup()

    @property
    def href(self) -> str:
        """Where a tap on the number leads (RFC 3966)."""
        return f"tel:{self.tel}" if self.tel else ""

    @property
    def host(self) -> str:
        """The web address as short as it can be said."""
        return urlsplit(self.url).netloc.removeprefix("www.")


def read(rows: Sequence[Mapping[str, Any]], fault: Callable[[str], None]) -> dict[str, Contact]:
    """The contacts of `content/contacts.toml` by id, in the file's order."""
    contacts: dict[str, Contact] = {}
    for row in rows:
        contact = _contact(row, lambda words, row=row: fault(f"[[contact]] {row.get('id', '?')}: {words}"))
        if contact.id in contacts:
            fault(f"[[contact]] {contact.id} stands twice; keep one")
        contacts[contact.id] = contact
    if not contacts:
        fault("there is no [[contact]]; a site without a number to call helps nobody")
    return contacts


def _contact(row: Mapping[str, Any], fault: Callable[[str], None]) -> Contact:
    for key in _REQUIRED:
        if not row.get(key):
            fault(f"{key} is missing; write it")
    for key in row.keys() - {*_REQUIRED, *_OPTIONAL, *_FLAGS}:
        fault(f"{key} is not known; mend its spelling")
    if bool(row.get("number")) != bool(row.get("tel")):
        fault("number and tel go together; write both or neither")
    if not str(row.get("url", "https://")).startswith("https://"):
        fault("url does not start with https://; write the whole address")
    if row.get("anonymous") not in ("yes", "no", "ask"):
        fault('anonymous is not right; write "yes", "no" or "ask"')
    return Contact(
        as_at=_day(row.get("as_at"), fault),
        dated=bool(row.get("dated", True)),
        **{key: str(row.get(key, "")) for key in ("id", "name", "anonymous", "source", *_OPTIONAL)},
    )


def _day(value: object, fault: Callable[[str], None]) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        fault("as_at is not a day; write one such as 2026-11-22")
        return date.min
