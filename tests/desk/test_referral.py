"""Referrals: what an authority gets, that only the desk could have made it, and to whom it goes."""

from base64 import b64encode
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import HaumaruError
from app.desk.case import Case, RedactionDraft
from app.desk.dispatch import build_referral, confirm_key, is_key_confirmed, send_referrals, suggest_authorities
from app.desk.errors import RefusedError
from app.desk.referral import Referral, pack_referral, referral_text, require_signer, unpack_referral
from app.vault.signature import new_signing_key, read_signing_key
from app.vault.tip import TipFile, new_tip_id
from tests.support.desk import Browser, receive, tip

PEM, PUBLIC = new_signing_key(None)
KEY = read_signing_key(PEM, None)


def made(**more):
    """A referral signed with the key above."""
    values = {
        "id": new_tip_id(),
        "to": "Example Police",
        "day": date(2026, 11, 22),
        "summary": "Men are held.",
        "danger": "yes",
        "children": "no",
        "kinds": ("work",),
        "fields": {"what": "A [removed] works there.", "where": "Katikati"},
        "files": (TipFile("files/1.txt", "text/plain", (), b"a file"),),
        "removed": ("name",),
        "contact": "Example desk",
        "key": b64encode(PUBLIC).decode(),
    }
    return Referral(**values | more)


BUNDLE = pack_referral(made(), KEY)


def test_a_referral_is_read_as_it_was_made():
    """JSON, text, signature and files come back the same; danger and children stand before the fields."""
    one = made()
    assert unpack_referral(pack_referral(one, KEY)) == one
    text = referral_text(one)
    assert text.index("danger") < text.index("children") < text.index("What is happening")
    assert "anonymous" in text
    assert "may themselves be victims" in text
    assert "Example desk" in text


@given(st.integers(0, len(BUNDLE.rstrip(b"\0")) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place, by):
    """No byte of a signed referral can be changed without one of our errors."""
    changed = bytearray(BUNDLE)
    changed[place] ^= by
    with pytest.raises(HaumaruError):
        unpack_referral(bytes(changed))


def test_another_signer_is_told_apart():
    """A referral that is whole but signed by somebody else is refused for this desk's key."""
    other_pem, other = new_signing_key(None)
    assert require_signer(unpack_referral(BUNDLE), PUBLIC)
    with pytest.raises(RefusedError, match="signature"):
        require_signer(unpack_referral(BUNDLE), other)
    forged = pack_referral(made(), read_signing_key(other_pem, None))
    with pytest.raises(RefusedError, match="signature"):
        unpack_referral(forged)


def test_it_is_for_one_authority_alone(office):
    """Each authority gets a referral of its own, under a new id, that names it: none can be passed on as another's."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        draft = RedactionDraft(summary="Men are held.", authorities=("police", "mbie"), looked=True)
        desk.cases.redact(one, "Ana", draft)
        parties = list(desk.config.authorities.values())
        for party in parties:
            confirm_key(desk.cases, party, "Ana")
        case = send_referrals(desk.cases.get(one), parties, desk.referral_context, "Ana")
        ids = {referred.id for referred in case.referrals}
        assert len(ids) == 2
        assert one not in ids
        assert {unpack_referral(pack_referral(made(), KEY)).to} == {"Example Police"}
        assert ['"to":"Example Police"' in case.referrals[0].text, '"to":"Example MBIE"' in case.referrals[1].text] == [
            True,
            True,
        ]
        assert one not in case.referrals[0].text


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"danger": "yes"}, ("police",)),
        ({"kinds": ("work",)}, ("police", "mbie")),
        ({"kinds": ("debt",)}, ("police", "mbie")),
        ({"what": "x"}, ("police",)),
    ],
)
def test_authorities_are_suggested_by_the_answers(office, answers, expected):
    """Police take everything about trafficking; what is about work goes to the labour inspectorate as well."""
    with office.desk() as desk:
        case = Case(id=new_tip_id(), received=date(2026, 11, 22), answers=answers)
        assert suggest_authorities(case, desk.config.authorities) == expected


def test_an_expired_key_is_not_sealed_to(office):
    """Past its day an authority's key is refused, weeks before it the queue says so."""
    text = office.config.read_text().replace('takes = ["work"]', 'takes = ["work"]\nexpires = "2026-11-21"')
    text = text.replace("retain_days = 30", 'retain_days = 30\nexpires = "2026-12-20"')
    office.config.write_text(text)
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        browser = Browser(desk)
        page = browser.get("/").text
        assert "expired 1 days ago" in page
        assert "expires in 28 days" in page
        browser.post(f"/tips/{one}/claim")
        browser.post(f"/tips/{one}/redact", keep=["what"], summary="x", authority=["mbie"])
        version = desk.cases.get(one).version
        refused = browser.post(f"/tips/{one}/refer", version=version, confirmed=["mbie"])
        assert "has expired" in refused.text
        assert desk.waiting_deliveries() == {}


def test_a_key_that_changed_must_be_confirmed_again(office):
    """The voice's word is for one key: another key of the same authority asks for it anew."""
    with office.desk() as desk:
        police = desk.config.authorities["police"]
        assert not is_key_confirmed(desk.cases, police)
        confirm_key(desk.cases, police, "Ana")
        assert is_key_confirmed(desk.cases, police)
        assert not is_key_confirmed(desk.cases, replace(police, recipients=(*police.recipients, "age1pq1x")))


def test_a_referral_waits_until_the_authority_can_be_reached(tmp_path, office):
    """An authority that cannot be reached is named in the queue with its code; the referral is kept, and goes later."""
    away = tmp_path.parent / f"{tmp_path.name}-mount"
    office.config.write_text(office.config.read_text().replace("drop:referred/police", f"drop:{away}"))
    one = office.drop(tip())
    now = {"is": 1795302000.0}
    with office.desk(clock=lambda: now["is"]) as desk:
        receive(desk)
        browser = Browser(desk)
        browser.post(f"/tips/{one}/claim")
        browser.post(f"/tips/{one}/redact", keep=["what"], summary="x", authority=["police"])
        browser.post(f"/tips/{one}/refer", version=desk.cases.get(one).version, confirmed=["police"])
        desk.deliver()
        assert desk.waiting_deliveries() == {"police": (1, "disk")}
        assert "the last try failed (disk)" in browser.get("/").text
        assert not away.exists(), "an absolute folder may be a mount: it is not made"
        away.mkdir()
        now["is"] += 3600
        desk.deliver()
        assert desk.waiting_deliveries() == {}
        assert [path.suffix for path in away.iterdir()] == [".age"]


def test_a_hand_over_says_what_it_is_for(office):
    """What the translator gets names the purpose, and carries neither files nor the internal number."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        case = replace(desk.cases.get(one), draft=RedactionDraft(left_out=("people",)))
        sent = build_referral(
            case,
            desk.referral_context.redaction(case),
            "Example translator",
            desk.referral_context,
            purpose="translation",
        )
    text = referral_text(sent)
    assert text.startswith("For translation")
    assert "Ray" not in text
    assert one not in text
    assert sent.files == ()
