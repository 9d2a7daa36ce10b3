"""The queue's pages: the list and its filters, claim and give back, close or export many at once."""

import secrets
from dataclasses import replace
from urllib.parse import urlencode

from flask import Response, request
from werkzeug.wrappers import Response as AnyResponse

from app.core.errors import HaumaruError
from app.desk.case import Outcome
from app.desk.errors import RefusedError
from app.desk.export import export_many
from app.desk.jobs import Job, start_job
from app.desk.queue import VIEWS, QueueFilter
from app.desk.service import Desk
from app.desk.web.app import get, go, page, post, who
from app.vault.tip import SCHEMA


class QueuePages:
    """The queue's pages: the list and its filters, claim and give back, close or export many at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @get("/")
    def queue(self) -> AnyResponse:
        """One page of the queue."""
        wanted = _wanted()
        listing = self._desk.queue.show(wanted, who())
        waiting = sum(1 for _ in self._desk.config.inbox.glob("*.age"))
        return page(
            "queue.html",
            wanted=wanted,
            listing=listing,
            views=VIEWS,
            today=self._desk.cases.today(),
            link=lambda **changes: "/?" + urlencode(_plain(replace(wanted, **changes))),
            inbox=waiting,
            posts=self._desk.waiting_posts(),
            expiring=self._desk.expiring(),
            aside=len(self._desk.inbox.aside()),
        )

    @post("/tips/<tip>/claim")
    def claim(self, tip: str) -> AnyResponse:
        """Take a tip to work on, and open it."""
        self._desk.cases.claim(tip, who())
        return go(f"/tips/{tip}")

    @post("/tips/<tip>/release")
    def give_back(self, tip: str) -> AnyResponse:
        """Give a tip back to the queue, or take it from somebody who is away."""
        self._desk.cases.release(tip, who(), force=request.form.get("force") == "yes")
        return go("/", "The tip is back in the queue.")

    @post("/close")
    def close_many(self) -> AnyResponse:
        """Close every chosen tip for one reason."""
        reason, done, left = request.form.get("reason", ""), 0, 0
        for tip in request.form.getlist("tip"):
            try:
                self._desk.cases.close(tip, who(), reason, Outcome.UNKNOWN)
                done += 1
            except HaumaruError:
                left += 1
        notice = f"{done} closed." + (f" {left} left: somebody is working on them, or they are closed." if left else "")
        return go("/", notice if done or left else "Choose tips first: the box at the start of each row.")

    @post("/export")
    def export_many(self) -> AnyResponse:
        """Export every chosen tip into one zip, with progress."""
        tips = request.form.getlist("tip")
        if not tips:
            return go("/", "Choose tips first: the box at the start of each row.")
        name, actor = secrets.token_hex(8), who()
        job = self._desk.jobs[name] = Job("Exporting")
        start_job(job, lambda one: export_many(self._desk.cases, self._desk.attachments, tips, actor, one))
        return go(f"/progress/{name}")

    @get("/progress/<name>/export.zip")
    def take_export(self, name: str) -> AnyResponse:
        """Hand the finished zip over, once."""
        job = self._desk.jobs.pop(name, None)
        if job is None or not job.result:
            raise RefusedError("gone")
        return attachment(job.result, "export.zip", "application/zip")


def attachment(data: bytes, name: str, kind: str) -> Response:
    """Bytes for the browser to keep, never to show."""
    return Response(data, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _wanted() -> QueueFilter:
    given = request.args
    view = given.get("view", "open")
    number = given.get("page", "1")
    return QueueFilter(
        view=view if view in VIEWS else "open",
        danger=given.get("danger") == "1",
        children=given.get("children") == "1",
        kind=given.get("kind", "") if given.get("kind", "") in {kind.value for kind in SCHEMA.kinds} else "",
        place=given.get("place", "")[:100].strip(),
        words=given.get("words", "")[:200].strip(),
        mine=given.get("mine") == "1",
        translator=given.get("translator") == "1",
        page=int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1,  # noqa: PLR2004
    )


def _plain(wanted: QueueFilter) -> dict[str, str]:
    flags = {name: "1" for name in ("danger", "children", "mine", "translator") if getattr(wanted, name)}
    texts = {name: getattr(wanted, name) for name in ("kind", "place", "words") if getattr(wanted, name)}
    paging = {"page": str(wanted.page)} if wanted.page > 1 else {}
    return {"view": wanted.view} | flags | texts | paging
