"""The commands of `haumaru-desk`, the agency's program. Only this module reads the configuration and the environment.

A passphrase comes from `HAUMARU_PASSPHRASE` or from the terminal, never from the command line. Opening needs no
network. No command writes over a file that exists. A bad envelope is named on standard error, and the others are
opened nevertheless.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core import process
from app.core.durable import create_once
from app.core.errors import ConfigError, HaumaruError, KeyTextError
from app.core.log import quiet_logs
from app.core.resources import ROOT
from app.desk.cases import Cases
from app.desk.config import load_desk_config
from app.desk.envelopes import open_envelope_file, opened_id, read_envelope_file
from app.desk.errors import RefusedError
from app.desk.health import check_health
from app.desk.jobs import Job
from app.desk.journal import Journal, verify_journal
from app.desk.receiver import EnvelopeReceiver, serve_receiver
from app.desk.referral import Referral, ReferralWords, require_signer
from app.desk.service import open_desk
from app.desk.store import SealedStore
from app.desk.terminal import escape_line
from app.desk.unpack import OpenedEnvelopes, unpack_to_folder, words_json
from app.desk.web import factory
from app.text.phrases import load_phrases
from app.vault.age_open import read_identity_file, write_identity_file
from app.vault.keys import DEMONSTRATION, Identity, key_fingerprint, new_identity, recipient_of
from app.vault.part import Part
from app.vault.signature import (
    decode_public_key,
    encode_public_key,
    new_signing_key,
    public_bytes,
    read_signing_key,
)
from app.vault.tip_bundles import Words

_PROGRAM = "haumaru-desk"
_MIN_PASSPHRASE = 12  # characters (ASVS 6.2.1 asks for 8)

_FILE = click.Path(path_type=Path)
_CONFIG = click.option(
    "--config", "path", type=_FILE, required=True, help="The configuration file of the desk, desk.toml."
)
_IDENTITY = click.option(
    "-i",
    "identity_paths",
    multiple=True,
    required=True,
    type=_FILE,
    help="An identity file. Repeat -i for each identity file.",
)
_ENVELOPES = click.argument("envelopes", nargs=-1, required=True, type=_FILE)


@click.group()
@click.version_option(package_name="haumaru", message="%(version)s")
def cli() -> None:
    """Open, read, redact and refer tips: the anonymous reports that the site sends to an agency."""
    process.harden_process()


@cli.command()
@click.option("-o", "path", type=_FILE, required=True, help="The new key file. No file of that name may exist yet.")
@click.option(
    "--no-passphrase", is_flag=True, help="Write the key without a passphrase: anyone who has the file can use the key."
)
@click.option("--signing", is_flag=True, help="Make a signing key, for replies and referrals, and not an identity.")
def keygen(path: Path, *, no_passphrase: bool, signing: bool) -> None:
    """Make a new key file; print the public key, and the fingerprint of a recipient to standard error.

    An identity's public key is its recipient (age1pq1...). A signing key's public key is 44 characters of base64.
    """
    if path.exists():
        raise click.UsageError("a file of that name exists already, and nothing was written; choose another name")
    passphrase = None if no_passphrase else _ask_passphrase("Passphrase", new=True)
    if signing:
        data, public = new_signing_key(passphrase)
        shown = encode_public_key(public)
    else:
        identity = new_identity()
        data, shown = write_identity_file(identity, passphrase), recipient_of(identity)
    create_once(path, data)
    click.echo(shown)
    if not signing:
        click.echo(f"fingerprint: {key_fingerprint([shown])}", err=True)


@cli.command("open")
@_ENVELOPES
@_IDENTITY
@click.option(
    "-o", "folder", type=_FILE, help="Unpack each tip into a new folder inside this folder, and print nothing."
)
@click.option("--signer", help="The public signing key (base64) of the desk that sent the referrals.")
def open_envelopes(
    envelopes: tuple[Path, ...], identity_paths: tuple[Path, ...], folder: Path | None, signer: str | None
) -> None:
    """Check and open envelopes, and join the files to their tips.

    Prints each tip as one line of JSON, or unpacks each tip with -o. The exit code is 1 if an envelope did not open.
    """
    identities, key = _read_identities(identity_paths), None if signer is None else _parse_signer(signer)
    opened = OpenedEnvelopes()

    def read(path: Path) -> None:
        words = open_envelope_file(path.name, read_envelope_file(path), identities)
        if isinstance(words, ReferralWords):
            _check_signer(words.referral, key)
        opened.add(path, words)

    failed = [path for path in envelopes if not _succeeds(path, read)]
    for path, words in opened.words:
        failed += [path] * (not _succeeds(path, lambda _: _show(opened, words, folder)))  # noqa: B023  # called at once
    if strays := opened.count_strays():
        _warn(f"parts of files that belong to no tip given here: {strays}; give all envelopes in one call")
    sys.exit(1 if failed else 0)


@cli.command()
@_ENVELOPES
@_IDENTITY
@click.option("--signer", required=True, help="The public signing key (base64) that the desk told you by voice.")
def verify(envelopes: tuple[Path, ...], identity_paths: tuple[Path, ...], signer: str) -> None:
    """Check that the desk with this key signed each referral.

    Prints the reference of each signed referral. The exit code is 1 if a referral is not signed by that desk.
    """
    identities, key = _read_identities(identity_paths), _parse_signer(signer)

    def check(path: Path) -> None:
        opened = open_envelope_file(path.name, read_envelope_file(path), identities)
        if isinstance(opened, Part) or (isinstance(opened, Words) and opened.tip.decoy):
            return  # the signature of a referral covers its parts: it names the SHA-256 of every file
        if not isinstance(opened, ReferralWords):
            raise RefusedError("not-a-referral")
        referral = require_signer(opened.referral, key)
        click.echo(escape_line(f"{referral.reference} is signed by that desk, for {referral.to}"))

    failed = [path for path in envelopes if not _succeeds(path, check)]
    sys.exit(1 if failed else 0)


@cli.command()
@_CONFIG
def serve(path: Path) -> None:
    """Start the desk for a browser on this machine.

    Prints a link that works once. Press Ctrl-C to close the desk.
    """
    config = load_desk_config(path, _with_desk_port(os.environ))
    quiet_logs()
    identities = _read_identities(config.identities)
    key, phrases = _read_signing_key_file(config.signing_key), load_phrases(ROOT / "content")
    demo = DEMONSTRATION in identities
    with open_desk(config, identities, key, phrases) as desk:
        build = partial(factory.create_app, desk, demo=demo)
        server = factory.listen(
            config.bind, lambda link: click.echo(f"Open this link. The link works once: {link}"), build
        )
        signal.signal(signal.SIGTERM, _interrupt)
        desk.start()
        with factory.serving(server):
            try:
                signal.pause()
            except KeyboardInterrupt:
                click.echo("The desk is closed.")


@cli.command()
@_CONFIG
def receive(path: Path) -> None:
    """Receive envelopes from a site over HTTPS and put them into the inbox.

    This command has no identity, so it cannot open an envelope.
    """
    config = load_desk_config(path, os.environ)
    if config.receive is None:
        raise ConfigError(("[receive] bind: is missing; write the address on which to listen, and a token_file",))
    quiet_logs()
    config.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    serve_receiver(config.receive, EnvelopeReceiver(config.inbox, token=config.receive.token))


@cli.group("journal")
def journal_group() -> None:
    """Check the journal, which records who did what at the desk."""


@journal_group.command("verify")
@_CONFIG
def journal_verify(path: Path) -> None:
    """Check that nobody changed a line of the journal.

    Prints the number of lines and the hash of the last line. Write both down in another place.
    """
    config = load_desk_config(path, os.environ)
    store = SealedStore(config.store, _read_identities(config.identities))
    count, last = verify_journal(store, public_bytes(_read_signing_key_file(config.signing_key)))
    click.echo(f"The journal is unchanged. Lines: {count}. Hash of the last line: {last}")


@cli.command()
@_CONFIG
def rekey(path: Path) -> None:
    """Seal everything in the store again, to the first identity.

    The desk uses the other identities in desk.toml only to open what was sealed before.
    """
    config = load_desk_config(path, os.environ)
    identities = _read_identities(config.identities)
    store = SealedStore(config.store, identities)
    with store.locked():
        journal = Journal(store, _read_signing_key_file(config.signing_key), clock=time.time)
        job = Job("Sealing the store again")
        Cases(store, journal, identities).reseal(job)
    click.echo(f"Sealed to {recipient_of(identities[0])[:24]}…: {job.done} files of the store")


@cli.command()
@_CONFIG
def status(path: Path) -> None:
    """Print what is waiting, what fails and which keys expire.

    The exit code is 1 if somebody must act. The command warns about a key from six weeks before its last day.
    """
    health = check_health(load_desk_config(path, os.environ), time.time())
    for line in health.lines:
        click.echo(escape_line(line))
    sys.exit(1 if health.action_needed else 0)


def _succeeds(path: Path, job: Callable[[Path], None]) -> bool:
    name = click.format_filename(path.name)
    try:
        job(path)
    except HaumaruError as error:
        refused = isinstance(error, RefusedError)
        _warn(f"{name} does not open ({error.code}); {error.message if refused else 'set the file aside'}")
    except FileExistsError:
        _warn(f"{name} was unpacked into that folder before; choose another folder")
    except OSError:
        _warn(f"{name} cannot be read; check the name and the permissions")
    else:
        return True
    return False


def _show(opened: OpenedEnvelopes, words: Words | ReferralWords, folder: Path | None) -> None:
    if missing := opened.count_missing(words):
        _warn(f"{opened_id(words)}: {missing} of {words.part_count} parts of its files are missing; give all at once")
    files = opened.join(words)
    if folder is not None:
        unpack_to_folder(words, files, folder)
    else:
        click.echo(words_json(words))


def _check_signer(referral: Referral, signer: bytes | None) -> None:
    if signer is None:
        _warn(f"{referral.reference}: anyone can sign a referral; give the key of the desk with --signer")
    else:
        require_signer(referral, signer)


def _parse_signer(text: str) -> bytes:
    try:
        return decode_public_key(text)
    except ValueError:
        raise click.UsageError("--signer is not a public signing key; copy all 44 characters") from None


def _read_identities(paths: Iterable[Path]) -> tuple[Identity, ...]:
    """Return every identity in these files, in order; raises ConfigError, or click.UsageError for a missing file."""
    return tuple(identity for path in paths for identity in _read_identity_path(path))


def _read_identity_path(path: Path) -> tuple[Identity, ...]:
    name = click.format_filename(path.name)
    try:
        return read_identity_file(path.read_bytes(), lambda: _ask_passphrase(f"Passphrase of {name}"))
    except OSError:
        raise click.UsageError(f"the identity file {name} cannot be read; check the name and the permissions") from None
    except KeyTextError as error:
        words = {"passphrase": "the passphrase is wrong"}.get(
            error.code, "this is not an identity file, or the file is damaged"
        )
        raise ConfigError((f"{name}: {words}; check the file, and try again",)) from None


def _read_signing_key_file(path: Path) -> Ed25519PrivateKey:
    """Return the desk's signing key; raises ConfigError."""
    name = click.format_filename(path.name)
    try:
        data = path.read_bytes()
    except OSError:
        fault = f"[desk] signing_key: {name} cannot be read; make a signing key with haumaru-desk keygen --signing"
        raise ConfigError((fault,)) from None
    passphrase = _ask_passphrase(f"Passphrase of {name}") if b"ENCRYPTED" in data[:64] else None
    try:
        return read_signing_key(data, passphrase)
    except KeyTextError:
        raise ConfigError(
            (f"{name}: the passphrase is wrong, or this is not a signing key; check the file, and try again",)
        ) from None


def _ask_passphrase(prompt: str, *, new: bool = False) -> str:
    """Return a passphrase from the environment or the terminal; a new one is typed twice and has a least length."""
    given = os.environ.get("HAUMARU_PASSPHRASE")
    passphrase: str = given or click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True)
    if new and len(passphrase) < _MIN_PASSPHRASE:
        raise click.UsageError(f"the passphrase is too short; use at least {_MIN_PASSPHRASE} characters")
    return passphrase


def _with_desk_port(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with `DESK_PORT`, which `make desk` documents, as the variable of `[desk] bind`."""
    port = env.get("DESK_PORT")
    return {**env, **({"HAUMARU_DESK_BIND": f"127.0.0.1:{port}"} if port else {})}


def _warn(words: str) -> None:
    click.echo(f"{_PROGRAM}: {escape_line(words)}", err=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run `haumaru-desk`."""
    process.run_program(cli, _PROGRAM)


if __name__ == "__main__":
    main()
