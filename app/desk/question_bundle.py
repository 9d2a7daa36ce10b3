"""A question that an authority asks about a referral, as a bundle: `question.json` with a detached signature.

Recipients are public, so anybody can seal something that looks like a question: only the signature (Ed25519, RFC 8032)
proves the authority. It covers the desk that is asked and the referral that the question is about, so that a question
is worth nothing at another desk or about another tip. The module reads form alone; whether the key is an authority's,
and whether that authority has the referral, `authority_questions` checks.
"""

import json
import re
from dataclasses import dataclass, replace
from datetime import date

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import BundleError, KeyTextError, SignatureError
from app.core.unicode import clean_text
from app.vault.asked_questions import QUESTIONS
from app.vault.bundle import pack, unpack
from app.vault.signature import (
    SignatureContext,
    decode_public_key,
    encode_public_key,
    public_bytes,
    sign,
    verify,
)
from app.vault.tip import TipId, parse_tip_id
from app.vault.tip_bundles import Bundle

FORMAT = "haumaru-question/1"
MAX_QUESTION_LENGTH = 2000  # characters of an authority's own words
MAX_CATALOGUE_IDS = 5  # questions of the catalogue in one bundle, each of which takes a post of the desk

_NAMES = re.compile(r"question\.json|question\.sig")
_REFERENCE = re.compile("[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}")


@dataclass(frozen=True)
class AuthorityQuestion:
    """What an authority asks: in words of its own, by ids of the catalogue, or both.

    `reference` is that of the referral, such as `7K2M-PQ4D`; `to` the public key of the desk that is asked, and `key`
    that of the authority, each in base64. Raises BundleError: `question-long` for words beyond the limit, `question`.
    """

    id: TipId
    reference: str
    to: str
    questions: tuple[str, ...]
    text: str
    day: date
    key: str = ""

    def __post_init__(self) -> None:
        if len(self.text) > MAX_QUESTION_LENGTH:
            raise BundleError("question-long")
        ids = set(self.questions)
        known = len(ids) == len(self.questions) <= MAX_CATALOGUE_IDS and ids <= QUESTIONS.keys()
        if not known or not (ids or clean_text(self.text)) or not _REFERENCE.fullmatch(self.reference):
            raise BundleError("question")


def question_json(question: AuthorityQuestion) -> bytes:
    """Return `question.json`: one line of UTF-8, in one form only."""
    fields = {
        "format": FORMAT,
        "id": question.id,
        "reference": question.reference,
        "to": question.to,
        "questions": list(question.questions),
        "text": question.text,
        "day": question.day.isoformat(),
        "key": question.key,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def question_bundle(question: AuthorityQuestion, key: Ed25519PrivateKey) -> Bundle:
    """Return the bundle of a question, signed with `key`, whose public half the question then names."""
    line = question_json(replace(question, key=encode_public_key(public_bytes(key))))
    signature = sign(SignatureContext.QUESTION, line, key).encode()
    return Bundle(question.id, pack({"question.json": line, "question.sig": signature}))


def read_question(bundle: bytes) -> AuthorityQuestion:
    """Return the question in a bundle, its signature checked by the key that the question names.

    Raises BundleError: `question-long` for words beyond the limit, `question-signature` for a signature that the key
    did not make, and another code for a bundle that `question_bundle` would not have made.
    """
    members = unpack(bundle, _NAMES)
    try:
        question = _parse_question(members["question.json"])
        public_key, signature = decode_public_key(question.key), members["question.sig"]
        same = question_json(question) == members["question.json"]
    except (AttributeError, KeyError, KeyTextError, TypeError, ValueError, RecursionError):
        raise BundleError("question") from None
    if not same or list(members) != ["question.json", "question.sig"]:
        raise BundleError("question")
    try:
        verify(SignatureContext.QUESTION, members["question.json"], signature, public_key)
    except SignatureError:
        raise BundleError("question-signature") from None
    return question


def _parse_question(line: bytes) -> AuthorityQuestion:
    fields = json.loads(line)
    texts = {name: fields[name] for name in ("reference", "to", "text", "key")}
    if not all(isinstance(text, str) for text in (*texts.values(), *fields["questions"])):
        raise TypeError
    return AuthorityQuestion(
        id=parse_tip_id(fields["id"]),
        questions=tuple(fields["questions"]),
        day=date.fromisoformat(fields["day"]),
        **texts,
    )
