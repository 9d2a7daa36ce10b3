"""Builds the desk's web application from its rooms, and serves it on loopback."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app.desk.case import OUTCOMES, REASONS, Case, State
from app.desk.config import ListenAddress
from app.desk.language_guess import guess_language, language_name
from app.desk.service import Desk
from app.desk.web import app as web
from app.desk.web.app import Sessions
from app.desk.web.case import ReadingPages, label
from app.desk.web.queue import QueuePages
from app.desk.web.records import BookPages
from app.desk.web.referral import ReferringPages
from app.desk.web.replying import ReplyingPages
from app.desk.web.session import EntryPages
from app.vault.tip import SCHEMA


class _Quiet(WSGIRequestHandler):
    """Keeps no account of requests, names no software, and lets nobody hold a thread for long."""

    timeout = 60

    def version_string(self) -> str:
        """Name no software."""
        return "desk"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def application(desk: Desk, sessions: Sessions, *, demo: bool) -> Flask:
    """The desk's pages."""
    app = web.build(desk, sessions, demo=demo)
    app.jinja_env.globals.update(
        reasons=REASONS,
        outcomes=OUTCOMES,
        kinds=sorted(kind.value for kind in SCHEMA.kinds),
        label=label,
        State=State,
    )
    app.jinja_env.filters["language"] = _language
    web.add(app, EntryPages(desk, sessions))
    for pages in (QueuePages, ReadingPages, ReferringPages, ReplyingPages, BookPages):
        web.add(app, pages(desk))
    return app


def _language(case: Case) -> str:
    return language_name(guess_language(case.text("what")))


def listen(address: ListenAddress, say: Callable[[str], None], make: Callable[[Sessions], Flask]) -> BaseWSGIServer:
    """A server that listens, and has shown its one-time link; port 0 lets the system choose."""
    server = make_server(
        address.host,
        address.port,
        _not_yet,
        threaded=True,
        request_handler=_Quiet,
    )
    host = f"[{address.host}]" if ":" in address.host else address.host
    sessions = Sessions(f"http://{host}:{server.server_port}", say=say)
    server.app = make(sessions)
    sessions.show_link()
    return server


def _not_yet(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Stand in until the port, and with it the address, is known."""
    raise RuntimeError(environ["PATH_INFO"], start_response)


@contextmanager
def serving(server: BaseWSGIServer) -> Iterator[BaseWSGIServer]:
    """Serve in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
