"""The public door: the commands of `haumaru`, which read the configuration and hand it on as arguments.

    serve      the site alone            status     what waits, and what an operator must do
    forward    deliver the outbox        build      catalogues, sheets, a check of every page
    check      every fault, its mend     demo       all of it, on loopback, with keys of its own

No code that opens a tip is reachable from here.
"""

import gc
import json
import multiprocessing
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from wsgiref.types import WSGIApplication

import click

from app.core import process
from app.core.log import log, quiet_logs
from app.site import demo, factory, preflight
from app.site.config import Config, load_config
from app.site.status import read_status

# Connections that a worker holds at once; one that is idle or slow costs it some memory and no thread.
_CONNECTIONS = 4096
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
    """Serve the site; refuses to start on a faulty configuration."""
    _serve(load_config(path, os.environ))


@cli.command()
@_CONFIG
@click.option("--once", is_flag=True, help="Deliver all that waits now, without decoys, and end.")
def forward(path: Path, *, once: bool) -> None:
    """Deliver what is in the outbox, window by window."""
    process.close_the_shutters()
    quiet_logs()
    config = load_config(path, os.environ)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    forwarder = factory.build_forwarder(config)
    if once:
        for outcome in forwarder.run_once():
            code = f" ({outcome.code})" if outcome.code else ""
            click.echo(f"{outcome.agency}: {outcome.delivered} delivered, {outcome.waiting} left{code}")
    else:
        forwarder.run(stop)


@cli.command()
@_CONFIG
def check(path: Path) -> None:
    """Tell every fault of the configuration and the machine, each with its mend."""
    findings = preflight.check(path, os.environ)
    for finding in findings:
        click.echo(str(finding))
    faults = sum(finding.fault for finding in findings)
    click.echo(f"{faults} faults, {len(findings) - faults} warnings")
    sys.exit(1 if faults else 0)


@cli.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="For a monitor.")
def status(path: Path, *, as_json: bool) -> None:
    """Tell what waits for each agency; ends with 1 where an operator must act."""
    report = read_status(load_config(path, os.environ))
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else report.as_text())
    sys.exit(1 if report.actions_needed else 0)


@cli.command()
@click.option("-o", "folder", type=click.Path(path_type=Path), default="instance/sheets", help="Where PDFs go.")
def build(folder: Path) -> None:
    """Make the catalogues and the sheets anew, and render every page once."""
    for line in demo.build_outputs(folder):
        click.echo(line)


@cli.command("demo")
def demonstrate() -> None:
    """Start the site and its forwarder on loopback, with an agency of its own under instance/demo/."""
    path = demo.prepare(Path("instance/demo"))
    config = load_config(path, demo.variables(os.environ))
    with demo.forwarding(path):
        click.echo(demo.welcome(config))
        _serve(config)


def _serve(config: Config) -> None:
    from granian import Granian  # noqa: PLC0415  # only this command needs a server
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415

    process.close_the_shutters()
    process.open_files(2 * _CONNECTIONS)
    quiet_logs()
    # What was rendered is shared with the workers by forking, which is not the default everywhere.
    multiprocessing.set_start_method("fork")
    prerendered = factory.prerender_site(config)
    # So that the workers' garbage collectors do not write to what they share (docs.python.org, gc.freeze).
    gc.collect()
    gc.freeze()
    for warning in preflight.host_warnings(config):
        log.warning("%s", warning)
    server = config.server
    log.info("serving on %s:%s", server.host, server.port)
    Granian(
        "haumaru",
        address=server.host,
        port=server.port,
        interface=Interfaces.WSGI,
        workers=server.workers,
        blocking_threads=server.threads,
        backpressure=_CONNECTIONS,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        # What is acknowledged is on the disk: a worker that does not end may be ended.
        workers_kill_timeout=10,
    ).serve(target_loader=partial(_worker, prerendered), wrap_loader=False)


def _worker(prerendered: factory.Prerendered) -> WSGIApplication:
    process.close_the_shutters()
    process.work_in_turns()
    quiet_logs()
    return factory.build_site(prerendered)


def main() -> None:
    """Run `haumaru`."""
    process.run(cli, "haumaru")


if __name__ == "__main__":
    main()
