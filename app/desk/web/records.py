"""The desk's records: the journal, figures that may be published, and the envelopes that were set aside.

An envelope that did not open is shown with its reason in words; only a handler destroys it.
"""

from collections import Counter

from flask import Blueprint, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app.desk.statistics import StatisticsTable, kept_rows, statistics_tables, tables_to_csv
from app.desk.web.context import current_desk, current_handler, file_to_save, render_page, see_other

_SHOWN_LINES = 200
_SHOWN_ASIDE = 200
_WHY_ASIDE = {
    "no-match": "The envelope is sealed to a key that this desk does not have. Add the identity file, then try again.",
    "file": "This is not a normal file, or the desk is not allowed to read the file.",
    "name": "The id inside the envelope does not match the name of the file.",
    "too-large": "The file is too large to be an envelope.",
    "referral": "This is a referral, not a tip. Open the referral with haumaru-desk verify.",
    "question": "An authority's question that is not in the right form. Ask the authority to make the question anew.",
    "question-long": "An authority's question that is too long. Ask the authority for a shorter question.",
    "question-signature": "A question that looks like an authority's, but its signature is wrong. Do not rely on it.",
    "question-key": "A question under a key that no authority in desk.toml has as question_key. Add the key only if the"
    " authority reads the key to you by voice.",
    "question-expired": "An authority's question under a key that has expired. Ask the authority for its new key.",
    "question-desk": "An authority's question to another desk.",
    "question-day": "An authority's question whose day is more than 30 days ago, or in the future. Ask the authority to"
    " check its clock and to ask again.",
    "question-again": "An authority's question that came before, or that has the id of a question that came before.",
    "question-unknown": "An authority's question about a referral that this desk does not know. Call the authority.",
    "question-case": "An authority's question about a referral that another authority has.",
    "question-ended": "An authority's question about a tip that this desk has destroyed or locked. Tell the authority"
    " that you cannot ask.",
    "question-many": "An authority's question about a tip with twenty questions that wait already. Answer those first.",
    "header": "This is not an envelope, or the envelope is damaged.",
    "mac": "The envelope is damaged: its beginning was changed.",
    "payload": "The envelope is damaged: a part was changed or is missing.",
    "armor": "This is not an envelope, or the envelope is damaged.",
}
_WHY_BUNDLE = "The envelope opened, but the site did not make its contents."

blueprint = Blueprint("records", __name__)


@blueprint.get("/journal")
def show_journal() -> AnyResponse:
    """Show the last lines of the journal, or of the lines about one tip, the newest first."""
    tip = request.args.get("tip", "")[:26]
    entries = [entry for entry in current_desk().journal.entries if not tip or entry.tip == tip]
    return render_page("journal.html", entries=entries[: -_SHOWN_LINES - 1 : -1], total=len(entries), tip=tip)


@blueprint.get("/figures")
def show_figures() -> AnyResponse:
    """Show figures that may be published."""
    return render_page("figures.html", tables=_tables())


@blueprint.get("/figures.csv")
def save_figures() -> AnyResponse:
    """Hand the same figures over as CSV."""
    return file_to_save(tables_to_csv(_tables()).encode(), "figures.csv", "text/csv")


@blueprint.get("/aside")
def show_aside() -> AnyResponse:
    """Show the envelopes that did not open, each with its reason, and how many there are for each reason."""
    aside = current_desk().inbox.set_aside()
    rows = [(tip, code, _WHY_ASIDE.get(code, _WHY_BUNDLE)) for tip, code in aside[:_SHOWN_ASIDE]]
    counts = Counter(code for _, code in aside)
    many = [(code, count, _WHY_ASIDE.get(code, _WHY_BUNDLE)) for code, count in counts.items() if count > 1]
    return render_page("aside.html", rows=rows, many=many, total=len(aside))


@blueprint.post("/aside")
def settle_aside() -> AnyResponse:
    """Try to open one of them again, or destroy it, or destroy all that were set aside for one reason."""
    desk, name = current_desk(), request.form.get("name", "")
    if request.form.get("do") == "destroy-all":
        if request.form.get("sure") != "yes":
            return see_other(
                url_for("records.show_aside"), "Nothing was changed. Tick the box first, then press the button again."
            )
        count = desk.inbox.destroy_all(current_handler(), request.form.get("code", ""))
        return see_other(url_for("records.show_aside"), f"Envelopes destroyed: {count}.")
    if request.form.get("do") == "destroy":
        desk.inbox.destroy(current_handler(), name)
        return see_other(url_for("records.show_aside"), "The envelope is destroyed.")
    desk.inbox.retry(current_handler(), name)
    desk.open_inbox()
    return see_other(
        url_for("records.show_aside"), "The envelope is back in the inbox. The desk will try to open it again."
    )


def _tables() -> list[StatisticsTable]:
    desk = current_desk()
    names = {party.id: party.name for party in desk.config.authorities.values()}
    return statistics_tables(desk.cases.all(), kept_rows(desk.store), names)
