"""The commands of `haumaru-desk`, the agency's program. Only this module reads the configuration and the environment.

A command that needs the environment and stands in a module of its own finds it as the object of its context. Opening
needs no network. No command writes over a file that exists.
"""

import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click

from app.core import process
from app.core.durable import create_once
from app.core.errors import ConfigError
from app.core.log import quiet_logs
from app.core.resources import ROOT
from app.desk.ask_command import ask
from app.desk.cases import Cases
from app.desk.config import load_desk_config
from app.desk.day_key_commands import day_keys
from app.desk.envelope_commands import open_envelopes, verify
from app.desk.health import check_health
from app.desk.jobs import Job
from app.desk.journal import Journal, verify_journal
from app.desk.key_files import ask_passphrase, read_identities, read_signing_key_file
from app.desk.language_guess import load_language_guess
from app.desk.outcome_commands import outcomes
from app.desk.receiver import EnvelopeReceiver, serve_receiver
from app.desk.seat_commands import seat_group, warn_of_seats
from app.desk.service import open_desk
from app.desk.store import SealedStore
from app.desk.terminal import escape_line
from app.desk.web import factory
from app.text.phrases import load_phrases
from app.vault.age_open import write_identity_file
from app.vault.keys import DEMONSTRATION, key_fingerprint, new_identity, recipient_of
from app.vault.signature import (
    encode_public_key,
    new_signing_key,
    public_bytes,
)

_PROGRAM = "haumaru-desk"

_FILE = click.Path(path_type=Path)
_CONFIG = click.option(
    "--config", "path", type=_FILE, required=True, help="The configuration file of the desk, desk.toml."
)


@click.group()
@click.version_option(package_name="haumaru", message="%(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Open, read, redact and refer tips: the anonymous reports that the site sends to an agency."""
    context.obj = os.environ
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
    passphrase = None if no_passphrase else ask_passphrase("Passphrase", os.environ, new=True)
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


@cli.command()
@_CONFIG
def serve(path: Path) -> None:
    """Start the desk for browsers: on this machine, or on the network under the name in desk.toml.

    Prints a link that works once, or the address where people sign in. Press Ctrl-C to close the desk.
    """
    config = load_desk_config(path, _with_desk_port(os.environ))
    quiet_logs()
    identities = read_identities(config.identities, os.environ)
    key, phrases = read_signing_key_file(config.signing_key, os.environ), load_phrases(ROOT / "content")
    demo = DEMONSTRATION in identities
    languages = load_language_guess(ROOT / "content")
    help_lines = [(ROOT / "content" / "contacts.toml").read_text(encoding="utf-8")]
    with open_desk(config, identities, key, phrases, languages=languages, help_lines=help_lines) as desk:
        build, stop = partial(factory.create_app, desk, demo=demo), process.stop_on_signals()
        if config.host:
            server = factory.listen_on_network(config.bind, config.host, desk, build)
            click.echo(f"People sign in at {config.host.origin}/")
            warn_of_seats(desk.seats, config.release)
        else:
            server = factory.listen(config.bind, _print_desk_link, build)
        desk.start()
        with factory.serving(server):
            stop.wait()
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
    store = SealedStore(config.store, read_identities(config.identities, os.environ))
    count, last = verify_journal(store, public_bytes(read_signing_key_file(config.signing_key, os.environ)))
    click.echo(f"The journal is unchanged. Lines: {count}. Hash of the last line: {last}")


@cli.command()
@_CONFIG
def rekey(path: Path) -> None:
    """Seal everything in the store again, to the first identity.

    The desk uses the other identities in desk.toml only to open what was sealed before.
    """
    config = load_desk_config(path, os.environ)
    identities = read_identities(config.identities, os.environ)
    store = SealedStore(config.store, identities)
    with store.locked():
        journal = Journal(store, read_signing_key_file(config.signing_key, os.environ), clock=time.time)
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


def _with_desk_port(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with `DESK_PORT`, which `make desk` documents, as the variable of `[desk] bind`."""
    port = env.get("DESK_PORT")
    return {**env, **({"HAUMARU_DESK_BIND": f"127.0.0.1:{port}"} if port else {})}


def _print_desk_link(link: str) -> None:
    click.echo(f"Open this link. The link works once: {link}")


for _command in (open_envelopes, verify, outcomes, ask, seat_group, day_keys):
    cli.add_command(_command)


def main() -> None:
    """Run `haumaru-desk`."""
    process.run_program(cli, _PROGRAM)


if __name__ == "__main__":
    main()
