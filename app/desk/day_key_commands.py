"""The command that makes day keys for the site: `haumaru-desk day-keys`.

The private halves stay in the store; the file for the site has public keys and the desk's signature, so that anybody
may carry the file. No command writes over a file that exists. The object of the command's context is the environment,
which `cli` read.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import click

from app.core.durable import create_once
from app.delivery.clock import nz_day
from app.desk.config import load_desk_config
from app.desk.day_key_store import DayKeyStore
from app.desk.journal import Journal
from app.desk.key_files import read_identities, read_signing_key_file
from app.desk.store import SealedStore
from app.vault.day_keys import MAX_BATCH_DAYS, sign_batch

_FILE = click.Path(path_type=Path)


@click.command("day-keys")
@click.option("--config", "path", type=_FILE, required=True, help="The configuration file of the desk, desk.toml.")
@click.option(
    "-o", "target", type=_FILE, required=True, help="The new file for the site. No file of that name may exist yet."
)
@click.option(
    "--days",
    type=click.IntRange(1, MAX_BATCH_DAYS - 1),
    default=60,
    show_default=True,
    help="For how many days from today on there are keys.",
)
@click.option("--fresh", is_flag=True, help="Make new keys for all days: use this if another person may know a key.")
@click.pass_obj
def day_keys(env: Mapping[str, str], path: Path, target: Path, *, days: int, fresh: bool) -> None:
    """Make a batch of day keys for the site, and sign the batch.

    Close the desk first. Give the file to the site's operator, who names the file in haumaru.toml: [[agency]] day_keys.
    The desk destroys the key of each day 30 days later.
    """
    if target.exists():
        raise click.UsageError("a file of that name exists already, and nothing was made; choose another name")
    config = load_desk_config(path, env)
    identities = read_identities(config.identities, env)
    key = read_signing_key_file(config.signing_key, env)
    store = SealedStore(config.store, identities)
    with store.locked():
        journal = Journal(store, key, clock=time.time)
        keys = DayKeyStore(store, journal, identities, lambda: nz_day(time.time()))
        batch = keys.make_batch(days, fresh=fresh)
        create_once(target, sign_batch(batch, key))
    click.echo(f"Day keys from {batch.first} to {batch.last}. Number of the batch: {batch.number}")
