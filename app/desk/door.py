"""The agency's door: the commands of `haumaru-desk`. Opening needs no network.

    keygen     a new identity, or a signing key
    open       check and open envelopes

A passphrase comes from `HAUMARU_PASSPHRASE` or from the terminal, never from the command line.
"""

import os
import sys
from base64 import b64encode
from pathlib import Path

import click

from app import commands
from app.desk import opening
from app.errors import EnvelopeError, HaumaruError, KeyTextError
from app.vault import tip as tips
from app.vault.keys import new_identity, recipient_of
from app.vault.unseal import read_identity_file, write_identity_file
from app.desk.signing import new_signing_key

_FEWEST = 12


@click.group()
def cli() -> None:
    """The agency's side: make keys, open what was sent."""
    commands.close_the_shutters()


@cli.command()
@click.option("-o", "path", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--no-passphrase", is_flag=True, help="Leave the key readable to whoever gets the file.")
@click.option("--signing", is_flag=True, help="Make the key that signs replies and referrals instead.")
def keygen(path: Path, *, no_passphrase: bool, signing: bool) -> None:
    """Make a new key and print its public half."""
    if path.exists():
        raise click.UsageError("there is a file of that name already, and it is not written over")
    passphrase = None if no_passphrase else _passphrase(confirm=True)
    if signing:
        data, public = new_signing_key(passphrase)
        shown = b64encode(public).decode()
    else:
        identity = new_identity()
        data, shown = write_identity_file(identity, passphrase), recipient_of(identity)
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123  # a descriptor
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    click.echo(shown)


@cli.command("open")
@click.argument("envelopes", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-i", "identity_files", multiple=True, required=True, type=click.Path(path_type=Path), help="An identity file.")
@click.option("-o", "folder", type=click.Path(path_type=Path), help="Unpack into this folder instead of printing.")
def open_(envelopes: tuple[Path, ...], identity_files: tuple[Path, ...], folder: Path | None) -> None:
    """Check and open envelopes; a bad one is named on standard error, and the rest go on."""
    identities = [one for path in identity_files for one in _identities(path)]
    bad = False
    for path in envelopes:
        try:
            _open_one(path, identities, folder)
        except HaumaruError as error:
            bad = True
            click.echo(f"haumaru: {click.format_filename(path.name)} does not open ({error.code}); set it aside", err=True)
        except FileExistsError:
            bad = True
            click.echo(f"haumaru: {path.name} was unpacked there before; choose another folder", err=True)
        except OSError:
            bad = True
            click.echo(f"haumaru: {click.format_filename(path.name)} cannot be read; look at the file", err=True)
    sys.exit(1 if bad else 0)


def _open_one(path: Path, identities: list[str], folder: Path | None) -> None:
    tip = opening.open_envelope(path, identities)
    if tip.decoy:
        return
    if folder is None:
        click.echo(tips.to_json(tip).decode())
    else:
        opening.unpack(tip, folder)


def _identities(path: Path) -> tuple[str, ...]:
    try:
        return read_identity_file(path.read_bytes(), lambda: _passphrase(confirm=False))
    except OSError:
        raise click.UsageError(f"the identity file {click.format_filename(path.name)} cannot be read") from None


def _passphrase(*, confirm: bool) -> str:
    given = os.environ.get("HAUMARU_PASSPHRASE")
    passphrase: str = given or click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    if confirm and len(passphrase) < _FEWEST:
        raise click.UsageError(f"the passphrase is shorter than {_FEWEST} characters")
    return passphrase


def main() -> None:
    """Run `haumaru-desk`."""
    commands.run(cli, "haumaru")


if __name__ == "__main__":
    main()
