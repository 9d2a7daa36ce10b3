"""Keys as text: what is taken, what is refused, and that both agree with an age tool that is not ours."""

import re
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.errors import KeyTextError
from app.vault import keys
from tests.support.age_tools import run

# The specification's own examples.
SPEC_HYBRID = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR"
SPEC_HYBRID_START = "age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrqtzdxz95paef6caq5a"
SPEC_HYBRID_END = "k3tlhl53k2ykx3qheyty7saeq0d3fzv49zc0k"
SPEC_X25519 = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
SPEC_X25519_RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"

IDENTITY = keys.new_identity()
RECIPIENT = keys.recipient_of(IDENTITY)
LOW_ORDER = (bytes(32), (1).to_bytes(32, "little"))


def test_the_specification_s_examples_give_its_recipients():
    """Both example identities of the specification yield the recipients beside them."""
    recipient = keys.recipient_of(keys.parse_identity(SPEC_HYBRID))
    assert recipient.startswith(SPEC_HYBRID_START)
    assert recipient.endswith(SPEC_HYBRID_END)
    assert len(recipient) == 1959
    assert keys.recipient_of(keys.parse_identity(SPEC_X25519)) == SPEC_X25519_RECIPIENT


@pytest.mark.needs("node")
def test_an_independent_tool_agrees_on_recipients():
    """Keys made elsewhere are read here, and yield the same recipients."""
    pairs = run.keygen()
    assert [pair["identity"].startswith("AGE-SECRET-KEY-PQ-1") for pair in pairs] == [True, False]
    for pair in pairs:
        assert keys.recipient_of(keys.parse_identity(pair["identity"])) == pair["recipient"]
        assert keys.parse_recipient(pair["recipient"]) == pair["recipient"]


def test_a_new_identity_is_hybrid_and_new():
    """Each new identity is another one, in the hybrid form, and parses."""
    made = {keys.new_identity() for _ in range(20)}
    assert len(made) == 20
    for identity in made:
        assert keys.parse_identity(identity).startswith("AGE-SECRET-KEY-PQ-1")
        assert keys.parse_recipient(keys.recipient_of(identity)).startswith("age1pq1")


def test_a_fingerprint_is_one_that_any_machine_can_make():
    """A fingerprint begins as the digest that `sha256sum` prints; of several keys their order counts."""
    made = subprocess.run(["sha256sum"], input=RECIPIENT.encode(), capture_output=True, check=True).stdout.decode()
    assert keys.key_fingerprint([RECIPIENT]).replace(" ", "") == made[:32]
    assert re.fullmatch("([0-9a-f]{4} ){7}[0-9a-f]{4}", keys.key_fingerprint([RECIPIENT]))
    other = keys.recipient_of(keys.new_identity())
    pairs = ([RECIPIENT], [other], [RECIPIENT, other], [other, RECIPIENT])
    assert len({keys.key_fingerprint(pair) for pair in pairs}) == 4


@given(st.one_of(st.text(), st.text("age1pqAGE-SECRTKY0").map(lambda text: "age1pq1" + text)))
@example("")
@example("age1")
@example("age1pq1")
@example("AGE-SECRET-KEY-PQ-1")
@example("AGE-SECRET-KEY-1\u212a")
@example("age1pq1" + "q" * 5000)
def test_garbage_is_no_key(text):
    """Any other text is refused with our error, both as a recipient and as an identity."""
    for parse in (keys.parse_recipient, keys.parse_identity, keys.public_key, keys.recipient_of):
        with pytest.raises(KeyTextError):
            parse(text)


@given(st.data())
def test_one_wrong_letter_is_found(data):
    """A key with one letter changed, left out or put in is refused, and the error does not repeat it."""
    for text, parse in ((RECIPIENT, keys.parse_recipient), (IDENTITY, keys.parse_identity)):
        at = data.draw(st.integers(0, len(text) - 1))
        letter = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
        for wrong in (
            text[:at] + letter + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + letter + text[at:],
        ):
            if wrong == text:
                continue
            with pytest.raises(KeyTextError) as caught:
                parse(wrong)
            assert wrong not in repr(caught.value)


@pytest.mark.parametrize("change", [str.swapcase, str.title, "{} ".format, "\n{}".format, "{}\x00".format])
def test_other_spellings_are_refused(change):
    """Another case, or a blank before or after, is not the key's text."""
    with pytest.raises(KeyTextError):
        keys.parse_recipient(change(RECIPIENT))
    with pytest.raises(KeyTextError):
        keys.parse_identity(change(IDENTITY))


def test_a_kelvin_sign_is_not_a_k():
    """A letter that only lowers to an ASCII one does not pass for it."""
    with pytest.raises(KeyTextError):
        keys.parse_identity(IDENTITY.replace("K", "\u212a"))


@pytest.mark.parametrize("share", LOW_ORDER)
def test_a_recipient_without_secrets_is_refused(share):
    """A key with which every shared secret would be zero is refused before anything is sealed to it."""
    mlkem = keys.private_key(IDENTITY).mlkem.public_key().public_bytes_raw()
    for text in (keys._encode("age1pq", mlkem + share), keys._encode("age", share)):
        with pytest.raises(KeyTextError):
            keys.parse_recipient(text)


def test_an_impossible_lattice_key_is_refused():
    """ML-KEM coefficients beyond the modulus (FIPS 203, section 7.2) are no key."""
    x25519 = keys.private_key(IDENTITY).x25519.public_key().public_bytes_raw()
    with pytest.raises(KeyTextError):
        keys.parse_recipient(keys._encode("age1pq", b"\xff" * 1184 + x25519))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 1215, 1217])
def test_a_key_of_another_length_is_refused(length):
    """A good checksum over the wrong number of bytes is no key."""
    for prefix in ("age", "age1pq"):
        with pytest.raises(KeyTextError):
            keys.parse_recipient(keys._encode(prefix, bytes(length)))
    for prefix in ("age-secret-key-", "age-secret-key-pq-"):
        with pytest.raises(KeyTextError):
            keys.parse_identity(keys._encode(prefix, bytes(length)).upper())


def test_nothing_is_sealed_to_a_plain_key():
    """An X25519 recipient parses, but gives no key to seal to."""
    assert keys.parse_recipient(SPEC_X25519_RECIPIENT)
    with pytest.raises(KeyTextError, match=r"^not-hybrid$"):
        keys.public_key(SPEC_X25519_RECIPIENT)


def test_spare_bits_must_be_zero():
    """The two or four bits that fill the last letter cannot carry anything."""
    prefix, data = "age-secret-key-", bytes(32)
    good = keys._encode(prefix, data)
    values = [keys._VALUE[letter] for letter in good[len(prefix) + 1 : -6]]
    values[-1] |= 1
    check = keys._polymod(keys._expand(prefix) + values + [0] * 6) ^ 1
    values += [check >> (5 * place) & 31 for place in reversed(range(6))]
    wrong = prefix + "1" + "".join(keys._CHARSET[value] for value in values)
    assert keys.parse_identity(good.upper())
    with pytest.raises(KeyTextError):
        keys.parse_identity(wrong.upper())
