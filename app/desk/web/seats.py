"""The page of the seats of a desk, for supervisors; of one's own seat; and the news that each person reads once.

A link that works once is shown once, in the answer to the press that made it, and is kept nowhere.
"""

from collections.abc import Sequence

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.errors import RefusedError
from app.desk.labels import TOO_FEW_COUNT
from app.desk.seat import Role, Seat, too_few_count
from app.desk.web.context import current_desk, current_session, render_page, see_other
from app.desk.web.roles import home_url
from app.desk.web.seat_sessions import SeatSessions, current_seat_sessions
from app.desk.web.sign_in import read_new_passphrase, to_key, where_from

_MAX_DIGITS = 9

blueprint = Blueprint("seats", __name__)


@blueprint.get("/seats")
def show() -> AnyResponse:
    """Show every seat, and the forms that change them."""
    return _page()


@blueprint.post("/seats")
def add() -> AnyResponse:
    """Make a seat, and show its one-time link."""
    seats = current_desk().seats
    try:
        seat, code = seats.add(_own_seat(), request.form.get("name", ""), _read_role())
    except RefusedError as error:
        return _page(error)
    return _page(link=_link(code), made=seat)


@blueprint.post("/seats/<seat>")
def change(seat: str) -> AnyResponse:
    """Change one seat, as the button says."""
    seats, by, version = current_desk().seats, _own_seat(), _read_version()
    do, name = request.form.get("do", ""), seats.get(seat).name
    if do in {"disable", "recover"} and request.form.get("sure") != "yes":
        return see_other(url_for("seats.show"), "Nothing was changed. Tick the box first, then press the button again.")
    try:
        if do == "recover":
            return _page(link=_link(seats.recover(by, seat, version)), made=seats.get(seat))
        if do == "role":
            seats.set_role(by, seat, version, _read_role())
        elif do in {"disable", "enable"}:
            seats.set_disabled(by, seat, version, disabled=do == "disable")
    except RefusedError as error:
        return _page(error)
    return see_other(url_for("seats.show"), f"The seat of {name} is changed. Its sessions have ended.")


@blueprint.post("/seats/<seat>/confirm")
def confirm(seat: str) -> AnyResponse:
    """Stand behind the seat of a colleague, once the box says that the two have spoken."""
    seats, url = current_desk().seats, url_for("seats.show_own")
    name = seats.get(seat).name
    if request.form.get("spoken") != "yes":
        return see_other(url, f"Nothing was done. Speak with {name} first, tick the box, then press the button again.")
    try:
        seats.confirm(_own_seat(), seat, _read_version())
    except RefusedError as error:
        return _own_page(error)
    return see_other(url, f"You have confirmed the seat of {name}.")


@blueprint.post("/seats/end-all")
def end_all() -> AnyResponse:
    """End every session, one's own too."""
    current_seat_sessions().end_all()
    return see_other(url_for("sign_in.show", why="session"))


@blueprint.get("/seat")
def show_own() -> AnyResponse:
    """Show one's own seat, its forms, and the colleagues whose seats do not count yet."""
    return _own_page()


@blueprint.post("/seat")
def begin_key() -> AnyResponse:
    """Compare the passphrase again, then ask for a further key: an open browser alone adds none."""
    sessions, seat = current_seat_sessions(), _own_seat()
    try:
        _require_passphrase(sessions, seat)
    except RefusedError as error:
        return _own_page(error)
    return to_key("sign_in.show_new_key", sessions.begin(seat, adds=True))


@blueprint.post("/seat/passphrase")
def begin_passphrase() -> AnyResponse:
    """Compare the present passphrase and look at the new one, then ask for the key: only then it changes."""
    sessions, seat = current_seat_sessions(), _own_seat()
    try:
        _require_passphrase(sessions, seat)
        verifier = sessions.passphrases.new_verifier(_read_other_passphrase(), seat.name)
    except RefusedError as error:
        return _own_page(error)
    return to_key("sign_in.show_key", sessions.begin(seat, verifier=verifier))


@blueprint.post("/news")
def read_news() -> AnyResponse:
    """Note that the person of this seat has read the news."""
    current_desk().seats.forget_news(_own_seat())
    return see_other(home_url())


def _own_page(refusal: RefusedError | None = None) -> AnyResponse:
    """Return the page of one's own seat; where two people release, with the colleagues who wait to be confirmed."""
    desk, seat = current_desk(), _own_seat()
    needs_two = desk.config.release > 1 and seat.handles_tips
    return render_page(
        "own_seat.html",
        refusal.answer if refusal else 200,
        seat=seat,
        problem=refusal.message if refusal else "",
        needs_two=needs_two,
        waiting=[one for one in desk.seats.all() if needs_two and _can_confirm(seat, one)],
    )


def _require_passphrase(sessions: SeatSessions, seat: Seat) -> None:
    """Raise RefusedError `wrong-passphrase` unless the form has the passphrase of a seat, and no wait is on."""
    is_slowed = sessions.tries.wait(seat.name, seat, *where_from()) > 0
    if is_slowed or not sessions.passphrases.matches(request.form.get("passphrase", ""), seat.verifier):
        sessions.tries.note_wrong(seat.name, seat, *where_from())
        raise RefusedError("wrong-passphrase")


def _read_other_passphrase() -> str:
    passphrase = read_new_passphrase("new")
    if passphrase == request.form.get("passphrase", ""):
        raise RefusedError("passphrase-same")
    return passphrase


def _can_confirm(seat: Seat, other: Seat) -> bool:
    waits = other.handles_tips and not other.counts and other.id != seat.id
    return seat.counts and waits and not other.is_backed_by(seat.name)


def _page(refusal: RefusedError | None = None, *, link: str = "", made: Seat | None = None) -> AnyResponse:
    sessions, seats = current_seat_sessions(), current_desk().seats.all()
    return render_page(
        "seats.html",
        refusal.answer if refusal else 200,
        seats=[(one, sessions.count_of(one)) for one in seats],
        link=link,
        made=made,
        problem=refusal.message if refusal else "",
        name=request.form.get("name", "") if refusal else "",
        missing=_missing_seats(seats),
    )


def _missing_seats(seats: Sequence[Seat]) -> list[str]:
    """Return which further seats this desk needs: nobody recovers the only supervisor, or releases alone."""
    sentences = []
    if sum(one.supervises for one in seats) == 1:
        sentences.append("There is one supervisor. Make a second one, who can help if the first one loses the key.")
    release = current_desk().config.release
    if sum(one.handles_tips for one in seats) < release:
        sentences.append("Nothing can leave this desk yet: two people must agree, and only one has a seat for that.")
    elif too_few_count(seats, release):
        sentences.append(TOO_FEW_COUNT)
    return sentences


def _own_seat() -> Seat:
    """Return the seat of this session; the table of roles says who gets here."""
    seat = current_session().seat
    assert seat is not None
    return seat


def _link(code: str) -> str:
    return f"{current_seat_sessions().origin}{url_for('sign_in.show_link', code=code)}"


def _read_role() -> Role:
    untrusted_role = request.form.get("role", "")
    if untrusted_role not in set(Role):
        raise RefusedError("no-role")
    return Role(untrusted_role)


def _read_version() -> int:
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1
