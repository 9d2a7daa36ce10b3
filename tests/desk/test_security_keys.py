"""Security keys: only the key of this seat, for this challenge, at this address, signs its person in."""

from dataclasses import replace

import pytest

from app.desk.errors import RefusedError
from app.desk.seat import Role, Seat
from app.desk.security_keys import SecurityKeys
from tests.support.security_key import SoftwareKey, junk_answers

HOST, ORIGIN = "desk.example", "https://desk.example:8443"


@pytest.fixture
def keys():
    return SecurityKeys(HOST, ORIGIN)


@pytest.fixture
def held():
    return SoftwareKey(ORIGIN, HOST)


@pytest.fixture
def seat(keys, held):
    plain = Seat("a1", "Ana", Role.HANDLER, bytes(32))
    challenge = keys.begin_registration(plain)
    return replace(plain, keys=(keys.finish_registration(challenge, held.register(challenge.options)),))


def refused(job) -> str:
    with pytest.raises(RefusedError) as caught:
        job()
    return caught.value.code


def test_a_key_signs_in_and_its_count_grows(keys, held, seat):
    """The key that was registered signs a new challenge, and its sign count is kept."""
    counts = []
    for _ in range(3):
        challenge = keys.begin_sign_in(seat)
        used = keys.finish_sign_in(challenge, seat, held.sign(challenge.options))
        counts.append(used.count)
        seat = replace(seat, keys=(used,))
    assert counts == [1, 2, 3]


@pytest.mark.parametrize(
    "fault",
    [
        {"origin": "https://desk.example:9443"},
        {"origin": "https://desk.example.evil.example"},
        {"origin": "http://desk.example:8443"},
        {"host": "evil.example"},
        {"kind": "webauthn.create"},
        {"flags": 0},
        {"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    ],
)
def test_an_answer_with_a_fault_is_refused(keys, held, seat, fault):
    """Another origin, port, scheme, host, kind or challenge, and a key that nobody touched, sign nobody in."""
    challenge = keys.begin_sign_in(seat)
    assert (
        refused(lambda: keys.finish_sign_in(challenge, seat, held.sign(challenge.options, **fault))) == "security-key"
    )


def test_an_answer_is_for_its_challenge_alone(keys, held, seat):
    """A recorded answer does not sign in again, and the challenge of one seat is nothing for another seat."""
    first, second = keys.begin_sign_in(seat), keys.begin_sign_in(seat)
    recorded = held.sign(first.options)
    assert refused(lambda: keys.finish_sign_in(second, seat, recorded)) == "security-key"
    other = SoftwareKey(ORIGIN, HOST)
    assert refused(lambda: keys.finish_sign_in(first, seat, other.sign(first.options))) == "security-key"


def test_a_copied_key_is_found(keys, held, seat):
    """A sign count that does not grow is refused as that of a copied key; a key that never counts is not."""
    challenge = keys.begin_sign_in(seat)
    seat = replace(seat, keys=(keys.finish_sign_in(challenge, seat, held.sign(challenge.options, step=7)),))
    for step in (0, -3):
        challenge = keys.begin_sign_in(seat)
        answer = held.sign(challenge.options, step=step)
        assert refused(lambda: keys.finish_sign_in(challenge, seat, answer)) == "copied-key"  # noqa: B023  # at once
    silent = replace(seat, keys=(replace(seat.keys[0], count=0),))
    held.count = 0
    challenge = keys.begin_sign_in(silent)
    assert keys.finish_sign_in(challenge, silent, held.sign(challenge.options, step=0)).count == 0


@pytest.mark.parametrize("junk", junk_answers(), ids=range(len(junk_answers())))
def test_junk_is_refused(keys, seat, junk):
    """What no key gives is refused, never a fault of the desk."""
    challenge = keys.begin_sign_in(seat)
    assert refused(lambda: keys.finish_sign_in(challenge, seat, junk)) == "security-key"
    assert refused(lambda: keys.finish_registration(keys.begin_registration(seat), junk)) == "security-key"
