"""The commands for the seats of a desk on a network: `haumaru-desk seat`, at the desk's own machine, the desk closed.

They make the first supervisor, and help where no other supervisor can: in the browser supervisors do the rest. A link
is printed once, and the store keeps only its hash.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from app.core.errors import ConfigError
from app.desk.config import HostConfig, load_desk_config
from app.desk.errors import RefusedError
from app.desk.journal import Journal
from app.desk.key_files import read_identities, read_signing_key_file
from app.desk.labels import ROLE_LABELS, TOO_FEW_COUNT, backers_label
from app.desk.seat import Role, Seat, too_few_count
from app.desk.seats import Seats
from app.desk.store import SealedStore
from app.desk.terminal import escape_line

_CONFIG = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    required=True,
    help="The configuration file of the desk, desk.toml.",
)


@click.group("seat")
def seat_group() -> None:
    """Make and recover the seats of a desk on a network. The desk must be closed."""


@seat_group.command("add")
@_CONFIG
@click.option("--role", type=click.Choice([str(role) for role in Role]), required=True, help="What the person may do.")
@click.argument("name")
@click.pass_obj
def add_seat(env: Mapping[str, str], path: Path, role: str, name: str) -> None:
    """Add a seat for a person, and print the link with which the person begins.

    The link works once, within a day.
    """
    with _opened_seats(path, env) as (host, seats):
        seat, code = seats.add(None, name, Role(role))
        _print_link(host, seat, code)


@seat_group.command("recover")
@_CONFIG
@click.argument("name")
@click.pass_obj
def recover_seat(env: Mapping[str, str], path: Path, name: str) -> None:
    """Take the keys and the passphrase of a seat away, and print a new link.

    Use this command for a supervisor who has lost the security key where there is no other supervisor.
    """
    with _opened_seats(path, env) as (host, seats):
        seat = _named(seats, name)
        _print_link(host, seat, seats.recover(None, seat.id, seat.version))


@seat_group.command("confirm")
@_CONFIG
@click.argument("name")
@click.pass_obj
def confirm_seat(env: Mapping[str, str], path: Path, name: str) -> None:
    """Confirm that a seat is used by the person of this name, so that it counts as one of two people.

    Speak with the person first. Use this command for the first people of a desk where two must release, and where too
    few colleagues are left who could confirm a seat.
    """
    with _opened_seats(path, env) as (_, seats):
        seat = _named(seats, name)
        seats.confirm(None, seat.id, seat.version)
        click.echo(escape_line(f"The seat of {seat.name} counts as one of two people."))


@seat_group.command("list")
@_CONFIG
@click.pass_obj
def list_seats(env: Mapping[str, str], path: Path) -> None:
    """Print the name, the role and the state of each seat, and who stands behind it."""
    with _opened_seats(path, env) as (_, seats):
        for seat in seats.all():
            state = "closed" if seat.disabled else "in use" if seat.in_use else "has not used the link yet"
            waits = ", not confirmed yet" if seat.handles_tips and not seat.counts else ""
            click.echo(escape_line(f"{seat.name}: {ROLE_LABELS[seat.role]}, {state}{waits}. {backers_label(seat)}"))


def warn_of_seats(seats: Seats, release: int) -> None:
    """Say how to make a seat for a supervisor where nobody can sign in as one, or which seats two people need."""
    if too_few_count(seats.all(), release):
        click.echo(TOO_FEW_COUNT)
    if not any(one.supervises or (one.role is Role.SUPERVISOR and one.link) for one in seats.all()):
        click.echo("No supervisor can sign in. Close the desk, then run haumaru-desk seat add --role supervisor NAME")


@contextmanager
def _opened_seats(path: Path, env: Mapping[str, str]) -> Iterator[tuple[HostConfig, Seats]]:
    """Open the store of a closed desk on a network for its seats; raises ConfigError and RefusedError."""
    config = load_desk_config(path, env)
    if config.host is None:
        raise ConfigError(
            ("[desk] host: is missing; seats are for a desk on a network: write host, tls_cert, tls_key",)
        )
    store = SealedStore(config.store, read_identities(config.identities, env))
    key = read_signing_key_file(config.signing_key, env)
    with store.locked():
        yield config.host, Seats(store, Journal(store, key, clock=time.time), key, clock=time.time)


def _named(seats: Seats, name: str) -> Seat:
    seat = seats.named(name)
    if seat is None:
        raise RefusedError("seat-gone")
    return seat


def _print_link(host: HostConfig, seat: Seat, code: str) -> None:
    click.echo(
        escape_line(f"Give this link to {seat.name} alone. It works once, within a day, while the desk is open:")
    )
    click.echo(f"{host.origin}/enrol/{code}")
