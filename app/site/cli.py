"""The commands of `haumaru`. They read the configuration and pass it on as arguments.

    serve      the site alone              status     what waits, and which actions are needed
    forward    deliver the outbox          build      catalogues, handouts, a check of every page
    check      every fault and remedy      demo       site and forwarder on loopback, with their own keys
    contacts   ask whether each number is still right

No code that opens a tip can be reached from here.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path
from time import time

import click

from app.core import process
from app.core.log import quiet_logs
from app.core.resources import ROOT
from app.delivery.clock import nz_day
from app.site import demo, factory, preflight
from app.site.config import Config, load_config
from app.site.guide.confirmation import confirm_contacts
from app.site.guide.loader import load_library
from app.site.guide.models import ENGLISH, GuideFolders
from app.site.status import read_status

_CONFIG = click.option(
    "--config", "path", type=click.Path(path_type=Path), required=True, help="The configuration: haumaru.toml."
)


@click.group()
@click.version_option(package_name="haumaru", message="%(version)s")
def cli() -> None:
    """Guidance about people trafficking, with an anonymous report form."""


@cli.command()
@_CONFIG
def serve(path: Path) -> None:
    """Run the site. The site does not start while the configuration has a fault."""
    config = load_config(path, os.environ)
    factory.require_schema(config)
    _serve(config)


@cli.command()
@_CONFIG
@click.option("--once", is_flag=True, help="Deliver everything that is stored now, decoys too, and end.")
def forward(path: Path, *, once: bool) -> None:
    """Deliver the envelopes in the outbox, window by window."""
    process.harden_process()
    quiet_logs()
    config = load_config(path, os.environ)
    stop = process.stop_on_signals()
    if once:
        for outcome in factory.build_forwarder(config).run_once():
            code = f" ({outcome.code})" if outcome.code else ""
            click.echo(f"{outcome.agency}: {outcome.delivered} delivered, {outcome.waiting} left{code}")
    elif config.site.demo:
        demo.forward(config, stop, say=click.echo)
    else:
        factory.build_forwarder(config).run(stop)


@cli.command()
@_CONFIG
def check(path: Path) -> None:
    """Print every fault of the configuration and the host, each with its remedy."""
    findings = preflight.check(path, os.environ)
    for finding in findings:
        click.echo(str(finding))
    faults = sum(finding.fault for finding in findings)
    click.echo(f"{faults} faults, {len(findings) - faults} warnings")
    sys.exit(1 if faults else 0)


@cli.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for a monitor.")
def status(path: Path, *, as_json: bool) -> None:
    """Print what waits for each agency. The exit code is 1 if you must act."""
    report = read_status(load_config(path, os.environ))
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else report.as_text())
    sys.exit(1 if report.actions_needed else 0)


@cli.command()
@_CONFIG
def contacts(path: Path) -> None:
    """Ask whether each contact is still right, and write today's date into your own file.

    The exit code is 1 if a contact is wrong.
    """
    config = load_config(path, os.environ)
    folders = GuideFolders(ROOT / "content", config.content)
    found = load_library(folders.program, (ENGLISH,), folders.own).editions[ENGLISH].contacts.values()
    wrong = confirm_contacts(found, folders, nz_day(time()), holds=partial(click.confirm, default=None))
    if wrong:
        click.echo(
            f"Correct {', '.join(wrong)} in {config.content}/contacts.toml (copy rows from content/contacts.toml)."
        )
    sys.exit(1 if wrong else 0)


@cli.command()
@click.option("-o", "folder", type=click.Path(path_type=Path), default="instance/sheets", help="Folder of the PDFs.")
@click.option("--static", "static", type=click.Path(path_type=Path), help="Folder for the guidance pages as files.")
@click.option("--config", "path", type=click.Path(path_type=Path), help="haumaru.toml.")
def build(folder: Path, static: Path | None, path: Path | None) -> None:
    """Make the catalogues and the handouts, and render every page once.

    With --config, the handouts show the address of that site. With --static as well, write the guidance pages as
    files instead, for a proxy or a mirror.
    """
    if static is not None and path is None:
        raise click.UsageError("--static needs --config.")
    config = load_config(path, os.environ) if path else None
    if static is not None and config is not None:
        count = factory.build_static(config, static)
        click.echo(f"{count} files are in {static}; reload the proxy")
        for fault in preflight.outcome_faults(config):
            click.echo(f"haumaru: {fault}", err=True)
        return
    for line in demo.build_outputs(folder, config):
        click.echo(line)


@cli.command("demo")
def run_demo() -> None:
    """Start the site and its forwarder on loopback, with an example agency under instance/demo/."""
    path = demo.prepare_folder(Path("instance/demo"))
    config = load_config(path, demo.environment(os.environ))
    factory.require_schema(config)
    demo.direct_replies(config)
    with demo.run_forwarder(path):
        click.echo(demo.welcome_text(config))
        for warning in demo.warnings(config):
            click.echo(warning)
        _serve(config)


def _serve(config: Config) -> None:
    from app.site.serving import serve_site  # noqa: PLC0415  # only `serve` and `demo` need a server

    serve_site(config)


def main() -> None:
    """Run `haumaru`."""
    process.run_program(cli, "haumaru")


if __name__ == "__main__":
    main()
