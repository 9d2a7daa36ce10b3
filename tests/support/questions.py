"""Questions of authorities for tests: a tip that was referred, and envelopes with questions about the referral."""

from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.desk.case import Case
from app.desk.case_fields import CaseQuestion, RedactionDraft
from app.desk.dispatch import confirm_key
from app.desk.question_bundle import AuthorityQuestion, question_bundle
from app.desk.release import send_referrals
from app.desk.service import Desk
from app.vault.signature import encode_public_key, public_bytes
from app.vault.tip import Tip, new_tip_id
from tests.support.desk import DAY, Office, receive, reply_to, tip

TEXT = "Which day does the van come to the packhouse?"


def referred(office: Office, desk: Desk, *, parties: tuple[str, ...] = ("police",), sent: Tip | None = None) -> Case:
    """Return a tip that Ana claimed and referred, the keys of the parties compared by voice."""
    one = office.drop(sent or tip(reply=reply_to()))
    receive(desk)
    desk.cases.claim(one, "Ana")
    chosen = [desk.config.authorities[name] for name in parties]
    for party in chosen:
        confirm_key(desk.cases, party, "Ana")
    draft = RedactionDraft(summary="Seven men.", authorities=parties, terms=("My sister",), looked=True)
    case = desk.cases.redact(one, "Ana", draft)
    return send_referrals(case, chosen, desk.referral_context, "Ana")


def question(office: Office, case: Case, **changes: object) -> AuthorityQuestion:
    """Return a question of the police about the first referral of a case."""
    sent = case.referrals[0].id
    asked = AuthorityQuestion(
        id=new_tip_id(),
        reference=f"{sent[:4]}-{sent[4:8]}".upper(),
        to=office.signer,
        questions=(),
        text=TEXT,
        day=DAY,
        key=encode_public_key(public_bytes(office.police_key)),
    )
    return replace(asked, **changes)


def drop(office: Office, asked: AuthorityQuestion, *, key: Ed25519PrivateKey | None = None) -> Path:
    """Seal a question into the inbox, signed by the police or with another key."""
    return office.drop_bundle(question_bundle(asked, key or office.police_key))


def ask(office: Office, desk: Desk, case: Case, **changes: object) -> CaseQuestion:
    """Let the police ask about a case, and return the question as it stands there."""
    asked = question(office, case, **changes)
    drop(office, asked)
    receive(desk)
    return next(one for each in desk.cases.all() for one in each.questions if one.id == asked.id)
