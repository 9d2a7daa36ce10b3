"""Own words in place of a sender's text: what a referral carries, what stops it, and what an authority opens."""

import json
import re
from dataclasses import replace

import pytest

from app.desk.case_fields import RedactionDraft, Rewording, State
from app.desk.case_json import decode_case, encode_case
from app.desk.case_standard import standard_record
from app.desk.dispatch import build_referral, confirm_key
from app.desk.envelopes import open_envelope
from app.desk.errors import RefusedError
from app.desk.referral import referral_json, referral_text, referral_words
from app.desk.release import send_referrals, send_to_translator
from app.desk.rewording import changed_since, digests_of
from tests.support.desk import receive, reply_to, run_desk, tip

SENT = "My mate Mele Fifita reckons seven blokes kip in the packhouse by the river, mind you. Ring 021 555 0199."
LATER = "Truth be told they shifted the blokes last night to a shed out the back of Huntly, mind you."
OWN = "Several men sleep at a work place. Nobody may leave it."
MARKS = {"what": ((3, 19), (SENT.index("021"), SENT.index("021") + 12))}


@pytest.fixture
def case(office, desk):
    """A claimed tip with a later message of its sender."""
    one = office.drop(tip({"what": SENT, "where": "By the river", "kinds": ("work",)}, reply=reply_to()))
    office.drop(tip({"what": LATER}, answers_to=reply_to().locator, reply=reply_to()))
    receive(desk)
    return desk.cases.claim(one, "Ana")


def _draft(text=OWN, **more):
    draft = RedactionDraft(marks=MARKS, summary="Men are held.", authorities=("police",), looked=True)
    return replace(draft, **{"rewordings": {"what": Rewording(text)}, **more})


def _made(desk, case, draft, **more):
    context = desk.referral_context
    return build_referral(case, context.redaction(replace(case, draft=draft)), "Example Police", context, **more)


def _later_name(desk, case):
    return next(name for name in desk.referral_context.texts(case) if name.startswith("later-"))


def test_an_authority_opens_our_words_and_nothing_that_the_sender_wrote(office, desk, case):
    """No sentence of the sender and no word that was taken out is in an envelope; the desk's words say so."""
    later = _later_name(desk, case)
    draft = _draft(
        rewordings={"what": Rewording(OWN), later: Rewording("They were moved.")}, left_out=("where",), later=(later,)
    )
    case = desk.cases.redact(case.id, "Ana", draft)
    confirm_key(desk.cases, desk.config.authorities["police"], "Ana")
    sent = send_referrals(case, [desk.config.authorities["police"]], desk.referral_context, "Ana")
    desk.forwarder.run_once()
    (envelope,) = office.referred("police")
    words = open_envelope(envelope.read_bytes(), [office.police])
    assert dict(words.referral.fields) == {"what": OWN, "written-later-1": "They were moved."}
    assert words.referral.reworded == ("what", "written-later-1")
    assert "answers that the desk wrote anew" in " ".join(words.referral.removed)
    every = referral_json(words).decode() + referral_text(words)
    for text in (SENT, LATER):
        for secret in (*re.findall(r"[^.,]{8,}", text), "Mele", "Fifita", "021", "mind you", "blokes"):
            assert secret.strip().lower() not in every.lower(), secret
    assert case.id not in every
    assert sent.answers == case.answers
    opened = run_desk("open", envelope, "-i", office.folder / "police.txt", "--signer", office.signer)
    assert json.loads(opened.stdout)["reworded"] == ["what", "written-later-1"]
    verified = run_desk("verify", envelope, "-i", office.folder / "police.txt", "--signer", office.signer)
    assert verified.stdout.rstrip().endswith("for Example Police; in the desk's words: what, written-later-1")
    assert "What is happening (in the desk's words):" in referral_text(words)
    assert standard_record(sent) == standard_record(replace(sent, draft=replace(sent.draft, rewordings={})))


def test_a_referral_without_own_words_is_as_before(desk, case):
    """The key of own words is absent where there are none, so that such a referral is the bytes that it always was."""
    made = _made(desk, case, _draft(rewordings={"what": Rewording(OWN, used=False)}))
    assert b"reworded" not in referral_json(referral_words(made))
    assert made.fields["what"].count("[removed]") == 2
    assert "where" in made.fields


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Ask М\u0435l\u0435 about it.", "leftover"),
        ("Call +64 (21) 555-0199.", "leftover"),
        ("Seven blokes kip in the packhouse by the river!", "leftover"),
        ("By the river there are men. " * 300 + "Ask Fifita.", "leftover"),
        ("", "no-own-words"),
        (OWN, ""),
        ("Ask [removed] about the packhouse by the river.", ""),
    ],
)
def test_what_was_taken_out_stops_own_words(desk, case, text, code):
    """A word, number or sentence of the original stops the referral however it is typed, and far down too."""
    if code:
        with pytest.raises(RefusedError, match=code):
            _made(desk, case, _draft(text))
    else:
        assert _made(desk, case, _draft(text)).fields["what"] == text


def test_a_place_that_a_handler_lets_stand_goes_and_no_other(desk, case):
    """One place is allowed, and the referral is made; the same word elsewhere still stops it."""
    text = "Mele is the name of the firm."
    context = desk.referral_context
    (place,) = context.redaction(replace(case, draft=_draft(text))).gate().find("what", text)
    stands = Rewording(text, let_stand=(place.mark,))
    assert _made(desk, case, _draft(rewordings={"what": stands})).fields["what"] == text
    with pytest.raises(RefusedError, match="still-there"):
        _made(desk, case, _draft(rewordings={"what": stands}, summary="Mele is a firm."))
    with pytest.raises(RefusedError, match="leftover"):
        _made(desk, case, _draft(rewordings={"what": replace(stands, text=f"{text} Mele knows.")}))
    with pytest.raises(RefusedError, match="leftover"):
        _made(desk, case, _draft(rewordings={"what": stands, "where": stands}))


def test_a_later_message_goes_only_if_a_handler_chose_this_very_message(office, desk, case):
    """One that arrives after a handler has looked is not in the referral."""
    assert LATER not in str(_made(desk, case, _draft()).fields)
    later = _later_name(desk, case)
    assert _made(desk, case, _draft(later=(later,))).fields["written-later-1"] == LATER
    office.drop(tip({"what": "Ring me on 027 555 0123."}, answers_to=reply_to().locator, reply=reply_to()))
    receive(desk)
    made = _made(desk, desk.cases.get(case.id), _draft(later=(later,)))
    assert [name for name in made.fields if "later" in name] == ["written-later-1"]
    assert "whole answers" not in made.removed


def test_a_later_message_that_was_locked_is_gone(desk, case):
    """An answer that is locked as objectionable can no longer be marked, reworded or sent with its tip."""
    later = _later_name(desk, case)
    answer = desk.cases.get(later.removeprefix("later-"))
    desk.cases.lock_away(desk.cases.claim(answer.id, "Ana").id, "Ana")
    assert later not in desk.referral_context.texts(desk.cases.get(case.id))
    draft = _draft(later=(later,), rewordings={"what": Rewording(OWN), later: Rewording("They were moved.")})
    assert "They were moved." not in str(_made(desk, desk.cases.get(case.id), draft).fields)


def test_a_locked_tip_keeps_no_own_words(office, desk, case):
    """Locking a tip as objectionable removes own words from its record on the disk."""
    desk.cases.redact(case.id, "Ana", _draft())
    desk.cases.lock_away(case.id, "Ana")
    assert desk.cases.get(case.id).draft == RedactionDraft()
    assert OWN.encode() not in desk.store.read(f"tips/{case.id}.age")


def test_a_translator_gets_the_redacted_original(office, desk, case):
    """The hand-over to a translator carries what is left of the original, without marks or own words."""
    case = desk.cases.redact(case.id, "Ana", _draft("Ask Mele."))
    confirm_key(desk.cases, desk.config.translators["translator"], "Ana")
    made = _made(desk, case, case.draft, purpose="translation")
    assert made.fields["what"].startswith("My [removed] reckons")
    assert made.reworded == ()
    assert send_to_translator(case, desk.config.translators["translator"], desk.referral_context, "Ana").translator


def test_own_words_remember_what_they_were_written_from(desk, case):
    """A translation that was changed, and a later message that is new, are said; a mark or a note changes nothing."""
    fields = desk.referral_context.texts(case)
    written = Rewording(OWN, written_from=digests_of(fields))
    assert changed_since(written, fields) == ()
    changed = {**fields, "translation": "In English", "where": "Elsewhere", "later-x": "More"}
    assert set(changed_since(written, changed)) == {"translation", "where", "later-x"}
    del changed["what"]
    assert "what" in changed_since(written, changed)


def test_a_record_of_an_earlier_version_opens_without_own_words(desk, case):
    """A draft of a store from before there were own words is read; one with own words is read as it was."""
    changed = replace(case, draft=_draft(later=("later-x",)))
    assert decode_case(encode_case(changed)) == changed
    record = json.loads(encode_case(case))
    del record["draft"]["rewordings"], record["draft"]["later"]
    assert decode_case(json.dumps(record).encode()) == case
    assert case.state is State.WORK
