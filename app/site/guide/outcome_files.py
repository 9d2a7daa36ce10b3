"""The files of figures that agencies signed, in the operator's own folder of content.

With one agency the file is `outcomes.json`, with several `outcomes-<agency id>.json`. A file is served only if its
agency signed it with the key of `reply_key`, and if it counts no month that goes on; a file with a fault is not served,
and the site runs without. The bytes that are served are those that the agency signed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from babel.dates import format_skeleton
from flask_babel import get_locale, gettext

from app.core.errors import OutcomesError
from app.site.agencies import AgencyConfig
from app.vault.published_outcomes import MAX_BYTES, PublishedOutcomes, read_outcomes
from app.vault.signature import encode_public_key
from app.vault.tip import SCHEMA

_SINGLE_NAME = "outcomes.json"
_FAULTS: Mapping[str, str] = {
    "outcomes-size": "is larger than 32 kB; copy the file from the desk again",
    "outcomes-form": "is no file of figures that this version reads; copy the file from the desk again, byte for byte",
    "outcomes-key": "was signed with another key than reply_key; ask the agency which of the two is right",
    "outcomes-signature": "was changed after the agency signed it; copy the file from the desk again, byte for byte",
    "outcomes-agency": "belongs to another agency; ask that the id in desk.toml, [site] agency, be that of [[agency]]",
    "outcomes-no-key": "cannot be checked without the agency's key; write reply_key under its [[agency]]",
    "outcomes-future": "counts a month that is not over; correct the clock of this machine, or ask for a new file",
}


@dataclass(frozen=True)
class AgencyOutcomes:
    """The figures of one agency, and the file that the agency signed, under the name at which the site serves it."""

    agency: AgencyConfig
    name: str
    data: bytes
    figures: PublishedOutcomes

    @property
    def key(self) -> str:
        """Return the key that signed the file, in base64."""
        return encode_public_key(self.agency.reply_key)


def read_outcome_files(
    folder: Path | None, agencies: Sequence[AgencyConfig], today: date
) -> tuple[tuple[AgencyOutcomes, ...], tuple[str, ...]]:
    """Return the figures to show, and every fault with its remedy; `today` is the day in New Zealand.

    A folder without such a file has no fault: an agency need not publish figures.
    """
    if folder is None:
        return (), ()
    found: list[AgencyOutcomes] = []
    faults: list[str] = []
    for agency in agencies:
        name = _SINGLE_NAME if len(agencies) == 1 else f"outcomes-{agency.id}.json"
        try:
            found += _read(folder / name, agency, today)
        except OSError:
            faults.append(f"[content] folder: {name} cannot be read; give this user the right to read the file")
        except OutcomesError as error:
            faults.append(f"[content] folder: {name} {_FAULTS[error.code]}")
    if len(agencies) > 1 and (folder / _SINGLE_NAME).exists():
        faults.append(f"[content] folder: {_SINGLE_NAME} names no agency; rename the file to outcomes-<agency id>.json")
    return tuple(found), tuple(faults)


def outcome_values(published: Sequence[AgencyOutcomes]) -> dict[str, Any]:
    """Return the values of the page in the language of the request: the figures, and names of months and kinds."""
    months = {row.month for one in published for row in one.figures.months}
    return {
        "published": published,
        "month_names": {
            month: format_skeleton("yMMMM", date.fromisoformat(f"{month}-01"), locale=get_locale()) for month in months
        },
        "kind_names": {kind.value: gettext(kind.label) for kind in SCHEMA.kinds},
    }


def _read(path: Path, agency: AgencyConfig, today: date) -> list[AgencyOutcomes]:
    """Return the figures in a file, none where there is no file; raises OutcomesError or OSError."""
    if not path.exists():
        return []
    if not agency.reply_key:
        raise OutcomesError("outcomes-no-key")
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    figures = read_outcomes(data, agency=agency.id, key=agency.reply_key, today=today)
    return [AgencyOutcomes(agency, path.name, data, figures)]
