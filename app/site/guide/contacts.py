"""Whom to call: every number and address once, from `content/contacts.toml`.

A number or an address stands only with its source and a day. What a contact is for, and whether it learns
who one is, are words, and so lie in each language's own `contacts.toml`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any
from urllib.parse import urlsplit

_REQUIRED = ("id", "name", "anonymous", "source", "as_at")
_OPTIONAL = ("number", "tel", "url", "hours")
_FLAGS = ("dated",)


@dataclass(frozen=True)
class Contact:
    """One number or address; `anonymous` is yes, no or ask; `dated`: `as_at` is the source's own day.

    `use` and `learns` are HTML, in the language of the edition that holds the contact.
    """

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
    use: str = ""
    learns: str = ""

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
        contact = _contact(row, partial(_of_row, fault, str(row.get("id", "?"))))
        if contact.id in contacts:
            fault(f"[[contact]] {contact.id} stands twice; keep one")
        contacts[contact.id] = contact
    if not contacts:
        fault("there is no [[contact]]; a site without a number to call helps nobody")
    return contacts


def _of_row(fault: Callable[[str], None], identifier: str, words: str) -> None:
    fault(f"[[contact]] {identifier}: {words}")


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
    texts: dict[str, Any] = {key: str(row.get(key, "")) for key in (*_REQUIRED[:-1], *_OPTIONAL)}
    return Contact(as_at=_day(row.get("as_at"), fault), dated=bool(row.get("dated", True)), **texts)


def _day(value: object, fault: Callable[[str], None]) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        fault("as_at is not a day; write one such as 2026-11-22")
        return date.min
