"""Made-up figures of what became of reports, signed by a key of a test's own."""

from datetime import date
from pathlib import Path
from time import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.delivery.clock import nz_day
from app.desk.case_fields import REASONS
from app.vault.published_outcomes import (
    LAG_MONTHS,
    MonthOutcomes,
    PublishedOutcomes,
    YearOutcomes,
    add_months,
    month_of,
    sign_outcomes,
)
from app.vault.signature import encode_public_key, public_bytes
from app.vault.tip import SCHEMA


def signed_outcomes(key: Ed25519PrivateKey, today: date, *, agency: str = "example", ahead: int = 0) -> bytes:
    """The largest file that a desk makes: twelve months until the one before `today`, and three years."""
    until = add_months(month_of(today), ahead - 1)
    months = [_month(add_months(until, -place), place) for place in range(12)]
    last = int(add_months(until, -LAG_MONTHS)[:4]) - (add_months(until, -LAG_MONTHS)[5:] != "12")
    years = [
        YearOutcomes(
            last - place,
            {reason: _figure(number) for number, reason in enumerate(REASONS)},
            {kind.value: _figure(number + place) for number, kind in enumerate(SCHEMA.kinds)},
        )
        for place in range(3)
    ]
    return sign_outcomes(PublishedOutcomes(agency, until, tuple(months), tuple(years)), key)


def published_figures(folder: Path) -> dict[str, str]:
    """Put such a file into the operator's own folder of a demonstration; return the configuration's variables."""
    own, key = folder / "own", Ed25519PrivateKey.generate()
    own.mkdir()
    (own / "outcomes.json").write_bytes(signed_outcomes(key, nz_day(time())))
    return {"CONTENT_FOLDER": str(own), "AGENCY_EXAMPLE_REPLY_KEY": encode_public_key(public_bytes(key))}


def _month(month: str, place: int) -> MonthOutcomes:
    received = 36 + 3 * place
    if place < LAG_MONTHS:
        return MonthOutcomes(month, received)
    return MonthOutcomes(month, received, is_counted=True, referred=None if place % 4 else 12, closed=received - 9)


def _figure(number: int) -> int | None:
    return None if number % 3 == 2 else 9 + 12 * number
