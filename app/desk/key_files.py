"""The key files of the desk: identities and the signing key, with their passphrases.

A passphrase comes from `HAUMARU_PASSPHRASE` in `env` or from the terminal, never from the command line.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import ConfigError, KeyTextError
from app.desk.day_key_store import is_day_key_file, read_day_key_file
from app.desk.errors import RefusedError
from app.desk.passphrase_rules import require_long, require_uncommon
from app.vault.age_open import read_identity_file
from app.vault.keys import Identity
from app.vault.signature import decode_public_key, read_signing_key

_FAULTS = {
    "passphrase": "the passphrase is wrong",
    "no-match": "no identity file before this one opens this file of a day key; give the desk's identity file first",
}


def read_identities(paths: Iterable[Path], env: Mapping[str, str]) -> tuple[Identity, ...]:
    """Return every identity in these files, in order; raises ConfigError, or click.UsageError for a missing file.

    The file of a day key opens with an identity in one of the files before.
    """
    identities: list[Identity] = []
    for path in paths:
        identities += _read_identity_path(path, env, identities)
    return tuple(identities)


def _read_identity_path(path: Path, env: Mapping[str, str], before: Sequence[Identity]) -> tuple[Identity, ...]:
    name = click.format_filename(path.name)
    try:
        data = path.read_bytes()
        if is_day_key_file(data):
            return read_day_key_file(data, before)
        return read_identity_file(data, lambda: ask_passphrase(f"Passphrase of {name}", env))
    except OSError:
        raise click.UsageError(f"the identity file {name} cannot be read; check the name and the permissions") from None
    except KeyTextError as error:
        words = _FAULTS.get(error.code, "this is not an identity file, or the file is damaged")
        raise ConfigError((f"{name}: {words}; check the file, and try again",)) from None


def read_signing_key_file(path: Path, env: Mapping[str, str]) -> Ed25519PrivateKey:
    """Return the desk's signing key; raises ConfigError."""
    return _read_signing_key(path, env, "[desk] signing_key")


def read_question_key(path: Path, env: Mapping[str, str]) -> Ed25519PrivateKey:
    """Return the key with which an authority signs its questions; raises ConfigError."""
    return _read_signing_key(path, env, "-k")


def parse_signer(text: str) -> bytes:
    """Return the 32 bytes of a desk's public signing key that a person typed; raises click.UsageError."""
    try:
        return decode_public_key(text)
    except KeyTextError:
        raise click.UsageError("--signer is not a public signing key; copy all 44 characters") from None


def _read_signing_key(path: Path, env: Mapping[str, str], option: str) -> Ed25519PrivateKey:
    name = click.format_filename(path.name)
    try:
        data = path.read_bytes()
    except OSError:
        fault = f"{option}: {name} cannot be read; make a signing key with haumaru-desk keygen --signing"
        raise ConfigError((fault,)) from None
    passphrase = ask_passphrase(f"Passphrase of {name}", env) if b"ENCRYPTED" in data[:64] else None
    try:
        return read_signing_key(data, passphrase)
    except KeyTextError:
        raise ConfigError(
            (f"{name}: the passphrase is wrong, or this is not a signing key; check the file, and try again",)
        ) from None


def ask_passphrase(prompt: str, env: Mapping[str, str], *, new: bool = False) -> str:
    """Return a passphrase from the environment or the terminal; a new one is typed twice, is long and uncommon.

    Raises click.UsageError, which says why a new one is refused.
    """
    given = env.get("HAUMARU_PASSPHRASE")
    passphrase: str = given or click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True)
    try:
        if new:
            require_long(passphrase)
            require_uncommon(passphrase)
    except RefusedError as error:
        raise click.UsageError(error.message) from None
    return passphrase
