"""The thread with a sender: write a reply, be warned of what could harm its reader, send it."""

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from app.core.unicode import clean_text
from app.desk.case import State
from app.desk.errors import RefusedError
from app.desk.replies import reply_warnings, write_reply
from app.desk.service import Desk
from app.desk.web.app import get, go, page, post, who


class ReplyingPages:
    """The thread with a sender: write a reply, be warned of what could harm its reader, send it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @get("/tips/<tip>/reply")
    def thread(self, tip: str) -> AnyResponse:
        """The thread, and a place to write."""
        case = self._desk.cases.get(tip)
        if case.state is State.OBJECTIONABLE:
            raise RefusedError("objectionable")
        return page("reply.html", case=case, text="", warnings=(), problem="")

    @post("/tips/<tip>/reply")
    def reply(self, tip: str) -> AnyResponse:
        """Check a reply, then seal and post it; with a warning, only when asked a second time."""
        case = self._desk.cases.get(tip)
        text = clean_text(request.form.get("text", ""))
        try:
            found = reply_warnings(text)
            if not found or request.form.get("sure") == "yes":
                write_reply(self._desk.cases, case, who(), text, self._desk.config.site)
                return go(f"/tips/{tip}/reply", "The reply is sealed and on its way to the site.")
        except RefusedError as error:
            return page("reply.html", error.answer, case=case, text=text, warnings=(), problem=error.message)
        return page("reply.html", 422, case=case, text=text, warnings=found, problem="")
