"""The command that saves the figures to publish: `haumaru-desk outcomes`.

The command opens the whole store, so it does not run beside an open desk, which has a page for the same.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import click

from app.core.durable import create_once
from app.core.errors import ConfigError
from app.desk.cases import Cases
from app.desk.config import load_desk_config
from app.desk.errors import RefusedError
from app.desk.jobs import Job
from app.desk.journal import DESK, Journal
from app.desk.key_files import read_identities, read_signing_key_file
from app.desk.outcome_counts import OutcomeCounts
from app.desk.store import SealedStore
from app.vault.signature import encode_public_key, public_bytes

_FILE = click.Path(path_type=Path)


@click.command()
@click.option("--config", "path", type=_FILE, required=True, help="The configuration file of the desk, desk.toml.")
@click.option("-o", "target", type=_FILE, required=True, help="The new file. No file of that name may exist yet.")
@click.pass_obj
def outcomes(env: Mapping[str, str], path: Path, target: Path) -> None:
    """Save the figures of what became of reports, signed, for the site to publish.

    The desk must be closed. An open desk has the same on its page Figures. Small figures are hidden, and each figure
    is changed a little. A figure that was saved once never changes.
    """
    if target.exists():
        raise click.UsageError("a file of that name exists already, and nothing was written; choose another name")
    config = load_desk_config(path, env)
    if config.site is None:
        raise ConfigError((f"[site] replies: {RefusedError('no-agency').message}",))
    identities = read_identities(config.identities, env)
    key = read_signing_key_file(config.signing_key, env)
    store = SealedStore(config.store, identities)
    with store.locked():
        cases = Cases(store, Journal(store, key, clock=time.time), identities)
        cases.load(Job("Opening the tips of this desk"))
        create_once(target, OutcomeCounts(cases, key, config.site.agency).publish(DESK))
    # The operator compares the key with the agency's reply_key if the site refuses the file.
    click.echo(f"signed with the key: {encode_public_key(public_bytes(key))}", err=True)
    click.echo(f"The figures are in {click.format_filename(target)}. Give this file to the operator of the site.")
