"""What is taken out is nowhere in what goes on."""

import io
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.desk.case import RedactionDraft, case_from_tip
from app.desk.dispatch import build_referral, confirm_key, send_referrals
from app.desk.errors import RefusedError
from app.desk.marks import cut_text, read_boxes, read_marks, write_boxes
from app.desk.redaction import Redaction, answer_texts, find_removed, suggest_removals
from app.desk.referral import NOTICE, pack_referral, unpack_referral
from app.text.find import REMOVED_PLACEHOLDER
from app.vault.bundle import SIZE_CLASSES
from tests.support.desk import Office, jpeg, phrases, picture, receive, tip

WORDS = st.text("abcdeéĀēA B漢字Zz09 .-'\n", min_size=1, max_size=60)


def _fields(**texts):
    return answer_texts(case_from_tip(tip(texts), ()))


def _redaction(fields, draft):
    return Redaction.of(fields, draft, {})


@given(st.dictionaries(st.sampled_from(("what", "where", "when", "people")), WORDS, min_size=1), st.data())
def test_nothing_marked_is_left_in_any_field(fields, data):
    """Whatever is marked in one answer stands in none, whatever its case, as a whole word."""
    name = data.draw(st.sampled_from(sorted(fields)))
    start = data.draw(st.integers(0, len(fields[name]) - 1))
    end = data.draw(st.integers(start + 1, len(fields[name])))
    draft = RedactionDraft(marks={name: ((start, end),)})
    made = _redaction(fields, draft)
    left, pieces = made.left, made.removed
    assert not find_removed(left.values(), pieces)
    assert pieces or not re.search(r"\w", fields[name][start:end])
    for piece in pieces:
        whole = re.compile(rf"(?<!\w){re.escape(piece)}(?!\w)", re.IGNORECASE)
        assert not any(whole.search(text.replace(REMOVED_PLACEHOLDER, "\0")) for text in left.values())


@given(WORDS.filter(str.strip), st.integers(1, 30))
def test_the_length_of_what_was_taken_out_is_not_told(text, times):
    """A short and a long secret leave the same referral text."""
    short, long = f"before {text.strip()} after", f"before {'x' * times} after"
    one = _redaction({"what": short}, RedactionDraft(marks={"what": ((7, len(short) - 6),)})).left
    other = _redaction({"what": long}, RedactionDraft(marks={"what": ((7, len(long) - 6),)})).left
    assert one["what"] == other["what"] == f"before {REMOVED_PLACEHOLDER} after"


@given(WORDS)
def test_pieces_joined_are_the_text(text):
    """Cutting a text into what can be marked loses nothing, and every piece's span is where it stands."""
    found = suggest_removals({"what": text}, phrases())["what"]
    cut = cut_text(text, found, ())
    assert "".join(piece.text for piece in cut) == text
    assert all(text[piece.span[0] : piece.span[1]] == piece.text for piece in cut if piece.span)


@pytest.mark.parametrize(
    ("marked", "elsewhere"),
    [
        ("Mele Fifita", "Then MELE said so"),
        ("Mele Fifita", "ask fifita"),
        ("021 555 0199", "or 021-5550199"),
        ("+64 21 555 0199", "at +64215550199"),
        ("ABC123", "plate abc123"),
        ("梅丽", "我和梅丽一起"),
        ("Beach  Road", "on beach\nroad"),
    ],
)
def test_what_is_marked_is_taken_out_wherever_it_stands(marked, elsewhere):
    """A name goes with each of its parts, a number however it is grouped, Chinese without blanks around it."""
    fields = _fields(what=f"I saw {marked} there", where=elsewhere)
    draft = RedactionDraft(marks={"what": ((6, 6 + len(marked)),)})
    made = _redaction(fields, draft)
    assert REMOVED_PLACEHOLDER in made.left["where"]
    assert not find_removed(made.left.values(), made.removed)


def test_common_words_of_a_mark_stay_elsewhere():
    """The mark "My sister" takes out every "my sister", not every "my"."""
    fields = _fields(what="My sister works there. It is my house.")
    assert (
        _redaction(fields, RedactionDraft(marks={"what": ((0, 9),)})).left["what"]
        == f"{REMOVED_PLACEHOLDER} works there. It is my house."
    )


def test_neighbouring_marks_are_one():
    """Two marked words with a blank between them leave one [removed], which does not tell that there were two."""
    marks = read_marks(["what:0-4", "what:5-11", "what:99-120", "nothing:0-3", "what:x-y"], {"what": "Mele Fifita ran"})
    assert marks == {"what": ((0, 11),)}


def test_boxes_that_are_no_boxes_are_refused():
    """Pages that are not there, sides out of order, words and floods are refused; what is read is written alike."""
    assert read_boxes(write_boxes({0: ((0.1, 0.2, 0.3, 0.4),)}), 1) == {0: ((0.1, 0.2, 0.3, 0.4),)}
    for bad in (
        "2 1 1 2 2",
        "0 1 1 2 2",
        "1 5 5 4 9",
        "1 a b c d",
        "1 1 1 2",
        "1 nan 1 2 3",
        "1 1 1 101 9",
        "1 1 1 2 2\n" * 300,
    ):
        with pytest.raises(RefusedError):
            read_boxes(bad, 1)


SECRETS = ("Mele Fifita", "021 555 0199", "Tuesday night shift")
TEXT = f"{SECRETS[0]} called from {SECRETS[1]} on the {SECRETS[2]}. The gate is locked."


def _marked_draft(text, **more):
    spans = tuple((text.index(one), text.index(one) + len(one)) for one in SECRETS)
    return RedactionDraft(
        marks={"what": spans}, summary="A gate is locked.", authorities=("police",), looked=True, **more
    )


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
        made = unpack_referral(pack_referral(_build(case, draft, desk.referral_context), desk.key))
    bundle = pack_referral(made, office.key)
    assert len(bundle) in SIZE_CLASSES.values()
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


@given(st.text(max_size=200), st.lists(st.integers(0, 200), min_size=2, max_size=8))
def test_any_text_and_marks_make_a_referral_without_them(text, places):
    """For any Unicode text and any marks, the referral's JSON holds none of the pieces that were taken out."""
    spans = tuple((min(pair), max(pair)) for pair in zip(places[::2], places[1::2], strict=False))
    fields = {"what": text} if text else {}
    draft = RedactionDraft(marks={"what": tuple((a, b) for a, b in spans if b <= len(text))})
    made = _redaction(fields, draft)
    left = made.left
    assert not find_removed(left.values(), made.removed)
    assert json.dumps(left)


def test_the_sealed_size_depends_on_what_is_left_alone(office):
    """A referral whose files were left out is as small as one that never had any."""
    big, small = tip({"what": TEXT}, files=(jpeg(1, picture(2000, 2000)),)), tip({"what": TEXT})
    office.drop(big)
    office.drop(small)
    with office.desk() as desk:
        receive(desk)
        sizes = {
            len(pack_referral(_build(desk.cases.get(one.id), _marked_draft(TEXT), desk.referral_context), desk.key))
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
    case = case_from_tip(tip(answers), ())
    text = answer_texts(case)[fields[0]]
    place = re.search(r"\s+".join(map(re.escape, secret.split())), text, re.IGNORECASE)
    assert place
    draft = RedactionDraft(marks={fields[0]: (place.span(),)}, summary="A summary.")
    bundle = pack_referral(_build(case, draft, context), context.key).lower()
    for form in {
        secret,
        secret.replace(" ", "  "),
        secret.replace(" ", ""),
        *(secret.split() if secret[0].isupper() else ()),
    }:
        assert form.lower().encode() not in bundle or form.lower() in NOTICE.lower()
