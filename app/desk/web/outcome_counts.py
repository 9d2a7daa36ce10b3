"""The page of the figures that an agency publishes: what the file would say, and the button that saves the file.

To look changes nothing. To save keeps the figures for good and is journaled, so that it is a POST.
"""

from flask import Blueprint
from werkzeug.wrappers import Response as AnyResponse

from app.desk.case_fields import REASONS
from app.desk.errors import RefusedError
from app.desk.labels import KIND_LABELS
from app.desk.outcome_counts import OutcomeCounts
from app.desk.web.context import current_desk, current_handler, file_to_save, render_page
from app.vault.published_outcomes import LAG_MONTHS, SMALLEST, Figure

blueprint = Blueprint("outcome_counts", __name__)


@blueprint.get("/figures/outcomes")
def show_outcomes() -> AnyResponse:
    """Show the figures that the file would have, or the sentence why there are none yet."""
    try:
        outcomes, sentence = _counts().preview(), ""
    except RefusedError as error:
        outcomes, sentence = None, error.message
    return render_page(
        "outcomes.html",
        outcomes=outcomes,
        sentence=sentence,
        figure=figure_text,
        reason_names=REASONS,
        kind_names=KIND_LABELS,
        lag=LAG_MONTHS,
        smallest=SMALLEST,
    )


@blueprint.post("/figures/outcomes.json")
def save_outcomes() -> AnyResponse:
    """Keep the figures for good and hand the signed file over."""
    return file_to_save(_counts().publish(current_handler()), "outcomes.json", "application/json")


def figure_text(figure: Figure) -> str:
    """Return what stands in a table for a figure."""
    return f"fewer than {SMALLEST}" if figure is None else f"{figure:,}"


def _counts() -> OutcomeCounts:
    counts = current_desk().outcome_counts
    if counts is None:
        raise RefusedError("no-agency")
    return counts
