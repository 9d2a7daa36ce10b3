"""Cases in the fields of the case data standard: the names and values are its own, and no word of a sender is there."""

import csv
import io
from dataclasses import replace
from datetime import date

import pytest

from app.desk.case import Case
from app.desk.case_fields import REASONS, RedactionDraft, SentReferral, State
from app.desk.case_standard import STANDARD_FIELDS, STANDARD_VALUES, export_standard_csv, standard_record
from app.desk.errors import RefusedError
from app.vault.tip import SCHEMA

# From the field reference of HTCDS 2.0 (24 December 2021; IOM, CC BY 4.0): the fields used, and the whole list of
# values of each that has one. None is free text, and "date" a day.
CODE_LISTS = {
    "vic_TraffickingStatus": "PossibleVictimOfTrafficking ActualVictimOfTrafficking NotAVictimOfTrafficking",
    "vic_TypeOfExploitation": "ForcedLabour SexualExploitation ChildLabour ForcedMarriage Servitude "
    "ForcedMilitaryByNonStateActors OrganRemoval ForcedBegging ForcedAdoption Surrogacy Other",
    "vic_MethodsOfControl": "PhysicalThreats ThreatsLawEnforcement ThreatensChildrenFamily DebtBondage FalsePromises "
    "PhysicalAbuse SexualAbuse TakesEarnings RestrictsFinancialAccess RestrictsMedicalCare WithholdsNecessities "
    "PsychologicalAbuse PsychoactiveSubstance ExcessiveWorkingHours WithholdsDocuments Other",
    "vic_ForcedLabourIndustry": "A_AgricultureForestryAndFishing B_MiningAndQuarrying C_Manufacturing "
    "D_ElectricityGasSteamAndAirConditioningSupply E_WaterSupplySewerageWasteManagement F_Construction "
    "G_WholesaleAndRetailTradeRepairOfMotorVehicles H_TransportationAndStorage "
    "I_AccommodationAndFoodServiceActivities J_InformationAndCommunication K_FinancialAndInsuranceActivities "
    "L_RealEstateActivities M_ProfessionalScientificAndTechnicalActivities "
    "N_AdministrativeAndSupportServiceActivities O_PublicAdministrationAndDefence P_Education "
    "Q_HumanHealthAndSocialWorkActivities R_ArtsEntertainmentAndRecreation S_OtherServiceActivities "
    "T_ActivitiesOfHouseholdsAsEmployers U_ActivitiesOfExtraterritorialOrganizations",
    "cas_Status": "Active FollowUp Closed ClosedReferred",
    "cas_ReasonForCaseClosure": None,
    "cas_IncomingReferralDate": "date",
    "cas_ReferredOrganisation": None,
    "cas_ReasonForOutgoingReferral": "AdditionalServicesRequired MigrationOrChangeOfLocation Other",
    "cas_OutgoingReferralDate": "date",
    "hte_Type": "Recruitment Transit Exploitation",
    "hte_Description": None,
}
SEVERAL = {"vic_TypeOfExploitation", "vic_MethodsOfControl"}
"""Fields that take several values."""

ALL_KINDS = tuple(choice.value for choice in SCHEMA.kinds)
SECRET = "Xandrine wrote this"
CASE = Case(
    id="0" * 26,
    received=date(2026, 11, 22),
    answers=dict.fromkeys(SCHEMA.text_names, SECRET)
    | {"kinds": ALL_KINDS, "paid": ("job-paid-for", "wages-back"), "children": "yes", "danger": "yes"},
    replies={"safe-time": SECRET},
    translation=SECRET,
    draft=RedactionDraft(summary="=Men are held."),
)
SENT = SentReferral("1" * 26, "police", "Example Police", date(2026, 11, 23), "Ana", "", "{}", "")


def _fault(name: str, value: str) -> str:
    """What the standard would say against a value; "" for nothing."""
    listed = CODE_LISTS[name]
    if listed == "date":
        return "" if date.fromisoformat(value) else value
    values = value.split(";") if name in SEVERAL else [value]
    return "" if listed is None else " ".join(set(values) - set(listed.split()))


def test_the_columns_are_fields_of_the_standard():
    """Every column has a name of the standard, and every choice of the report is decided about."""
    assert list(STANDARD_FIELDS) == list(CODE_LISTS)
    assert set(STANDARD_VALUES) == {choice.value for name in ("kinds", "paid") for choice in SCHEMA.field(name).choices}


@pytest.mark.parametrize("state", [state for state in State if state is not State.OBJECTIONABLE])
@pytest.mark.parametrize("reason", ["", *REASONS])
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_value_is_in_the_standards_list(state, reason, kind):
    """In each state, for each reason and kind, each value is one of the standard's and no field is unknown."""
    for referrals in ((), (SENT,)):
        case = replace(CASE, state=state, reason=reason, referrals=referrals, answers={"kinds": (kind,)})
        record = standard_record(case)
        assert {name: _fault(name, value) for name, value in record.items() if _fault(name, value)} == {}


def test_no_word_of_the_sender_is_exported():
    """A case with everything filled in gives what was ticked and the handler's summary, and no formula."""
    text = export_standard_csv([replace(CASE, state=State.REFERRED, referrals=(SENT, SENT))]).decode()
    assert "Xandrine" not in text
    (line,) = csv.DictReader(io.StringIO(text))
    assert line["vic_TypeOfExploitation"] == "ForcedLabour;SexualExploitation;ForcedMarriage;Other;OrganRemoval"
    assert line["vic_MethodsOfControl"] == "DebtBondage;WithholdsDocuments;Other;TakesEarnings"
    assert (line["cas_Status"], line["cas_ReferredOrganisation"]) == ("FollowUp", "Example Police")
    assert line["hte_Description"] == "'=Men are held."


def test_a_case_without_a_victim_has_no_status_of_one():
    """Closed as a test, a case claims no victim; closed after a referral, the status says both."""
    assert "vic_TraffickingStatus" not in standard_record(replace(CASE, state=State.CLOSED, reason="test"))
    closed = standard_record(replace(CASE, state=State.CLOSED, reason="finished", referrals=(SENT,)))
    assert closed["cas_Status"] == "ClosedReferred"


def test_a_locked_case_is_refused():
    """What is locked as objectionable leaves in no format."""
    with pytest.raises(RefusedError):
        export_standard_csv([replace(CASE, state=State.OBJECTIONABLE)])
