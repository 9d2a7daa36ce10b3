"""Several agencies: which one gets a report, and what of their keys anybody can compare."""

import hashlib

from app.site import demo
from app.site.agencies import choose_agency
from app.site.config import load_config
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
