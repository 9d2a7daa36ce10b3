"""Whether a speaker has checked the program's own words in a language, and whether they are still those of today.

The record stands in the header of each `messages.po`: `X-Source-Digest` (of `messages.pot`), `X-Status`,
`X-Reviewed-By`, `X-Reviewed-On`. A language without a catalogue is neither current nor reviewed.
"""

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from app.core.errors import ConfigError
from app.site.guide import review
from app.site.guide.models import ENGLISH
from app.site.guide.review import Review

_HEADER = re.compile(r'^"(X-[A-Za-z-]+): (.*?)\\n"$', re.MULTILINE)


def reviews(root: Path, codes: Iterable[str]) -> dict[str, Review]:
    """The review of each language's catalogue below `root`; `ConfigError` for a record that is not right."""
    faults: list[str] = []
    template = root / "messages.pot"
    words = template.read_bytes() if template.exists() else b""
    found = {code: _review(root / code.replace("-", "_"), words, faults) for code in codes}
    if faults:
        raise ConfigError(tuple(faults))
    return found


def _review(folder: Path, template: bytes, faults: list[str]) -> Review:
    if folder.name == ENGLISH:
        return review.SOURCE
    path = folder / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return Review(stale=True, reviewed=False)
    head = path.read_text(encoding="utf-8").partition("\n\n")[0]
    headers = dict(_HEADER.findall(head))
    keys = {"X-Source-Digest": "source_digest", "X-Status": "status", "X-Reviewed-By": "reviewed_by"}
    record: dict[str, Any] = {key: headers[header] for header, key in keys.items() if header in headers}
    record["reviewed_on"] = _day(headers.get("X-Reviewed-On", ""))
    return review.of(record, template, lambda words: faults.append(f"translations/{folder.name}: {words}"))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
