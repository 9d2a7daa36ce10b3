"""Who may do what at a desk with seats: one table, from each endpoint to its roles.

An endpoint without a row is refused, so a page that somebody adds opens to nobody until it stands here. On loopback
there are no seats, and one person may do everything.
"""

from collections.abc import Mapping
from types import MappingProxyType

from flask import request, url_for

from app.desk.errors import RefusedError
from app.desk.seat import Role
from app.desk.web.context import current_desk, current_session, session_or_none

_EVERYBODY = frozenset(Role)
_STAFF = frozenset({Role.HANDLER, Role.SUPERVISOR})
_SUPERVISOR = frozenset({Role.SUPERVISOR})
_FIGURES = _STAFF | {Role.FIGURES}
_TRANSLATOR = frozenset({Role.TRANSLATOR})
_LOOPBACK = frozenset[Role]()  # no seat: only a desk on loopback has these pages

_NAMES: Mapping[frozenset[Role], str] = {
    _EVERYBODY: """
        session.lock session.stay session.tell_left seats.read_news seats.show_own seats.begin_key
        seats.begin_passphrase
    """,
    _STAFF: """
        session.set_shortcuts session.show_help session.stop_loading
        queue.show queue.tell_arrivals queue.claim queue.give_back queue.export_chosen queue.save_export
        queue.open_inbox queue.show_progress queue.stop_job
        closing.close closing.close_many closing.undo closing.reopen
        case.show case.show_file case.show_print case.save_export case.add_note
        case.save_translation case.set_outcome case.lock_objectionable case.show_thread case.send_reply
        case.ask_questions case.answer_request case.hold_status case.set_silent
        referral.show_draft referral.save_draft referral.show_boxes referral.save_boxes referral.show_redacted_file
        referral.show_preview referral.send referral.send_back referral.hand_to_translator
        records.show_journal records.show_aside records.settle_aside
        outcome_counts.save_outcomes rewording.show rewording.save rewording.watch
        assignment.give assignment.set_due thread.put_ready_text presence.tell presence.leave
        asked.show asked.put asked.decline asked.answer asked.settle_refusal
        joined_tips.join joined_tips.take_apart joined_tips.close_repeats
        seats.confirm
    """,
    _FIGURES: "records.show_figures records.save_figures outcome_counts.show_outcomes",
    _STAFF | _TRANSLATOR: "typed.keep typed.discard",
    _TRANSLATOR: "translation.show_list translation.show translation.save",
    _SUPERVISOR: "seats.show seats.add seats.change seats.end_all asked.confirm",
    _LOOPBACK: "session.enter session.choose_handler session.set_handler",
}
ENDPOINT_ROLES: Mapping[str, frozenset[Role]] = MappingProxyType(
    {name: roles for roles, names in _NAMES.items() for name in names.split()}
)
# Where the person of each role begins.
_HOME = {Role.TRANSLATOR: "translation.show_list", Role.FIGURES: "records.show_figures"}


def require_role() -> None:
    """Raise RefusedError `role` unless the seat of this request may do what the request asks.

    An address that no page has is not refused here: it is not found.
    """
    if request.endpoint is not None and not may(request.endpoint):
        raise RefusedError("role")


def may(endpoint: str) -> bool:
    """Return whether the person of this session may use an endpoint."""
    session = session_or_none()
    if session is None or session.seat is None:
        return session is not None
    return session.seat.role in ENDPOINT_ROLES.get(endpoint, frozenset())


def may_confirm_keys() -> bool:
    """Return whether the person of this session may say that an authority's key was compared by voice."""
    seat = current_session().seat
    return seat is None or seat.role is Role.SUPERVISOR


def require_confirming() -> None:
    """Raise RefusedError `confirm-role` unless the person of this session may say that a key was compared by voice."""
    if not may_confirm_keys():
        raise RefusedError("confirm-role")


def require_two_people(preparer: str = "") -> None:
    """Raise RefusedError unless the seat of this session counts as one of two people, and that of `preparer` too.

    The codes are `not-counted` and `preparer-not-counted`. Where one person is enough, and on loopback, all count.
    """
    desk, seat = current_desk(), current_session().seat
    if seat is None or desk.config.release == 1:
        return
    if not seat.counts:
        raise RefusedError("not-counted")
    other = desk.seats.named(preparer)
    if preparer and not (other and other.counts):
        raise RefusedError("preparer-not-counted")


def home_url() -> str:
    """Return the address of the page where the person of this session begins."""
    session = session_or_none()
    return home_url_of(session.seat.role if session and session.seat else Role.SUPERVISOR)


def home_url_of(role: Role) -> str:
    """Return the address of the page where people of a role begin."""
    return url_for(_HOME.get(role, "queue.show"))
