"""A FIDO2 key in software (WebAuthn 2): makes credentials and signs what a desk asks, rightly or with one fault."""

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData

_PRESENT = 0x01
_HAS_CREDENTIAL = 0x40


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class SoftwareKey:
    """One key with one credential; `count` is its sign count."""

    def __init__(self, origin: str, host: str) -> None:
        self.origin, self.host, self.count = origin, host, 0
        self._private = generate_private_key(SECP256R1())
        self._id = secrets.token_bytes(32)

    def register(self, options: str) -> str:
        """Return the answer to the options of a registration, as the page of a desk sends it."""
        asked = json.loads(options)
        credential = AttestedCredentialData.create(
            bytes(16), self._id, ES256.from_cryptography_key(self._private.public_key())
        )
        data = AuthenticatorData.create(self._host_hash(), _PRESENT | _HAS_CREDENTIAL, self.count, bytes(credential))
        made = AttestationObject.create("none", data, {})
        response = {
            "clientDataJSON": _text(self._client_data("webauthn.create", asked["challenge"])),
            "attestationObject": _text(bytes(made)),
        }
        return self._answer(response)

    def sign(self, options: str, *, challenge: str = "", origin: str = "", kind: str = "webauthn.get", **more) -> str:
        """Return the answer to the options of a sign-in; every argument is a fault that an attacker may try."""
        asked = json.loads(options)
        self.count += more.get("step", 1)
        data = AuthenticatorData.create(self._host_hash(more.get("host", "")), more.get("flags", _PRESENT), self.count)
        client = self._client_data(kind, challenge or asked["challenge"], origin)
        signature = self._private.sign(bytes(data) + sha256(client).digest(), ECDSA(SHA256()))
        response = {
            "clientDataJSON": _text(client),
            "authenticatorData": _text(bytes(data)),
            "signature": _text(signature),
            "userHandle": None,
        }
        return self._answer(response)

    def _host_hash(self, host: str = "") -> bytes:
        return sha256((host or self.host).encode()).digest()

    def _client_data(self, kind: str, challenge: str, origin: str = "") -> bytes:
        fields = {"type": kind, "challenge": challenge, "origin": origin or self.origin, "crossOrigin": False}
        return json.dumps(fields).encode()

    def _answer(self, response: dict[str, str | None]) -> str:
        name = _text(self._id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        )


def junk_answers() -> list[str]:
    """Return answers that no key gives."""
    broken = {"id": "AA", "rawId": "AA", "type": "public-key", "clientExtensionResults": {}}
    cut = _text(cbor.encode({"fmt": "none", "attStmt": {}, "authData": b"short"}))
    return [
        "",
        "null",
        "[]",
        "{" * 50_000,
        '{"a":' * 3_000,
        json.dumps(broken),
        json.dumps({**broken, "response": {"clientDataJSON": "e30", "attestationObject": cut}}),
        json.dumps({**broken, "response": {"clientDataJSON": "!!", "authenticatorData": "", "signature": 3}}),
    ]
