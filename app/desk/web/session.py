"""Coming in and going out: the one-time link, who is working, locking, progress of long work, help."""

from flask import g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.desk.errors import RefusedError
from app.desk.service import Desk
from app.desk.web.app import Sessions, get, go, page, post


class EntryPages:
    """Coming in and going out: the one-time link, who is working, locking, progress of long work, help."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk, self._sessions = desk, sessions

    @get("/enter/<key>")
    def enter(self, key: str) -> AnyResponse:
        """Use up the one-time link; the cookie is for this browser alone and ends with it."""
        cookie = self._sessions.enter(key)
        if cookie is None:
            raise RefusedError("session")
        answer = redirect("/who", 303)
        answer.set_cookie(self._sessions.cookie, cookie, httponly=True, samesite="Strict", path="/")
        return answer

    @get("/who")
    def ask_who(self) -> AnyResponse:
        """Ask who is working."""
        return page("who.html", handlers=self._desk.config.handlers)

    @post("/who")
    def set_who(self) -> AnyResponse:
        """Note who is working."""
        if request.form.get("who") not in self._desk.config.handlers:
            raise RefusedError("handler")
        g.session.who = request.form["who"]
        return go("/")

    @post("/lock")
    def lock(self) -> AnyResponse:
        """End every session; the terminal shows a new link."""
        self._sessions.end()
        g.session = None
        answer = page("locked.html")
        answer.delete_cookie(self._sessions.cookie, path="/")
        return answer

    @post("/keys")
    def keys(self) -> AnyResponse:
        """Turn the one-letter shortcuts on or off for this session."""
        g.session.keys = request.form.get("keys") == "on"
        return go("/help", "Shortcuts are on." if g.session.keys else "Shortcuts are off.")

    @get("/help")
    def show_help(self) -> AnyResponse:
        """The keys, and the rules that matter most."""
        return page("help.html")

    @get("/progress/<name>")
    def progress(self, name: str) -> AnyResponse:
        """How far some long work is."""
        job = self._desk.opening if name == "intake" else self._desk.jobs.get(name)
        if job is None:
            raise RefusedError("gone")
        return page("work.html", work=job, name=name)

    @post("/progress/<name>/stop")
    def stop(self, name: str) -> AnyResponse:
        """Stop some long work after the item in hand."""
        job = self._desk.opening if name == "intake" else self._desk.jobs.get(name)
        if job is None:
            raise RefusedError("gone")
        job.stop()
        return go(f"/progress/{name}", "It stops after the item in hand. What is done stays done.")

    @post("/take-in")
    def take_in(self) -> AnyResponse:
        """Open what waits in the inbox."""
        self._desk.take_in()
        return go("/progress/intake")
