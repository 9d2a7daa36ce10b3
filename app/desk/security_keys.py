"""Security keys (FIDO2): what a browser asks a key to sign, and whether the key's answer is the right one (WebAuthn 2).

Every answer is for one challenge, which its caller keeps in memory and uses once. The library checks the challenge, the
origin, the host, the person's presence and the signature. This module checks the sign count: a count that does not
grow means that somebody has copied the key.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationConveyancePreference,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app.desk.errors import RefusedError
from app.desk.seat import Seat, SecurityKey

_MAX_ANSWER = 20_000  # characters of JSON


@dataclass(frozen=True)
class KeyChallenge:
    """What a key is asked to sign: `options` is JSON for the browser, `state` stays at the desk."""

    options: str
    state: Mapping[str, Any] = field(repr=False)


class SecurityKeys:
    """The security keys of one desk: `host` is its name without the port, `origin` its exact address."""

    def __init__(self, host: str, origin: str) -> None:
        self._server = Fido2Server(
            PublicKeyCredentialRpEntity(name="Haumaru desk", id=host),
            attestation=AttestationConveyancePreference.NONE,
            verify_origin=lambda untrusted_origin: untrusted_origin == origin,
        )

    def begin_registration(self, seat: Seat) -> KeyChallenge:
        """Return what a new key of a seat is asked to sign; a key that the seat has already is not taken again."""
        person = PublicKeyCredentialUserEntity(name=seat.name, id=seat.handle, display_name=seat.name)
        options, state = self._server.register_begin(
            person,
            [_credential(one) for one in seat.keys],
            resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        return KeyChallenge(_options_json(options), state)

    def finish_registration(self, challenge: KeyChallenge, untrusted_answer: str) -> SecurityKey:
        """Return the new key; raises RefusedError `security-key`."""
        try:
            answer = RegistrationResponse.from_dict(_read_answer(untrusted_answer))
            data = self._server.register_complete(challenge.state, answer)
            credential = data.credential_data
        except Exception:  # noqa: BLE001  # the library parses a stranger's bytes: each of its errors is a refusal
            raise RefusedError("security-key") from None
        if credential is None:
            raise RefusedError("security-key")
        return SecurityKey(bytes(credential), data.counter)

    def begin_sign_in(self, seat: Seat) -> KeyChallenge:
        """Return what a key of a seat is asked to sign."""
        options, state = self._server.authenticate_begin(
            [_credential(one) for one in seat.keys], user_verification=UserVerificationRequirement.PREFERRED
        )
        return KeyChallenge(_options_json(options), state)

    def finish_sign_in(self, challenge: KeyChallenge, seat: Seat, untrusted_answer: str) -> SecurityKey:
        """Return the key that signed, with its new sign count.

        Raises RefusedError `security-key`, or `copied-key` where the count did not grow (WebAuthn, 6.1.1).
        """
        credentials = {bytes(one.credential): one for one in seat.keys}
        try:
            answer = AuthenticationResponse.from_dict(_read_answer(untrusted_answer))
            found = self._server.authenticate_complete(challenge.state, [_credential(one) for one in seat.keys], answer)
            used, count = credentials[bytes(found)], answer.response.authenticator_data.counter
        except Exception:  # noqa: BLE001  # the library parses a stranger's bytes: each of its errors is a refusal
            raise RefusedError("security-key") from None
        if (count or used.count) and count <= used.count:
            raise RefusedError("copied-key")
        return replace(used, count=count)


def _credential(key: SecurityKey) -> AttestedCredentialData:
    return AttestedCredentialData(key.credential)


def _options_json(options: Any) -> str:
    return json.dumps(dict(options)["publicKey"], separators=(",", ":"))


def _read_answer(untrusted_answer: str) -> dict[str, Any]:
    if len(untrusted_answer) > _MAX_ANSWER:
        raise ValueError
    answer: dict[str, Any] = json.loads(untrusted_answer)
    return answer
