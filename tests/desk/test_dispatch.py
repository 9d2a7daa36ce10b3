"""From a case to referrals: only what was left, to whom it is for, when it can go."""

import io
import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.core.errors import OutboxError
from app.delivery import places
from app.desk.case import Case, case_from_words
from app.desk.case_fields import RedactionDraft
from app.desk.dispatch import (
    REMOVED_KINDS,
    build_referral,
    confirm_key,
    first_draft,
    is_key_confirmed,
    suggest_authorities,
)
from app.desk.errors import RefusedError
from app.desk.known_names import LISTED
from app.desk.redaction import answer_texts, suggest_removals
from app.desk.referral import NOTICE, referral_bundles, referral_text, referral_words
from app.desk.release import prepare_referral, send_referrals, send_to_translator
from app.desk.statistics import statistics_row
from app.text.find import FINDING_REASONS
from app.vault.bundle import BUNDLE_BYTES
from app.vault.keys import new_identity, recipient_of
from app.vault.tip import new_tip_id
from tests.support.desk import Browser, Office, jpeg, known_names, picture, receive, tip, words_of
from tests.support.phrases import phrases

SECRETS = ("Mele Fifita", "021 555 0199", "Tuesday night shift")


TEXT = f"{SECRETS[0]} called from {SECRETS[1]} on the {SECRETS[2]}. The gate is locked."


def _marked_draft(text, **more):
    spans = tuple((text.index(one), text.index(one) + len(one)) for one in SECRETS)
    return RedactionDraft(
        marks={"what": spans}, summary="A gate is locked.", authorities=("police",), looked=True, **more
    )


def _bundles(made, key):
    """All bytes of the bundles of a referral."""
    return b"".join(bundle.data for bundle in referral_bundles(referral_words(made), made.files, key))


def _build(case, draft, context):
    return build_referral(case, context.redaction(replace(case, draft=draft)), "Example Police", context)


def test_a_whole_referral_holds_nothing_redacted(office):
    """Text, JSON, file names, metadata and every other byte of the opened bundle are free of what was taken out."""
    first = tip(
        {"what": TEXT, "where": "Where mele Fifita lives", "victims": "0215550199 knows", "danger": "yes"},
        files=(jpeg(1), jpeg(2, picture(640, 480, "#ffffff"))),
    )
    office.drop(first)
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(first.id, "Ana")
        case = desk.cases.get(first.id)
        draft = _marked_draft(TEXT, files=("files/2.jpg",), boxes={"files/2.jpg": {0: ((0.0, 0.0, 1.0, 1.0),)}})
        desk.cases.redact(case.id, "Ana", draft)
        confirm_key(desk.cases, desk.config.authorities["police"], "Ana")
        case = send_referrals(
            desk.cases.get(case.id), [desk.config.authorities["police"]], desk.referral_context, "Ana"
        )
        made = _build(case, draft, desk.referral_context)
    bundle = _bundles(made, office.key)
    assert len(bundle) == 2 * BUNDLE_BYTES
    for secret in (*SECRETS, "Mele", "Fifita", "0215550199", case.id, first.id):
        assert secret.encode().lower() not in bundle.lower()
    assert [file.path for file in made.files] == ["files/1.jpg"]
    brightest = Image.open(io.BytesIO(made.files[0].data)).convert("L").getextrema()[1]
    assert brightest < 8, "the box covers everything, so everything is black"


def test_a_secret_in_the_summary_stops_the_referral(office):
    """What was taken out of the text cannot come back in by the summary, however it is written."""
    first = tip({"what": TEXT})
    office.drop(first)
    with office.desk() as desk:
        receive(desk)
        case = desk.cases.get(first.id)
        for summary in ("FIFITA was there", "call 0215550199", "tuesday  night shift"):
            with pytest.raises(RefusedError, match="still-there"):
                _build(case, replace(_marked_draft(TEXT), summary=summary), desk.referral_context)


@pytest.mark.parametrize("word", ["people", "what", "later"])
def test_a_word_that_is_the_name_of_a_question_can_be_taken_out(office, word):
    """Taking out "people" does not stop the referral for the name of our own question; a sender's field name does."""
    first, other = tip({"what": f"There are {word} here.", "people": "A man"}), tip({"what": "No", "mele": "Hello"})
    office.drop(first)
    office.drop(other)
    with office.desk() as desk:
        receive(desk)
        made = _build(desk.cases.get(first.id), RedactionDraft(terms=(word,)), desk.referral_context)
        assert made.fields["what"] == "There are [removed] here."
        with pytest.raises(RefusedError, match="still-there"):
            _build(desk.cases.get(other.id), RedactionDraft(terms=("Mele",)), desk.referral_context)


def test_the_sealed_size_depends_on_what_is_left_alone(office):
    """A referral whose files were left out is as small as one that never had any."""
    big, small = tip({"what": TEXT}, files=(jpeg(1, picture(2000, 2000)),)), tip({"what": TEXT})
    office.drop(big)
    office.drop(small)
    with office.desk() as desk:
        receive(desk)
        sizes = {
            len(_bundles(_build(desk.cases.get(one.id), _marked_draft(TEXT), desk.referral_context), desk.key))
            for one in (big, small)
        }
    assert sizes == {128 * 1024}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    """What a referral needs, from one desk."""
    office = Office(tmp_path_factory.mktemp("office"))
    with office.desk() as desk:
        yield desk.referral_context


SECRET = st.from_regex(
    r"[A-Z][a-z]{4,9}( [A-Z][a-z]{4,9})?|0[0-9]{2} [0-9]{3} [0-9]{4}|[\u4e00-\u4e50]{3,5}", fullmatch=True
)


AROUND = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@settings(max_examples=300)
@given(data=st.data(), secret=SECRET)
def test_no_byte_of_the_bundle_holds_what_was_taken_out(context, data, secret):
    """For any answers around it, a secret marked once is in no member, name or record of the referral's bundle."""
    fields = data.draw(st.lists(st.sampled_from(("what", "where", "people", "how-known")), min_size=1, unique=True))
    written = (secret, secret.upper(), secret.lower(), secret.replace(" ", "  "))
    answers = {
        name: f"{data.draw(AROUND)} {data.draw(st.sampled_from(written))} {data.draw(AROUND)}" for name in fields
    }
    case = case_from_words(words_of(tip(answers)), ())
    text = answer_texts(case)[fields[0]]
    place = re.search(r"\s+".join(map(re.escape, secret.split())), text, re.IGNORECASE)
    assert place
    draft = RedactionDraft(marks={fields[0]: (place.span(),)}, summary="A summary.")
    bundle = _bundles(_build(case, draft, context), context.key).lower()
    for form in {
        secret,
        secret.replace(" ", "  "),
        secret.replace(" ", ""),
        *(secret.split() if secret[0].isupper() else ()),
    }:
        assert form.lower().encode() not in bundle or form.lower() in NOTICE.lower()


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
        ({"paid": ("job-paid-for",)}, ("police", "mbie")),
        ({"what": "x"}, ("police",)),
    ],
)
def test_authorities_are_suggested_by_the_answers(office, answers, expected):
    """Police take everything about trafficking; what is about work goes to the labour inspectorate as well."""
    with office.desk() as desk:
        case = Case(id=new_tip_id(), received=date(2026, 11, 22), answers=answers)
        assert suggest_authorities(case, desk.config.authorities) == expected


@pytest.mark.parametrize("answers", [{"children": "yes"}, {"kinds": ("child",)}, {"kinds": "child"}])
@pytest.mark.parametrize("topic", ["children", "child"])
def test_a_child_is_passed_on_whichever_form_asked(tmp_path, answers, topic):
    """A tip of an older form, whose kinds had "child", goes to those for children, and its referral says so."""
    more = f"""
[[authority]]
id = "oranga"
name = "Example ministry"
takes = ["{topic}"]
recipients = ["{recipient_of(new_identity())}"]
deliver = "drop:referred/oranga"
"""
    with Office(tmp_path, more=more).desk() as desk:
        case = Case(id=new_tip_id(), received=date(2026, 11, 22), answers={"what": "A child works.", **answers})
        assert case.children
        assert "oranga" in suggest_authorities(case, desk.config.authorities)
        made = _build(case, RedactionDraft(), desk.referral_context)
        assert (made.children, made.kinds) == ("yes", ())
        assert statistics_row(case)["children"]
        without = replace(case, answers={"what": "A child works.", "kinds": ("work",)})
        assert "oranga" not in suggest_authorities(without, desk.config.authorities)


def test_what_is_dangerous_at_the_place_goes_with_a_referral(office):
    """Dangers, a vehicle and payments are read in words, and a referral carries them; an invented value stays text."""
    answers = {
        "what": "Men sleep there.",
        "hazards": ("dogs", "weapons", "a pit"),
        "vehicle": "White van, KTR482",
        "paid": ("wages-back",),
    }
    with office.desk() as desk:
        made = _build(case_from_words(words_of(tip(answers)), ()), RedactionDraft(), desk.referral_context)
    assert list(made.fields.items()) == [
        ("what", "Men sleep there."),
        ("hazards", "Dogs, Weapons, a pit"),
        ("vehicle", "White van, KTR482"),
        ("paid", "Wages must be given back"),
    ]


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
        assert "the key expired 1 day ago" in page
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
        desk.forwarder.run_once()
        assert desk.waiting_deliveries() == {"police": (1, "disk")}
        assert "The last try failed. A disk or a folder could not be written to (disk)" in browser.get("/").text
        assert not away.exists(), "an absolute folder may be a mount: it is not made"
        away.mkdir()
        now["is"] += 3600
        desk.forwarder.run_once()
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
    text = referral_text(referral_words(sent))
    assert text.startswith("For translation")
    assert "Ray" not in text
    assert one not in text
    assert sent.files == ()


def test_a_referral_of_a_case_that_changed_meanwhile_is_refused(office):
    """A referral is built from the case as it was read: after a change nothing leaves until it is looked at again."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        read = desk.cases.redact(one, "Ana", RedactionDraft(summary="x", authorities=("police",), looked=True))
        police = desk.config.authorities["police"]
        confirm_key(desk.cases, police, "Ana")
        desk.cases.note(one, "Ben", "The sender is a child.")
        for act in (
            lambda: send_referrals(read, [police], desk.referral_context, "Ana"),
            lambda: prepare_referral(read, desk.referral_context, "Ana"),
            lambda: send_to_translator(read, police, desk.referral_context, "Ana"),
        ):
            with pytest.raises(RefusedError, match="changed"):
                act()
        assert desk.waiting_deliveries() == {}


def test_referrals_of_one_send_leave_together_or_not_at_all(office, monkeypatch):
    """Where the disk is full after the first of two referrals nothing leaves; sent again, each authority gets one."""
    one = office.drop(tip())
    with office.desk() as desk:
        receive(desk)
        desk.cases.claim(one, "Ana")
        parties = [desk.config.authorities[name] for name in ("police", "mbie")]
        read = desk.cases.redact(one, "Ana", RedactionDraft(summary="x", authorities=("police", "mbie"), looked=True))
        for party in parties:
            confirm_key(desk.cases, party, "Ana")
        put, calls = places.insert_envelope, []

        def full(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                raise OutboxError("disk-full")
            put(*arguments)

        monkeypatch.setattr(places, "insert_envelope", full)
        with pytest.raises(OutboxError, match="disk-full"):
            send_referrals(read, parties, desk.referral_context, "Ana")
        assert (len(calls), desk.waiting_deliveries()) == (2, {})
        assert desk.cases.get(one).referrals == ()
        send_referrals(desk.cases.get(one), parties, desk.referral_context, "Ana")
        desk.forwarder.run_once()
        assert [len(office.referred(party.id)) for party in parties] == [1, 1]


def test_every_kind_of_finding_has_a_name_for_an_authority():
    """An authority reads the kind of whatever the finder may have taken out."""
    assert set(REMOVED_KINDS) == {*FINDING_REASONS, LISTED}


def test_a_possible_name_is_underlined_and_not_black_at_first():
    """What is certain is marked in the first draft; a capital letter alone, perhaps a suspect's name, is suggested."""
    case = case_from_words(
        words_of(tip({"what": "I am Anna. I saw Xandrine, my visa is V0098812. Sione and priya saw it."})), ()
    )
    fields = answer_texts(case)
    suggestions = suggest_removals(fields, phrases(), known_names())
    draft = first_draft(case, suggestions, {})
    black = [fields["what"][start:end] for start, end in draft.marks["what"]]
    suggested = [fields["what"][one.start : one.end] for one in suggestions["what"]]
    assert {"Xandrine", "Sione", "priya"} <= set(suggested)
    assert not {"Xandrine", "Sione", "priya"} & set(black)
    assert {"I am Anna", "V0098812"} <= set(black)
