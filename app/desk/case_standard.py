"""Cases in the fields of IOM's Human Trafficking Case Data Standard 2.0, as CSV, for a system that uses the standard.

The tables below are the whole mapping; docs/formats.md says what has no field. The standard describes people whom an
agency knows, while a tip is what somebody noticed: so each line is a possible victim, without a name. No word that the
sender wrote is in the file: the only free text is a handler's summary. Nothing about the sender is mapped.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from app.desk.case import Case
from app.desk.case_fields import REASONS, State

STANDARD_FIELDS = (
    "vic_TraffickingStatus",
    "vic_TypeOfExploitation",
    "vic_MethodsOfControl",
    "vic_ForcedLabourIndustry",
    "cas_Status",
    "cas_ReasonForCaseClosure",
    "cas_IncomingReferralDate",
    "cas_ReferredOrganisation",
    "cas_ReasonForOutgoingReferral",
    "cas_OutgoingReferralDate",
    "hte_Type",
    "hte_Description",
)
"""The standard's field names, with their prefixes, in the order of the columns."""

STANDARD_VALUES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "work": {"vic_TypeOfExploitation": "ForcedLabour"},
        "sex-work": {"vic_TypeOfExploitation": "SexualExploitation"},
        "domestic": {
            "vic_TypeOfExploitation": "ForcedLabour",
            "vic_ForcedLabourIndustry": "T_ActivitiesOfHouseholdsAsEmployers",
        },
        "debt": {"vic_MethodsOfControl": "DebtBondage"},
        "documents": {"vic_MethodsOfControl": "WithholdsDocuments"},
        "threats": {"vic_MethodsOfControl": "Other"},
        "money": {"vic_MethodsOfControl": "TakesEarnings"},
        "movement": {"vic_MethodsOfControl": "Other"},
        "marriage": {"vic_TypeOfExploitation": "ForcedMarriage"},
        "crime": {"vic_TypeOfExploitation": "Other"},
        "organs": {"vic_TypeOfExploitation": "OrganRemoval"},
        "other": {"vic_TypeOfExploitation": "Other"},
        "job-paid-for": {},
        "wages-back": {"vic_MethodsOfControl": "TakesEarnings"},
    }
)
"""By a choice of the report's questions `kinds` and `paid`, the values of the standard, by field."""

STANDARD_STATES: Mapping[State, str] = MappingProxyType(
    {State.NEW: "Active", State.WORK: "Active", State.WAITING: "Active", State.REFERRED: "FollowUp"}
)
"""By a state, the value of `cas_Status`; a closed case has `Closed`, or `ClosedReferred` if it was referred."""

NO_VICTIM = frozenset({"other", "test"})
"""Reasons for closing with which a case has no possible victim."""
_BETWEEN = ";"  # the values of a field that takes several
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export_standard_csv(cases: Iterable[Case]) -> bytes:
    """Return cases as CSV (RFC 4180) with the case's id and the standard's fields; a line of names comes first.

    No cell begins with what a spreadsheet would run as a formula. Raises RefusedError `objectionable`.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("id", *STANDARD_FIELDS))
    for case in cases:
        record = standard_record(case)
        writer.writerow((case.id, *(_safe(record.get(name, "")) for name in STANDARD_FIELDS)))
    return out.getvalue().encode()


def standard_record(case: Case) -> dict[str, str]:
    """Return one case by the standard's field names, without empty fields; raises RefusedError `objectionable`."""
    case.require_shown()
    is_referred = bool(case.referrals)
    last = case.referrals[-1] if is_referred else None
    closed = "ClosedReferred" if is_referred else "Closed"
    record = {
        **_chosen_values(case),
        "cas_Status": STANDARD_STATES.get(case.state, closed),
        "cas_ReasonForCaseClosure": REASONS.get(case.reason, ""),
        "cas_IncomingReferralDate": case.received.isoformat(),
        "cas_ReferredOrganisation": _BETWEEN.join(dict.fromkeys(one.name for one in case.referrals)),
        "cas_ReasonForOutgoingReferral": "Other" if is_referred else "",
        "cas_OutgoingReferralDate": last.day.isoformat() if last else "",
        "hte_Description": case.draft.summary,
    }
    if case.reason not in NO_VICTIM:
        record |= {"vic_TraffickingStatus": "PossibleVictimOfTrafficking", "hte_Type": "Exploitation"}
    return {name: value for name, value in record.items() if value}


def _chosen_values(case: Case) -> dict[str, str]:
    found: dict[str, dict[str, None]] = {}
    for choice in (*case.ticked("kinds"), *case.ticked("paid")):
        for name, value in STANDARD_VALUES.get(choice, {}).items():
            found.setdefault(name, {})[value] = None
    return {name: _BETWEEN.join(values) for name, values in found.items()}


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
