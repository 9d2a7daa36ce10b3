"""The bundle of an authority's question: one form, bounded, and signed for one desk and one referral."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import BundleError, HaumaruError
from app.desk.question_bundle import (
    MAX_QUESTION_LENGTH,
    AuthorityQuestion,
    question_bundle,
    question_json,
    read_question,
)
from app.vault.asked_questions import QUESTIONS
from app.vault.bundle import BUNDLE_BYTES, pack
from app.vault.signature import SignatureContext, encode_public_key, new_signing_key, read_signing_key, sign
from app.vault.tip import TipId
from tests.support.desk import DAY

PEM, PUBLIC = new_signing_key(None)
KEY = read_signing_key(PEM, None)
ASKED = AuthorityQuestion(
    TipId("1" * 26), "7K2M-PQ4D", encode_public_key(bytes(32)), ("dogs",), "When?", DAY, encode_public_key(PUBLIC)
)


def test_a_question_is_one_bundle_and_is_read_as_it_was_written():
    """A question takes one bundle of 128 KiB, under its own id, and what is read is what was asked."""
    bundle = question_bundle(replace(ASKED, key=""), KEY)
    assert (bundle.id, len(bundle.data)) == (ASKED.id, BUNDLE_BYTES)
    assert read_question(bundle.data) == ASKED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"text": "x" * (MAX_QUESTION_LENGTH + 1)}, "question-long"),
        ({"text": "\u200b", "questions": ()}, "question"),
        ({"questions": ("dogs", "dogs")}, "question"),
        ({"questions": ("who-are-you",)}, "question"),
        ({"questions": tuple(QUESTIONS)[:6]}, "question"),
        ({"reference": "7k2m-pq4d"}, "question"),
        ({"reference": "7K2M-PQ4D\n"}, "question"),
    ],
)
def test_a_question_has_bounds(changes, code):
    """Too long, empty, twice the same, unknown, more than five, another reference: no such question is made or read."""
    with pytest.raises(BundleError) as made:
        replace(ASKED, **changes)
    assert made.value.code == code
    line = json.loads(question_json(ASKED)) | changes
    with pytest.raises(BundleError) as read:
        read_question(_packed(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()))
    assert read.value.code == code


def test_only_the_key_that_the_question_names_can_sign_it_and_only_as_a_question():
    """Another key, or a signature of another context, is found; so is a form that the writer would not make."""
    line = question_json(ASKED)
    other = read_signing_key(new_signing_key(None)[0], None)
    for signature in (
        sign(SignatureContext.QUESTION, line, other),
        sign(SignatureContext.REFERRAL, line, KEY),
        sign(SignatureContext.QUESTION, line + b" ", KEY),
    ):
        with pytest.raises(BundleError, match="question-signature"):
            read_question(pack({"question.json": line, "question.sig": signature.encode()}))
    for members in (
        {"question.json": line + b" ", "question.sig": sign(SignatureContext.QUESTION, line + b" ", KEY).encode()},
        {"question.sig": sign(SignatureContext.QUESTION, line, KEY).encode(), "question.json": line},
        {"question.json": line},
        {"question.json": b"[]", "question.sig": b""},
    ):
        with pytest.raises(BundleError):
            read_question(pack(members))


@settings(max_examples=150)
@given(place=st.integers(0, 900), bit=st.integers(0, 7))
def test_a_question_with_one_flipped_bit_is_no_question(place, bit):
    """Whatever bit of the words or of the signature is flipped, only our own error comes out."""
    data = bytearray(question_bundle(ASKED, KEY).data)
    data[place] ^= 1 << bit
    with pytest.raises(HaumaruError):
        read_question(bytes(data))


def _packed(line):
    return pack({"question.json": line, "question.sig": sign(SignatureContext.QUESTION, line, KEY).encode()})
