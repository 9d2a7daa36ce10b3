"""A site whose reports can go to two agencies, each with a key of its own."""

from dataclasses import dataclass, field
from pathlib import Path

from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.site import demo
from app.vault.age_open import unseal
from app.vault.keys import Identity, new_identity, recipient_of
from app.vault.tip_bundles import Words, read_words
from tests.support.visit import Visit, Visitor, open_site

FIRST, SECOND = "example", "police"
NAMES = {FIRST: "Labour Inspectorate", SECOND: "Port Police"}
_TABLE = """
[[agency]]
id = "{id}"
name = "{name}"
reads = "Sundays"
recipients = ["{recipient}"]
expires = 2099-11-30
deliver = "drop:{id}"
"""


@dataclass
class TwoAgencies:
    """The site, and each agency's identity."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identities: dict[str, Identity] = {agency: new_identity() for agency in NAMES}
        path = demo.prepare_folder(self.folder / "demo")
        (self.folder / "demo" / SECOND).mkdir()
        second = _TABLE.format(id=SECOND, name=NAMES[SECOND], recipient=recipient_of(self.identities[SECOND]))
        path.write_text(path.read_text() + second)
        first = {
            "SITE_DEMO": "false",
            "SITE_NAME": "Haumaru",
            "REPORT_AGENCIES": f"{FIRST},{SECOND}",
            "REPORT_MIN_FILL": "0s",
            "LIMITS_PER_ADDRESS": "1000/hour",
            "AGENCY_EXAMPLE_NAME": NAMES[FIRST],
            "AGENCY_EXAMPLE_RECIPIENTS": recipient_of(self.identities[FIRST]),
        }
        self._variables = {**first, **self.variables}
        self.site: Visitor = open_site(self.folder, ("en",), **self._variables)

    def restart(self, **variables: str) -> None:
        """Start the same site with other values of some keys."""
        root = self.folder / "root"
        self.site = open_site(self.folder, root=root, **{**self._variables, **variables})

    def post(self, path: str, page: Visit, step: str, **fields: object) -> Visit:
        """The page after a button of the form on a page was pressed, its hidden fields sent along."""
        return self.site.post(path, {**hidden(page), "step": step, **fields})

    def waiting(self, agency: str) -> list[Words]:
        """The words, decoys among them, that lie in the outbox for an agency, opened with the agency's own key."""
        leases = Leases(Outbox(self.site.prerendered.config.outbox_url).database)
        bundles = [unseal(leases.load(one), [self.identities[agency]]) for one in leases.waiting(agency)]
        return [read_words(each) for each in bundles if b"tip.json" in each[:60]]

    def texts(self, agency: str) -> list[str]:
        """What the tips for an agency say, decoys left out."""
        return [str(each.tip.answers["what"]) for each in self.waiting(agency) if not each.tip.decoy]


def hidden(page: Visit) -> dict[str, list[str]]:
    """The hidden fields on a page, with all values of each name."""
    found: dict[str, list[str]] = {}
    for each in page.document.all("input", type="hidden"):
        found.setdefault(each.attrs["name"], []).append(each.attrs["value"])
    return found
