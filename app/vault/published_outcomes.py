"""The figures of what became of reports, as one desk publishes them: a line of JSON, signed by the desk (Ed25519).

The JSON is canonical: its members have one order, and there are no spaces. So the signed bytes are those of the file
without the member `signature`, and a reader needs no JSON to find them. A figure is a multiple of three from six up, or
None, which a page shows as "fewer than 6". How a desk changes its counts before it publishes them is the desk's part
(`desk/outcome_counts`). Codes of OutcomesError: `outcomes-size`, `outcomes-form`, `outcomes-key`, `outcomes-signature`,
`outcomes-agency`, `outcomes-future`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import OutcomesError, SignatureError
from app.vault.signature import SignatureContext, encode_public_key, public_bytes, sign, verify

FORMAT = "haumaru-outcomes/1"
MAX_BYTES = 32 * 1024
MAX_MONTHS = 12
MAX_YEARS = 3
SMALLEST = 6  # a smaller figure is not shown
ROUNDED_TO = 3
LAG_MONTHS = 3  # after its last month is over, for which what became of a period's reports is counted

_MAX_FIGURE = 999_999
_MAX_NAMES = 40
_AGENCY = re.compile(r"[a-z0-9-]{1,40}")
_NAME = re.compile(r"[a-z][a-z-]{0,31}")
_MONTH = re.compile(r"2[0-9]{3}-(0[1-9]|1[0-2])")
_SEPARATORS = (",", ":")

Figure = int | None  # None: fewer than SMALLEST


@dataclass(frozen=True)
class MonthOutcomes:
    """The reports that came in a month ("2026-10"): how many, and how many of them were passed on and closed.

    `is_counted` says whether what became of them is counted; before that, `referred` and `closed` are None.
    """

    month: str
    received: Figure
    is_counted: bool = False
    referred: Figure = None
    closed: Figure = None


@dataclass(frozen=True)
class YearOutcomes:
    """The reports that came in a calendar year: why they were closed, and what they were about, by code."""

    year: int
    reasons: Mapping[str, Figure]
    kinds: Mapping[str, Figure]


@dataclass(frozen=True)
class PublishedOutcomes:
    """All figures of one agency until the end of a month ("2026-10"), the newest months and years first."""

    agency: str
    until: str
    months: tuple[MonthOutcomes, ...]
    years: tuple[YearOutcomes, ...]


def month_of(day: date) -> str:
    """Return the month of a day, as "2026-10"."""
    return f"{day.year:04}-{day.month:02}"


def add_months(month: str, count: int) -> str:
    """Return the month that lies `count` months after a month, or before it where `count` is negative."""
    years, place = divmod(int(month[:4]) * 12 + int(month[5:]) - 1 + count, 12)
    return f"{years:04}-{place + 1:02}"


def is_counted(month: str, until: str) -> bool:
    """Return whether what became of a month's reports is counted in figures until the end of another month."""
    return add_months(month, LAG_MONTHS) <= until


def sign_outcomes(outcomes: PublishedOutcomes, key: Ed25519PrivateKey) -> bytes:
    """Return the file that a desk publishes: one line of JSON, signed, the same bytes for the same figures."""
    unsigned = _encode({**_as_json(outcomes), "key": encode_public_key(public_bytes(key))})
    signature = sign(SignatureContext.OUTCOMES, unsigned, key)
    return unsigned[:-1] + b',"signature":"' + signature.encode() + b'"}\n'


def read_outcomes(untrusted_data: bytes, *, agency: str, key: bytes, today: date) -> PublishedOutcomes:
    """Return the figures of a file, which an agency must have signed with its 32-byte public key.

    Raises OutcomesError: see the codes above. `today` is the day in New Zealand: no month of it or later may be there.
    """
    if len(untrusted_data) > MAX_BYTES:
        raise OutcomesError("outcomes-size")
    try:
        fields: dict[str, Any] = json.loads(untrusted_data)
        signature = fields.pop("signature")
        unsigned = _encode(fields)
        if unsigned[:-1] + b',"signature":"' + signature.encode("ascii") + b'"}\n' != untrusted_data:
            raise OutcomesError
        if fields.pop("key") != encode_public_key(key):
            raise OutcomesError("outcomes-key")
        verify(SignatureContext.OUTCOMES, unsigned, signature, key)
        outcomes = _from_json(fields)
    except SignatureError:
        raise OutcomesError("outcomes-signature") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise OutcomesError from None
    if outcomes.agency != agency:
        raise OutcomesError("outcomes-agency")
    if outcomes.until >= month_of(today):
        raise OutcomesError("outcomes-future")
    return outcomes


def _encode(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=True, separators=_SEPARATORS).encode("ascii")


def _as_json(outcomes: PublishedOutcomes) -> dict[str, Any]:
    months: list[dict[str, Any]] = []
    for one in outcomes.months:
        became = {"referred": one.referred, "closed": one.closed} if one.is_counted else {}
        months.append({"month": one.month, "received": one.received, **became})
    years = [{"year": one.year, "reasons": dict(one.reasons), "kinds": dict(one.kinds)} for one in outcomes.years]
    return {
        "format": FORMAT,
        "agency": outcomes.agency,
        "until": outcomes.until,
        "months": months,
        "years": years,
    }


def _from_json(fields: Mapping[str, Any]) -> PublishedOutcomes:
    """Return the figures of a signed file; raises OutcomesError, ValueError, KeyError or TypeError for another form."""
    agency, until = fields["agency"], fields["until"]
    _check(_AGENCY.fullmatch(agency) and _MONTH.fullmatch(until))
    months = tuple(_read_month(row, until) for row in fields["months"])
    years = tuple(_read_year(row, until) for row in fields["years"])
    outcomes = PublishedOutcomes(agency, until, months, years)
    _check(_encode(_as_json(outcomes)) == _encode(fields))
    _check([one.month for one in months] == [add_months(until, -place) for place in range(len(months))])
    _check(1 <= len(months) <= MAX_MONTHS and len(years) <= MAX_YEARS)
    _check(all(newer.year == older.year + 1 for newer, older in pairwise(years)))
    return outcomes


def _read_month(row: Mapping[str, Any], until: str) -> MonthOutcomes:
    counted = is_counted(row["month"], until)
    became = {"referred": _figure(row["referred"]), "closed": _figure(row["closed"])} if counted else {}
    return MonthOutcomes(row["month"], _figure(row["received"]), is_counted=counted, **became)


def _read_year(row: Mapping[str, Any], until: str) -> YearOutcomes:
    year = row["year"]
    _check(type(year) is int and is_counted(f"{year:04}-12", until))
    return YearOutcomes(year, _read_figures(row["reasons"]), _read_figures(row["kinds"]))


def _read_figures(row: Mapping[str, Any]) -> dict[str, Figure]:
    _check(len(row) <= _MAX_NAMES and all(_NAME.fullmatch(name) for name in row))
    return {name: _figure(value) for name, value in row.items()}


def _figure(value: object) -> Figure:
    if value is None:
        return None
    if type(value) is not int or not SMALLEST <= value <= _MAX_FIGURE or value % ROUNDED_TO:
        raise OutcomesError
    return value


def _check(condition: object) -> None:
    if not condition:
        raise OutcomesError
