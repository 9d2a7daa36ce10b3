"""The agency's door: the commands of `haumaru-desk`. Opening needs no network.

    keygen     a new identity, or a signing key      serve            the desk in a browser, on loopback
    open       check and open envelopes              receive          the far end of the `https:` transport
    verify     whether a desk signed a referral      journal verify   whether the journal is whole
    rekey      seal the store to a new identity      status           what waits, and whose key expires

A passphrase comes from `HAUMARU_PASSPHRASE` or from the terminal, never from the command line.
"""

import os
import signal
import sys
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from wsgiref.types import WSGIApplication

import click

from app.core import process
from app.core.errors import ConfigError, HaumaruError
from app.core.log import quiet_logs
from app.core.resources import ROOT
from app.desk import keyfiles
from app.desk.cases import Cases
from app.desk.config import ReceiverConfig, load_desk_config, parse_public_key
from app.desk.envelopes import open_tip_or_referral, unpack_to_folder
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.journal import Journal, verify_journal
from app.desk.receiver import EnvelopeReceiver
from app.desk.referral import Referral, referral_json, require_signer
from app.desk.service import Desk, open_desk
from app.desk.status import now, tell
from app.desk.store import SealedStore
from app.desk.web import factory
from app.text.find import load_phrases
from app.vault.age_open import write_identity_file
from app.vault.keys import DEMONSTRATION, Identity, new_identity, recipient_of
from app.vault.signature import new_signing_key
from app.vault.tip import Tip, tip_to_json

_CONFIG = click.option("--config", "path", type=click.Path(path_type=Path), required=True, help="The desk.toml.")
_IDENTITY = click.option(
    "-i", "identity_files", multiple=True, required=True, type=click.Path(path_type=Path), help="An identity file."
)
_ENVELOPES = click.argument("envelopes", nargs=-1, required=True, type=click.Path(path_type=Path))


@click.group()
@click.version_option(package_name="haumaru", message="%(version)s")
def cli() -> None:
    """The agency's side: make keys, open what was sent, refer it."""
    process.close_the_shutters()


@cli.command()
@click.option("-o", "path", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--no-passphrase", is_flag=True, help="Leave the key readable to whoever gets the file.")
@click.option("--signing", is_flag=True, help="Make the key that signs replies and referrals instead.")
def keygen(path: Path, *, no_passphrase: bool, signing: bool) -> None:
    """Make a new key and print its public half."""
    if path.exists():
        raise click.UsageError("there is a file of that name already, and it is not written over")
    passphrase = None if no_passphrase else keyfiles.passphrase("Passphrase", confirm=True)
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
@_ENVELOPES
@_IDENTITY
@click.option("-o", "folder", type=click.Path(path_type=Path), help="Unpack into this folder instead of printing.")
@click.option("--signer", help="The public key (base64) of the desk whose referrals these must be.")
def open_(
    envelopes: tuple[Path, ...], identity_files: tuple[Path, ...], folder: Path | None, signer: str | None
) -> None:
    """Check and open envelopes; a bad one is named on standard error, and the rest go on."""
    identities, key = keyfiles.identities(identity_files), _signer(signer)
    sys.exit(1 if sum(not _try(path, partial(_open_one, path, identities, folder, key)) for path in envelopes) else 0)


@cli.command()
@_ENVELOPES
@_IDENTITY
@click.option("--signer", required=True, help="The desk's public key, base64, as it was told to you by voice.")
def verify(envelopes: tuple[Path, ...], identity_files: tuple[Path, ...], signer: str) -> None:
    """Check that a desk signed each referral; prints the reference of each that it did."""
    identities, key = keyfiles.identities(identity_files), _signer(signer)

    def check(path: Path) -> None:
        opened_one = open_tip_or_referral(path, identities)
        if not isinstance(opened_one, Referral):
            raise RefusedError("not-a-referral")
        require_signer(opened_one, key or b"")
        click.echo(f"{opened_one.reference} is signed by that desk, for {opened_one.to}")

    sys.exit(1 if sum(not _try(path, partial(check, path)) for path in envelopes) else 0)


@cli.command()
@_CONFIG
def serve(path: Path) -> None:
    """Open the desk in a browser, on loopback only; prints a link that works once."""
    conf = load_desk_config(path, _variables(os.environ))
    quiet_logs()
    identities = keyfiles.identities(conf.identities)
    desk = Desk(conf, identities, keyfiles.signing_key(conf.signing_key), load_phrases(ROOT / "content"))
    demo = DEMONSTRATION in identities
    with open_desk(desk):
        make = partial(factory.create_app, desk, demo=demo)
        server = factory.listen(conf.bind, lambda link: click.echo(f"Open this link; it works once: {link}"), make)
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
    """Take envelopes that a site posts, into the inbox; holds no identity."""
    conf = load_desk_config(path, os.environ)
    if conf.receive is None:
        raise ConfigError(("[receive] bind: is missing; write the address to listen at, and a token_file",))
    quiet_logs()
    conf.inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    _serve_receiving(conf.receive, EnvelopeReceiver(conf.inbox, conf.store, token=conf.receive.token))


@cli.group("journal")
def journal_group() -> None:
    """What was done, by whom."""


@journal_group.command("verify")
@_CONFIG
def journal_verify(path: Path) -> None:
    """Find any change of the journal; prints how many lines it has and the last one's hash, to be noted elsewhere."""
    conf = load_desk_config(path, os.environ)
    count, last = verify_journal(conf.store, keyfiles.signing_key(conf.signing_key).public_key())
    click.echo(f"{count} lines, unchanged; the last is {last}")


@cli.command()
@_CONFIG
def rekey(path: Path) -> None:
    """Seal everything in the store to the first identity of desk.toml; the others only open what was."""
    conf = load_desk_config(path, os.environ)
    identities = keyfiles.identities(conf.identities)
    store = SealedStore(conf.store, identities)
    with store.locked():
        cases = Cases(store, Journal(conf.store, keyfiles.signing_key(conf.signing_key), clock=now), identities)
        work = Job("Sealing anew")
        cases.reseal(work)
    click.echo(f"{work.done} items are sealed to {recipient_of(identities[0])[:24]}… now")


@cli.command()
@_CONFIG
def status(path: Path) -> None:
    """Tell what waits and whose key expires within six weeks; ends with 1 where somebody must act."""
    lines, acts = tell(load_desk_config(path, os.environ))
    for line in lines:
        click.echo(line)
    sys.exit(1 if acts else 0)


def _serve_receiving(conf: ReceiverConfig, taker: WSGIApplication) -> None:
    from granian import Granian  # noqa: PLC0415  # only this command needs it
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415

    Granian(
        "haumaru-desk",
        address=conf.bind.host,
        port=conf.bind.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=32,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        ssl_cert=conf.cert,
        ssl_key=conf.key,
        ssl_ca=conf.client_ca,
        ssl_client_verify=conf.client_ca is not None,
    ).serve(target_loader=lambda: taker, wrap_loader=False)


def _try(path: Path, job: partial[None]) -> bool:
    name = click.format_filename(path.name)
    try:
        job()
    except HaumaruError as error:
        click.echo(f"haumaru-desk: {name} does not open ({error.code}); set it aside", err=True)
    except FileExistsError:
        click.echo(f"haumaru-desk: {name} was unpacked there before; choose another folder", err=True)
    except OSError:
        click.echo(f"haumaru-desk: {name} cannot be read; look at the file", err=True)
    else:
        return True
    return False


def _open_one(path: Path, identities: tuple[Identity, ...], folder: Path | None, signer: bytes | None) -> None:
    one = open_tip_or_referral(path, identities)
    if isinstance(one, Tip) and one.decoy:
        return
    if isinstance(one, Referral):
        _check_signer(one, signer)
    if folder is not None:
        unpack_to_folder(one, folder)
    else:
        click.echo((referral_json(one) if isinstance(one, Referral) else tip_to_json(one)).decode())


def _check_signer(one: Referral, signer: bytes | None) -> None:
    if signer is not None:
        require_signer(one, signer)
        return
    click.echo(
        f"haumaru-desk: {one.reference} is signed, but anyone can sign; give the desk's own key with --signer", err=True
    )


def _signer(text: str | None) -> bytes | None:
    try:
        return None if text is None else parse_public_key(text)
    except ValueError:
        raise click.UsageError("--signer is not a public key in base64") from None


def _variables(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with `DESK_PORT`, if it is set, said as our own variable."""
    port = env.get("DESK_PORT")
    return {**env, **({"HAUMARU_DESK_BIND": f"127.0.0.1:{port}"} if port else {})}


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run `haumaru-desk`."""
    process.run(cli, "haumaru-desk")


if __name__ == "__main__":
    main()
