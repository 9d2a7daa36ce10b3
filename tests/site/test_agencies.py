"""Several agencies: which one gets a report, and what of their keys anybody can compare."""

import hashlib
from time import time

from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.site import demo
from app.site.agencies import choose_agency
from app.site.config import load_config
from app.site.factory import build_forwarder
from app.vault.age import ENVELOPE_BYTES
from app.vault.age_open import unseal
from app.vault.tip_bundles import read_words
from tests.support.two_agencies import FIRST, SECOND, TwoAgencies
from tests.support.visit import open_site


def test_the_keys_are_published_with_their_fingerprints(tmp_path):
    """`/keys.txt` has each key below a line with the digits that `haumaru-desk keygen` printed."""
    lines = open_site(tmp_path).get("/keys.txt").response.text.splitlines()
    (recipient,) = (line for line in lines if line.startswith("age1pq1"))
    fingerprint = lines[lines.index(recipient) - 1].removeprefix("# fingerprint: ")
    assert fingerprint.replace(" ", "") == hashlib.sha256(recipient.encode()).hexdigest()[:32]


def test_a_report_goes_to_the_first_agency_that_is_not_left_out(tmp_path):
    """Nobody is chosen where everybody is left out, and an id that no agency has leaves nobody out."""
    (agency,) = load_config(demo.prepare_folder(tmp_path), {}).agencies
    assert choose_agency([agency], ()) == agency
    assert choose_agency([agency], ("elsewhere",)) == agency
    assert choose_agency([agency], (agency.id,)) is None


def test_each_agency_gets_as_many_envelopes_of_one_length_and_opens_only_its_own(tmp_path):
    """The forwarder fills a stock for both, delivers as many to each, and the report is among one agency's alone."""
    two = TwoAgencies(tmp_path)
    form = two.site.get("/en/report")
    checked = two.post("/en/report", form, "check", what="about the first", without=FIRST)
    two.post("/en/report", checked, "send")
    config = two.site.prerendered.config
    forwarder, start = build_forwarder(config), int(time()) // config.forward.window * config.forward.window
    for number in range(2):
        forwarder.run_window(start + number * config.forward.window)
    inboxes = {FIRST: tmp_path / "demo" / "inbox", SECOND: tmp_path / "demo" / SECOND}
    found = {agency: [path.read_bytes() for path in inbox.glob("*.age")] for agency, inbox in inboxes.items()}
    assert {len(each) for each in found.values()} == {2 * config.forward.cells}
    assert {len(data) for each in found.values() for data in each} == {ENVELOPE_BYTES}
    said = {}
    for agency, sealed in found.items():
        tips = [read_words(unseal(data, [two.identities[agency]])).tip for data in sealed]
        said[agency] = [tip.answers["what"] for tip in tips if not tip.decoy]
    assert said == {FIRST: [], SECOND: ["about the first"]}
    leases = Leases(Outbox(config.outbox_url).database)
    assert {len(leases.waiting(agency)) for agency in inboxes} == {config.forward.stock}
