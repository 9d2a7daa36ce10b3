"""Walks an operator through the contacts, and writes into the operator's own file the day on which each was right.

The operator's `contacts.toml` gets the whole row of a contact, as it was, with the new day. Comments and the order of
the file stay. Nothing is written for a contact that no longer holds.
"""

import re
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

from app.core.errors import ConfigError
from app.site.guide.models import HOURS, Contact, GuideFolders

_ROW = re.compile(r"^\[\[contact\]\]\n(?:(?!\[\[)[^\n]*\n?)*", re.MULTILINE)
_HEAD = "# The operator's own contacts: each row takes the place of the program's row with the same id.\n\n"
_NAME = "contacts.toml"
_ASKS_NAME = {
    "yes": "They may ask for a name",
    "no": "They do not ask for a name",
    "ask": "We do not know whether they ask for a name",
}
_FLAGS = {
    "free": "The call is free",
    "silent": "A caller who cannot speak gets help too",
    "text": "People who are deaf can send a text message after they have registered",
    "languages": "An interpreter can join the call",
}


def confirm_contacts(
    contacts: Iterable[Contact], folders: GuideFolders, today: date, holds: Callable[[str], bool]
) -> list[str]:
    """Ask `holds` about each contact, in words; write `today` for each that does; return the ids of those that do not.

    Raises `ConfigError` where the operator has no folder, or its file cannot be written.
    """
    if folders.own is None:
        raise ConfigError(
            ("[content] folder: is missing; make a folder for your own contacts, and write its path there",)
        )
    wrong = []
    for contact in contacts:
        if holds(_description(contact)):
            _write_row(folders, folders.own / _NAME, contact.id, today)
        else:
            wrong.append(contact.id)
    return wrong


def _description(contact: Contact) -> str:
    """Return everything that the site says of a contact, for somebody who calls it and compares."""
    facts = (
        contact.number or "no number",
        contact.url,
        HOURS.get(contact.hours, contact.hours),
        f"from another country: {contact.from_overseas}" if contact.from_overseas else "",
        _ASKS_NAME[contact.asks_name],
        *(words for key, words in _FLAGS.items() if getattr(contact, key)),
    )
    known = "".join(f"\n  - {fact.rstrip('.')}" for fact in facts if fact)
    origin = f"source: {contact.source}\n  checked: {contact.as_at}"
    return f"{contact.name}:{known}\n  {origin}\n  Is all of this still right?"


def _write_row(folders: GuideFolders, path: Path, identifier: str, today: date) -> None:
    own = path.read_text(encoding="utf-8") if path.is_file() else _HEAD
    program = (folders.program / _NAME).read_text(encoding="utf-8")
    row = _find_row(own, identifier)
    if row:
        text = own.replace(row, _dated_row(row, today))
    else:
        text = f"{own.rstrip()}\n\n{_dated_row(_find_row(program, identifier), today).rstrip()}\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            (f"{path}: cannot be written ({error.strerror}); give this user the right to write there",)
        ) from None


def _find_row(text: str, identifier: str) -> str:
    wanted = re.compile(rf'^id\s*=\s*"{re.escape(identifier)}"', re.MULTILINE)
    return next((row for row in _ROW.findall(text) if wanted.search(row)), "")


def _dated_row(row: str, today: date) -> str:
    """Return the row with today as its day: the operator's day, no longer that of a document."""
    row = re.sub(r"^as_at\s*=.*$", f'as_at = "{today.isoformat()}"', row, flags=re.MULTILINE)
    return re.sub(r"^dated\s*=.*$", "dated = false", row, flags=re.MULTILINE)
