"""Builds the desk's web application from its blueprints, and serves it on loopback or on a network.

The server logs no request, names no software, and drops a connection that is silent for a minute.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, make_server

from app.desk.arrival_notice import find_shown
from app.desk.asking import question_states, questions_by_topic, warned_replies
from app.desk.authority_questions import question_state
from app.desk.case import Case
from app.desk.case_fields import OUTCOMES, REASONS, State
from app.desk.common_details import DETAIL_LABELS
from app.desk.config import HostConfig, ListenAddress
from app.desk.journal import JournalEntry
from app.desk.journal_labels import details_label
from app.desk.labels import (
    AUTHORITY_KIND_LABELS,
    KIND_LABELS,
    QUESTION_STATE_LABELS,
    ROLE_LABELS,
    STATE_LABELS,
    VIEW_LABELS,
    WITHDRAWAL_LABELS,
    action_label,
    ago_label,
    answer_label,
    backers_label,
    days_label,
    fault_label,
    hazards_label,
    news_label,
    sent_label,
    status_label,
    work_label,
)
from app.desk.language_guess import language_name
from app.desk.service import Desk
from app.desk.thread import ThreadMessage
from app.desk.web import (
    assignment,
    authority_questions,
    case,
    closing,
    joined_tips,
    outcome_counts,
    presence,
    queue,
    records,
    referral,
    rewording,
    session,
    thread,
    typed,
)
from app.desk.web.app import create_base_app
from app.desk.web.queue_filter import carry_filter
from app.desk.web.session import Sessions
from app.desk.web.tls_server import RequestReader, TlsServer, no_app_yet, tls_context
from app.desk.windows import draft_mark, thread_mark, translation_mark
from app.desk.withdrawal_request import REASONS_DESPITE, is_asked_back, needs_answer
from app.vault.asked_questions import question_text, said_text


def create_app(desk: Desk, sessions: Sessions, *, demo: bool) -> Flask:
    """Return the desk's application with all its pages; `demo` says on each page that it is a demonstration."""
    app = create_base_app(desk, sessions, demo=demo)
    app.jinja_env.globals.update(
        reasons=REASONS,
        reasons_despite=REASONS_DESPITE,
        withdrawal_answers=WITHDRAWAL_LABELS,
        asked_states=QUESTION_STATE_LABELS,
        outcomes=OUTCOMES,
        kinds=KIND_LABELS,
        states=STATE_LABELS,
        view_labels=VIEW_LABELS,
        label=case.field_label,
        question_topics=questions_by_topic(),
        State=State,
        detail_labels=DETAIL_LABELS,
        roles=ROLE_LABELS,
        has_seats=sessions.seats is not None,
    )
    app.jinja_env.filters |= _filters(desk)
    of_tips = (queue, case, thread, typed, presence, assignment, closing, joined_tips, referral, rewording)
    for pages in (session, *of_tips, authority_questions, records, outcome_counts):
        app.register_blueprint(pages.blueprint)
    if sessions.seats is not None:
        _register_seats(app)
    app.url_defaults(carry_filter)
    return app


def _register_seats(app: Flask) -> None:
    # A desk on loopback has no seats, and needs no library for security keys.
    from app.desk.web import seats, sign_in, translation  # noqa: PLC0415

    for pages in (sign_in, seats, translation):
        app.register_blueprint(pages.blueprint)


def _filters(desk: Desk) -> dict[str, Callable[..., Any]]:
    """Return the filters of the templates: words for what a handler reads, and what the desk knows of a case."""
    return {
        "action": action_label,
        "ago": ago_label,
        "answer": answer_label,
        "answer_case": _answer_case(desk),
        "days": days_label,
        "details": _details(desk),
        "fault": fault_label,
        "due": assignment.due_label,
        "given_by": assignment.giver_label,
        "hazards": hazards_label,
        "language_name": language_name,
        "language": lambda case: language_name(desk.queue.language(case)),
        "authority_kind": AUTHORITY_KIND_LABELS.__getitem__,
        "parts_here": desk.cases.parts.count,
        "question": question_text,
        "question_states": question_states,
        "warned_replies": warned_replies,
        "said": said_text,
        "sent": sent_label,
        "status": status_label,
        "translation_mark": translation_mark,
        "draft_mark": draft_mark,
        "thread_mark": thread_mark,
        "work": work_label,
        "asked_state": lambda question, case: str(question_state(desk.cases, case, question)),
        "news": news_label,
        "backers": backers_label,
        "asked_back": lambda case: is_asked_back(case, desk.cases),
        "open_request": lambda case: needs_answer(case, desk.cases),
    }


def _details(desk: Desk) -> Callable[[JournalEntry], str]:
    parties = {**desk.config.authorities, **desk.config.translators}
    names = {name: party.name for name, party in parties.items()}
    return lambda entry: details_label(entry, names)


def _answer_case(desk: Desk) -> Callable[[ThreadMessage], Case | None]:
    """Return what finds the case of a sender's answer by its message; None once it is locked or destroyed."""

    def find(message: ThreadMessage) -> Case | None:
        return find_shown(desk.cases, "" if message.who else message.id)

    return find


def listen(bind: ListenAddress, show_link: Callable[[str], None], build: Callable[[Sessions], Flask]) -> BaseWSGIServer:
    """Return a server that listens and has shown its one-time link; with port 0 the system chooses the port."""
    server = make_server(bind.host, bind.port, no_app_yet, threaded=True, request_handler=RequestReader)
    host = f"[{bind.host}]" if ":" in bind.host else bind.host
    sessions = Sessions(f"http://{host}:{server.server_port}", show_link=show_link)
    server.app = build(sessions)
    _end_idle_sessions(server, sessions)
    sessions.new_link()
    return server


def listen_on_network(
    bind: ListenAddress, host: HostConfig, desk: Desk, build: Callable[[Sessions], Flask]
) -> BaseWSGIServer:
    """Return a server with TLS, whose people sign in at their seats; raises ConfigError for its certificate."""
    # A desk on loopback has no seats, and needs no library for security keys.
    from app.desk.web.seat_sessions import SeatSessions  # noqa: PLC0415

    server = TlsServer(bind, tls_context(host.cert, host.key))
    sessions = SeatSessions(host.name, host.origin, desk.seats)
    server.app = build(sessions)
    _end_idle_sessions(server, sessions)
    return server


def _end_idle_sessions(server: BaseWSGIServer, sessions: Sessions) -> None:
    """Let a server end idle sessions also while no browser asks: the terminal then shows a link without delay."""

    def end_idle() -> None:
        with suppress(OSError):  # a terminal that is gone ends no server
            sessions.end_idle()

    server.service_actions = end_idle  # type: ignore[method-assign]  # socketserver calls this in each of its rounds


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
