"""The queue's pages: the list and its filters, claim and give back, export of many, progress of long work.

An export is made in the background, handed over once, and then forgotten.
"""

import secrets
from dataclasses import replace
from typing import Any

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.arrival_notice import notice_arrivals, notice_given
from app.desk.certificate import certificate_sentences
from app.desk.common_details import MAX_COUNTED
from app.desk.day_key_store import DAY_KEYS_FOLDER
from app.desk.errors import RefusedError
from app.desk.export import export_many
from app.desk.health import day_key_sentences, waiting_sentence
from app.desk.jobs import Job, start_job
from app.desk.language_guess import language_name
from app.desk.queue import VIEWS
from app.desk.web.context import current_desk, current_handler, file_to_save, render_page, see_other
from app.desk.web.queue_filter import filter_query, read_filter

_INBOX_JOB = "intake"
_MOST_DIGITS = 9
NOTHING_CHOSEN = "Choose tips first. Tick the box at the start of each row."
_FLAG_LABELS = {
    "danger": "Danger now",
    "children": "Children",
    "translator": "Needs a translator",
    "answerable": "Can be answered",
    "files": "Has files",
    "common": "Same number or firm",
    "mine": "Mine",
    "due": "Due",
}
_SORT_LABELS = {"urgent": "Most urgent first", "newest": "Newest day first", "due": "Earliest due day first"}

blueprint = Blueprint("queue", __name__)


@blueprint.get("/")
def show() -> AnyResponse:
    """Show one page of the queue."""
    desk, filters = current_desk(), read_filter(request.args)
    return render_page(
        "queue.html",
        filters=filters,
        flags=_FLAG_LABELS,
        sorts=_SORT_LABELS,
        languages={code: language_name(code) for code in desk.queue.languages.choices},
        listing=desk.queue.page(filters, current_handler()),
        views=VIEWS,
        most_counted=MAX_COUNTED,
        today=desk.cases.today(),
        link=lambda **changes: url_for("queue.show", **filter_query(replace(filters, **changes))),
        inbox=sum(1 for _ in desk.config.inbox.glob("*.age")),
        deliveries=[
            (waiting_sentence(desk.config, name, count), code)
            for name, (count, code) in desk.waiting_deliveries().items()
            if code
        ],
        expiring=desk.expiring(),
        day_keys=day_key_sentences(
            desk.store.list_names(DAY_KEYS_FOLDER), desk.clock(), damaged=len(desk.day_keys.damaged)
        ),
        certificate=certificate_sentences(desk.config.host, desk.clock()),
        late_statuses=desk.statuses.late_sentence(),
        aside=len(desk.inbox.set_aside()),
    )


@blueprint.get("/arrivals")
def tell_arrivals() -> dict[str, Any]:
    """Return what came in, and what was given to the handler, since a page was shown, for the script of each page.

    `seen` is two numbers joined by a hyphen: the arrivals, and the tips that were given to anybody.
    """
    desk = current_desk()
    arrived, _, given = request.args.get("seen", "").partition("-")
    notices = (
        notice_arrivals(desk.cases, _read_count(arrived)),
        notice_given(desk.assignments, desk.cases, _read_count(given), current_handler()),
    )
    return {
        "seen": "-".join(str(notice.seen) for notice in notices),
        "sentence": " ".join(filter(None, (notice.sentence for notice in notices))),
        "count": sum(notice.count for notice in notices),
        "urgent": any(notice.urgent for notice in notices),
    }


@blueprint.post("/tips/<tip>/claim")
def claim(tip: str) -> AnyResponse:
    """Take a tip to work on, and show it."""
    current_desk().joined.claim(tip, current_handler())
    return see_other(url_for("case.show", tip=tip))


@blueprint.post("/tips/<tip>/release")
def give_back(tip: str) -> AnyResponse:
    """Give a tip back to the queue, or take it from a handler who is away."""
    current_desk().joined.release(tip, current_handler(), force=request.form.get("force") == "yes")
    return see_other(url_for("queue.show"), "The tip is back in the queue.")


@blueprint.post("/export")
def export_chosen() -> AnyResponse:
    """Export every chosen tip into one zip, in the background."""
    tips = request.form.getlist("tip")
    if not tips:
        return see_other(url_for("queue.show"), NOTHING_CHOSEN)
    desk, name, handler = current_desk(), secrets.token_hex(8), current_handler()
    job = desk.jobs[name] = Job("Exporting tips")
    start_job(job, lambda running: export_many(desk.cases, desk.attachments, tips, handler, running))
    return see_other(url_for("queue.show_progress", name=name))


@blueprint.get("/progress/<name>/export.zip")
def save_export(name: str) -> AnyResponse:
    """Hand the finished zip over, once."""
    job = current_desk().jobs.pop(name, None)
    if job is None or not job.result:
        raise RefusedError("gone")
    return file_to_save(job.result, "export.zip", "application/zip")


@blueprint.post("/take-in")
def open_inbox() -> AnyResponse:
    """Open the envelopes that wait in the inbox, in the background."""
    current_desk().open_inbox()
    return see_other(url_for("queue.show_progress", name=_INBOX_JOB))


@blueprint.get("/progress/<name>")
def show_progress(name: str) -> AnyResponse:
    """Show how far some long work is."""
    return render_page(
        "progress.html",
        job=_find_job(name),
        name=name,
        stop_url=url_for("queue.stop_job", name=name),
        look_url=url_for("queue.show_progress", name=name),
    )


@blueprint.post("/progress/<name>/stop")
def stop_job(name: str) -> AnyResponse:
    """Stop some long work after the item in hand."""
    _find_job(name).stop()
    return see_other(
        url_for("queue.show_progress", name=name),
        "The desk will stop after the current tip. Finished tips stay finished.",
    )


def _read_count(untrusted_count: str) -> int:
    is_count = untrusted_count.isascii() and untrusted_count.isdigit() and len(untrusted_count) <= _MOST_DIGITS
    return int(untrusted_count) if is_count else 0


def _find_job(name: str) -> Job:
    desk = current_desk()
    job = desk.opening if name == _INBOX_JOB else desk.jobs.get(name)
    if job is None:
        raise RefusedError("gone")
    return job
