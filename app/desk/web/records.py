"""What the desk keeps account of: the journal, figures, what was set aside."""

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from app.desk.service import Desk
from app.desk.statistics import StatisticsTable, kept_rows, statistics_tables, tables_to_csv
from app.desk.web.app import get, go, page, post, who
from app.desk.web.queue import attachment

_LINES = 200
WHY_ASIDE = {
    "no-match": "Sealed to a key that this desk does not hold. Add the identity file, then try again.",
    "name": "The id inside is not the file's name.",
    "too-large": "Larger than any envelope can be.",
    "file": "Not a plain file.",
    "referral": "A referral, not a tip. Open it with haumaru-desk verify.",
    "header": "Not an envelope, or a damaged one.",
    "mac": "A damaged envelope: its header was changed.",
    "payload": "A damaged envelope: it was changed or cut short.",
    "armor": "Not an envelope, or a damaged one.",
}
_WHY_BUNDLE = "It opened, but what is inside was not made by the site."


class BookPages:
    """What the desk keeps account of: the journal, figures, what was set aside."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @get("/journal")
    def journal(self) -> AnyResponse:
        """The last lines of the journal, or all of one tip's."""
        tip = request.args.get("tip", "")[:26]
        entries = [one for one in self._desk.journal.entries if not tip or one.tip == tip]
        return page("journal.html", entries=entries[: -_LINES - 1 : -1], total=len(entries), tip=tip)

    @get("/figures")
    def show_figures(self) -> AnyResponse:
        """Figures that may be published."""
        return page("figures.html", tables=_tables(self._desk))

    @get("/figures.csv")
    def figures_csv(self) -> AnyResponse:
        """The same as CSV."""
        return attachment(tables_to_csv(_tables(self._desk)).encode(), "figures.csv", "text/csv")

    @get("/aside")
    def aside(self) -> AnyResponse:
        """What did not open, each with its reason."""
        rows = [(tip, code, WHY_ASIDE.get(code, _WHY_BUNDLE)) for tip, code in self._desk.inbox.aside()]
        return page("aside.html", rows=rows)

    @post("/aside")
    def settle_aside(self) -> AnyResponse:
        """Try one again, or destroy it."""
        name = request.form.get("name", "")
        if request.form.get("do") == "destroy":
            self._desk.inbox.destroy(who(), name)
            return go("/aside", "Destroyed.")
        self._desk.inbox.retry(who(), name)
        self._desk.take_in()
        return go("/aside", "Back in the inbox; it is being opened again.")


def _tables(desk: Desk) -> list[StatisticsTable]:
    names = {party.id: party.name for party in desk.config.authorities.values()}
    return statistics_tables(desk.cases.all(), kept_rows(desk.store), names)
