"""Key files read with a passphrase from `HAUMARU_PASSPHRASE` or the terminal; what they hold stays in memory.

A wrong passphrase or a file that is none ends with one line that names the file, never what is in it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import ConfigError, KeyTextError
from app.vault.age_open import read_identity_file
from app.vault.keys import Identity
from app.vault.signature import read_signing_key

_FEWEST = 12


def identities(paths: Iterable[Path]) -> tuple[Identity, ...]:
    """Every identity in these files, in order; raises ConfigError, or a click.UsageError for one that is not there."""
    return tuple(identity for path in paths for identity in _identity_file(path))


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The desk's signing key; raises ConfigError."""
    name = click.format_filename(path.name)
    try:
        data = path.read_bytes()
    except OSError:
        fault = f"[desk] signing_key: {name} cannot be read; haumaru-desk keygen --signing makes one"
        raise ConfigError((fault,)) from None
    secret = passphrase(f"Passphrase of {name}") if b"ENCRYPTED" in data[:64] else None
    try:
        return read_signing_key(data, secret)
    except KeyTextError:
        raise ConfigError((f"{name}: the passphrase is wrong, or it is no signing key; try again",)) from None


def passphrase(prompt: str, *, confirm: bool = False) -> str:
    """A passphrase; a new one (`confirm`) is asked for twice, and of at least 12 characters."""
    given = os.environ.get("HAUMARU_PASSPHRASE")
    found: str = given or click.prompt(prompt, hide_input=True, confirmation_prompt=confirm, err=True)
    if confirm and len(found) < _FEWEST:
        raise click.UsageError(f"the passphrase is shorter than {_FEWEST} characters")
    return found


def _identity_file(path: Path) -> tuple[Identity, ...]:
    name = click.format_filename(path.name)
    try:
        return read_identity_file(path.read_bytes(), lambda: passphrase(f"Passphrase of {name}"))
    except OSError:
        raise click.UsageError(f"the identity file {name} cannot be read") from None
    except KeyTextError as error:
        words = {"passphrase": "the passphrase is wrong"}.get(error.code, "it is not an identity file, or damaged")
        raise ConfigError((f"{name}: {words}; try again",)) from None
