"""The site's processes: one makes every page that never changes, its workers answer, each on processors of its own.

The workers take connections from one socket. A connection that comes while a worker's processor is busy is taken by the
worker whose processor is free, since batch scheduling lets the busy worker look for connections only later. Sockets of
their own, which are Granian's way on Linux, get connections by chance, and then one processor idles while the other has
all the work. If a worker dies, connections that nobody has taken yet wait for another.
"""

import gc
import multiprocessing
import os
import socket
from functools import partial
from typing import Any, cast
from wsgiref.types import WSGIApplication

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.server import MPServer

from app.core import process
from app.core.log import log, quiet_logs
from app.site import preflight
from app.site.config import Config
from app.site.factory import Prerendered, build_site, prerender_site

# Connections that one worker holds at once; an idle or slow connection costs some memory and no thread.
_CONNECTIONS = 4096


def serve_site(config: Config) -> None:
    """Serve the site at its address until the process is told to end; raises OSError where the address is taken."""
    process.harden_process()
    process.raise_open_file_limit(2 * _CONNECTIONS)
    quiet_logs(at_once=config.site.demo)
    server = config.server
    listener = _bind(server.host, server.port)
    # Workers share the rendered pages by forking, which is not the default start method everywhere.
    multiprocessing.set_start_method("fork")
    prerendered = prerender_site(config)
    # The garbage collectors of the workers then do not write to the shared pages (docs.python.org, gc.freeze).
    gc.collect()
    gc.freeze()
    for warning in (*preflight.host_warnings(config), *preflight.outcome_faults(config)):
        log.warning("%s", warning)
    log.info("serving on %s:%s", server.host, server.port)
    _SharedSocketServer(
        listener,
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
        # Every acknowledged tip is on the disk, so a worker that does not end may be killed.
        workers_kill_timeout=10,
    ).serve(target_loader=partial(_build_worker, prerendered), wrap_loader=False)


class _SharedSocketServer(MPServer):
    """Granian, with one socket at which all workers listen, each of which is told its number, from 0."""

    def __init__(self, listener: socket.socket, **settings: Any) -> None:
        super().__init__("haumaru", **settings)
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._ssp, self._sso = None, self._listener
        self._shd = cast("Any", SocketHolder)(self._listener.fileno(), False, self.backlog)

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Any, *more: Any) -> Any:
        return super()._spawn_worker(idx, target, partial(callback_loader, idx), *more)


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that has the address; connections are refused until a worker listens."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((host, port))
    return listener


def _build_worker(prerendered: Prerendered, number: int) -> WSGIApplication:
    process.harden_process()
    process.use_batch_scheduling()
    process.return_memory_at_once()
    quiet_logs()
    site = build_site(prerendered)
    # What was built lasts as long as the process: no collection looks through it again.
    gc.collect()
    gc.freeze()
    # Last, since the site counts the processors on which it may clean files.
    process.use_processors(share_of_processors(os.sched_getaffinity(0), prerendered.config.server.workers, number))
    return site


def share_of_processors(processors: set[int], workers: int, number: int) -> set[int]:
    """Return the processors of one of several workers, numbered from 0: an even share, and one at least."""
    return set(sorted(processors)[number % len(processors) :: workers])
