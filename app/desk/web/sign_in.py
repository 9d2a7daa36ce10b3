"""Signing in at a seat: first the passphrase, then the security key; and the page behind a one-time link.

No answer says whether a seat of a name exists: a wrong name, a wrong passphrase and a closed seat get the same page
after the same time. A challenge is used once, whether or not its answer is right.
"""

import secrets

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.errors import RefusedError
from app.desk.seat import PassphraseVerifier, Seat, SecurityKey
from app.desk.web.context import render_page
from app.desk.web.roles import home_url_of
from app.desk.web.seat_sessions import BROWSER_COOKIE, SIGN_IN_COOKIE, PendingSignIn, current_seat_sessions
from app.desk.web.session import require_own_origin

_BROWSER_SECONDS = 180 * 86_400
_WRONG = "The name or the passphrase is wrong. Try again."
_CHANGED = "Your passphrase is changed. All other sessions of your seat have ended."
_WHY = {
    "idle": "The desk locked, because nobody used it for 15 minutes. Sign in again to see the same page.",
    "session": "You are signed out.",
    "seat-ended": "Your session ended, because your seat was changed. Sign in again, or ask a supervisor.",
}

blueprint = Blueprint("sign_in", __name__)


@blueprint.get("/sign-in")
def show() -> AnyResponse:
    """Ask for a name and a passphrase."""
    return _sign_in_page(_WHY.get(request.args.get("why", ""), ""))


@blueprint.post("/sign-in")
def check_passphrase() -> AnyResponse:
    """Compare the passphrase, then ask for the key."""
    require_own_origin()
    sessions, name = current_seat_sessions(), request.form.get("name", "")[:200]
    seat = sessions.seats.named(name)
    if wait := sessions.tries.wait(name, seat, *where_from()):
        return _sign_in_page(_wait_sentence(wait), 429)
    is_right = sessions.passphrases.matches(request.form.get("passphrase", ""), seat.verifier if seat else None)
    if not (is_right and seat and seat.in_use):
        sessions.tries.note_wrong(name, seat, *where_from())
        return _sign_in_page(_WRONG, 403)
    return to_key("sign_in.show_key", sessions.begin(seat))


@blueprint.get("/sign-in/key")
def show_key() -> AnyResponse:
    """Ask for the security key of the seat whose passphrase was right."""
    pending = _pending(enrols=False)
    return _key_page(pending) if pending else redirect(url_for("sign_in.show"), 303)


@blueprint.post("/sign-in/key")
def check_key() -> AnyResponse:
    """Check the answer of the key, and start the session."""
    require_own_origin()
    sessions, pending = current_seat_sessions(), _pending(enrols=False)
    if pending is None:
        return redirect(url_for("sign_in.show"), 303)
    seat = pending.seat
    if wait := sessions.tries.wait(seat.name, seat, *where_from()):
        return _sign_in_page(_wait_sentence(wait), 429)
    try:
        key = sessions.keys.finish_sign_in(pending.take_challenge(), seat, request.form.get("answer", ""))
    except RefusedError as error:
        sessions.tries.note_wrong(seat.name, seat, *where_from())
        if error.code != "copied-key":
            return _key_page(pending, error)
        sessions.seats.note_copied_key(seat)
        raise
    sessions.tries.forget(seat.name, seat, *where_from())
    if pending.verifier:
        return _passphrase_changed(pending, pending.verifier, key)
    browser = _browser_secret()
    return _signed_in(sessions.seats.note_sign_in(seat, key, browser), browser)


@blueprint.get("/enrol/<code>")
def show_link(code: str) -> AnyResponse:
    """Show the page of a one-time link: whose seat this is, and the form for a passphrase."""
    return render_page("enrol.html", seat=current_seat_sessions().seats.find_link(code), code=code, problem="")


@blueprint.post("/enrol/<code>")
def choose_passphrase(code: str) -> AnyResponse:
    """Take the passphrase of a new seat, then ask for its key; the link is used up when the key is there."""
    require_own_origin()
    sessions = current_seat_sessions()
    seat = sessions.seats.find_link(code)
    try:
        verifier = sessions.passphrases.new_verifier(read_new_passphrase("passphrase"), seat.name)
    except RefusedError as error:
        return render_page("enrol.html", error.answer, seat=seat, code=code, problem=error.message)
    return to_key("sign_in.show_new_key", sessions.begin(seat, code=code, verifier=verifier))


@blueprint.get("/enrol")
def show_new_key() -> AnyResponse:
    """Ask for a new key of the seat whose passphrase was chosen."""
    pending = _pending(enrols=True)
    return _key_page(pending) if pending else redirect(url_for("sign_in.show"), 303)


@blueprint.post("/enrol")
def keep_new_key() -> AnyResponse:
    """Keep the new key and the passphrase, and start the session."""
    require_own_origin()
    sessions, pending = current_seat_sessions(), _pending(enrols=True)
    if pending is None:
        return redirect(url_for("sign_in.show"), 303)
    try:
        key: SecurityKey = sessions.keys.finish_registration(pending.take_challenge(), request.form.get("answer", ""))
    except RefusedError as error:
        return _key_page(pending, error)
    if pending.verifier is None:
        return _key_added(pending, key)
    browser = _browser_secret()
    return _signed_in(sessions.seats.enrol(pending.code, pending.verifier, key, browser), browser)


def _sign_in_page(problem: str, status: int = 200) -> AnyResponse:
    return render_page("sign_in.html", status, problem=problem, name=request.form.get("name", "")[:200])


def _key_page(pending: PendingSignIn, refusal: RefusedError | None = None) -> AnyResponse:
    """Return the page that asks a key: for a new challenge, of the seat as the seat is now."""
    sessions = current_seat_sessions()
    seat = sessions.seats.get(pending.seat.id)
    if seat.version != pending.seat.version:
        raise RefusedError("seat-changed")
    pending.seat = seat
    enrols = pending.registers
    challenge = sessions.keys.begin_registration(seat) if enrols else sessions.keys.begin_sign_in(seat)
    return render_page(
        "security_key.html",
        refusal.answer if refusal else 200,
        options=pending.ask(challenge),
        enrols=enrols,
        changes=bool(pending.verifier) and not enrols,
        problem=refusal.message if refusal else "",
    )


def _pending(*, enrols: bool) -> PendingSignIn | None:
    pending = current_seat_sessions().pending(request.cookies.get(SIGN_IN_COOKIE, ""))
    return pending if pending and pending.registers is enrols else None


def to_key(endpoint: str, cookie: str) -> AnyResponse:
    """Return the answer that leads to the page of a key."""
    answer = redirect(url_for(endpoint), 303)
    answer.set_cookie(SIGN_IN_COOKIE, cookie, **current_seat_sessions().cookie_options)
    return answer


def _signed_in(seat: Seat, browser: str, *, url: str = "", notice: str = "") -> AnyResponse:
    """Return the answer that starts a session: at `url`, or where this person was, or where the role begins."""
    sessions = current_seat_sessions()
    pending, former = request.cookies.get(SIGN_IN_COOKIE, ""), request.cookies.get(sessions.cookie_name, "")
    notice = notice or _strangers_sentence(sessions.tries.strangers(seat.name))
    cookie = sessions.sign_in(seat, pending, former, notice=notice)
    answer = redirect(url or sessions.take_last_page(seat.name) or home_url_of(seat.role), 303)
    answer.set_cookie(sessions.cookie_name, cookie, **sessions.cookie_options)
    answer.set_cookie(BROWSER_COOKIE, browser, max_age=_BROWSER_SECONDS, **sessions.cookie_options)
    answer.delete_cookie(SIGN_IN_COOKIE, **sessions.cookie_options)
    return answer


def _passphrase_changed(pending: PendingSignIn, verifier: PassphraseVerifier, key: SecurityKey) -> AnyResponse:
    """Keep the new passphrase of somebody who is still signed in at the same seat, and go on in a session of its own.

    Every other session of the seat ends, and so does this browser's session of before.
    """
    _require_session_of(pending)
    browser = _browser_secret()
    seat = current_seat_sessions().seats.change_passphrase(pending.seat, verifier, key, browser)
    return _signed_in(seat, browser, url=url_for("seats.show_own"), notice=_CHANGED)


def _require_session_of(pending: PendingSignIn) -> None:
    """Raise RefusedError `signed-out` unless the person of a pending change is still signed in here."""
    sessions = current_seat_sessions()
    session = sessions.get(request.cookies.get(sessions.cookie_name, ""))
    if session is None or session.seat is None or session.seat.id != pending.seat.id:
        raise RefusedError("signed-out")


def _key_added(pending: PendingSignIn, key: SecurityKey) -> AnyResponse:
    """Keep a further key of somebody who is still signed in at the same seat."""
    sessions = current_seat_sessions()
    _require_session_of(pending)
    sessions.seats.add_key(pending.seat, key)
    answer = redirect(url_for("seats.show_own"), 303)
    answer.delete_cookie(SIGN_IN_COOKIE, **sessions.cookie_options)
    return answer


def read_new_passphrase(field: str) -> str:
    """Return a new passphrase that was typed twice, first in `field`; raises RefusedError `passphrase-again`."""
    passphrase = request.form.get(field, "")
    if passphrase != request.form.get("again", ""):
        raise RefusedError("passphrase-again")
    return passphrase


def where_from() -> tuple[str, str]:
    """Return the secret of this browser, if any, and its address, for the count of wrong tries."""
    return request.cookies.get(BROWSER_COOKIE, "")[:100], request.remote_addr or ""


def _browser_secret() -> str:
    return secrets.token_urlsafe(32)


def _strangers_sentence(count: int) -> str:
    if not count:
        return ""
    tries = "was one wrong try" if count == 1 else f"were {count} wrong tries"
    return f"There {tries} with your name in a new browser within an hour. If that was not you, tell a supervisor."


def _wait_sentence(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return f"There were too many wrong tries. Wait {minutes} minute{'' if minutes == 1 else 's'}, then try again."
