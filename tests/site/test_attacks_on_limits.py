"""Attacks on limits through the whole site: what one attacker takes, and that others still send, confirm and read."""

import tempfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import pytest

from app.delivery.receipt_codes import DerivationQueue, derive_keys, new_code
from tests.support.faults import report
from tests.support.honest import addresses, siege
from tests.support.visit import open_site

CIRCUIT = "fc00:dead:beef:4dad:0:ffff:0"
HONEST = "198.51.100.7"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site behind a proxy, shared by tests whose visitors have networks of their own."""
    return behind_a_proxy(tmp_path_factory.mktemp("site"))


def behind_a_proxy(folder, **variables):
    return open_site(folder, ("en",), REPORT_MIN_FILL="0s", SERVER_PROXIES="1", SERVER_WORKERS="1", **variables)


def hidden(answer):
    """The hidden fields of a page, by name."""
    return {e.attrs["name"]: e.attrs["value"] for e in answer.document.all("input") if e.attrs["type"] == "hidden"}


def press(site, address, step, fields=None, **more):
    """The page after a button of `/report` was pressed, with the fields of an earlier page or of a new one."""
    fields = fields or hidden(site.get("/en/report"))
    sent = {**fields, "what": "They keep our papers.", "step": step, **more}
    return site.post("/en/report", sent, X_Forwarded_For=address)


def pressed(site, where, step, **more):
    """How the site answered presses from each of these addresses."""
    return Counter(press(site, address, step, **more).status for address in where)


def test_one_client_with_one_token_does_not_close_the_form(site):
    """Whoever presses a hundred times with one form, faulty or not, sends one report; others check, send and read."""
    fields = hidden(site.get("/en/report"))
    address = f"{CIRCUIT}:1"
    assert pressed(site, [address] * 40, "send", fields=fields, what="") == {422: 40}
    told = pressed(site, [address] * 60, "send", fields=fields)
    assert (told[200], told[409]) == (1, 59)
    for step in ("check", "send"):
        assert pressed(site, [f"{CIRCUIT}:2", HONEST, "2001:db8:1::1"], step) == {200: 3}


def test_a_second_press_of_a_report_that_was_sent_says_so_whatever_waits(tmp_path):
    """With so many words waiting that only first reports come in, a second press still says "already sent"."""
    site = behind_a_proxy(tmp_path, FORWARD_WINDOW="1h", FORWARD_CELLS="1")
    assert pressed(site, addresses(6), "send") == {200: 6}
    fields = hidden(site.get("/en/report"))
    assert [press(site, HONEST, "send", fields).status for _ in range(3)] == [200, 409, 409]
    refused = press(site, HONEST, "send")
    assert refused.status == 429
    assert refused.document.one("textarea", id="what").text == "They keep our papers."
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600
    assert press(site, "198.51.101.7", "send").status == 200


def test_a_held_report_is_confirmed_and_destroyed_whatever_the_limits(tmp_path):
    """A sender whose share is used up, and who finds too many words waiting, confirms or destroys a held report."""
    site = behind_a_proxy(tmp_path, FORWARD_WINDOW="1h", FORWARD_CELLS="2", LIMITS_PER_ADDRESS="2/hour")
    held = [press(site, HONEST, "send", files=(BytesIO(b"a note"), "a.txt")) for _ in range(3)]
    assert [page.status for page in held] == [200, 200, 429]
    assert pressed(site, addresses(12), "send") == {200: 12}
    for page, step in zip(held, ("discard", "confirm"), strict=False):
        assert press(site, HONEST, step, hidden(page)).status == 200


def test_one_48_takes_half_of_the_places_for_codes_at_most(site):
    """While subnets of one /48 ask for replies all at once, some of them are told to come later, and others are not."""
    token = hidden(site.get("/en/reply"))["csrf_token"]
    subnets, told, honest = iter(range(9)), Counter(), []

    def ask(address):
        fields = {"csrf_token": token, "step": "read", "code": new_code()}
        return site.post("/en/reply", fields, X_Forwarded_For=address).status

    def derive(_queue, code):
        # Each request asks for the next one before it ends, until one is refused.
        if not honest:
            subnet = next(subnets, None)
            if subnet is not None:
                told[status := ask(f"2001:db8:48:{subnet:x}::1")] += 1
            if subnet is None or status == 503:
                honest.append(0)
                honest[0] = ask(HONEST)
        return derive_keys(code)

    with patch.object(DerivationQueue, "derive", derive):
        assert ask("2001:db8:48:ffff::1") == 200
    assert 1 <= told[200] <= 3
    assert told[503] == 1
    assert honest == [200]


# How long an honest report waits


@pytest.fixture
def attack():
    """A simulated siege, in memory."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="haumaru-") as folder, siege(Path(folder)) as one:
        yield one


@pytest.mark.parametrize(
    ("hostile", "median", "longest"),
    [
        (addresses(1), 0.5, 0.5),
        ([f"2001:db8:0:{number:x}::1" for number in range(90)], 1, 1.5),
        # Words leave in a random order, so the longest of a few waits varies; 150 sieges had 2.8 hours at most.
        ([f"203.0.113.{number}" for number in range(90)], 1.5, 6),
    ],
    ids=["one address", "a /48", "a /24"],
)
def test_one_attacker_delays_no_honest_report_for_long(attack, hostile, median, longest):
    """Under an address, a /48 or a /24 that sends all it can, each first report of others is taken and leaves soon."""
    found = attack.run(hostile, hours=2, tries=2, rest=6)
    report("the wait of an honest report", hostile=len(hostile), taken=found.taken, longest_hours=found.within(1))
    assert (found.taken, found.refused, found.waiting) == (12, 0, 0)
    assert found.within(0.5) <= median
    assert found.within(1) <= longest
    assert found.most_backlog <= 6 * 16 + 12


def test_a_hundred_addresses_delay_honest_reports_by_hours(attack):
    """Under a hundred addresses each first report of others is taken, and half of those leave within three hours."""
    found = attack.run(addresses(100), hours=4, tries=2, rest=6)
    report("the wait of an honest report", hostile=100, taken=found.taken, median_hours=found.within(0.5))
    assert (found.taken, found.refused, found.waiting) == (24, 0, 0)
    assert found.within(0.5) <= 3


def test_an_hour_of_a_thousand_addresses_shuts_nobody_out(attack):
    """In an hour in which a thousand addresses send, each first report of others is taken, and leaves within a day."""
    found = attack.run(addresses(1000), hours=1, tries=1, rest=14)
    report("the wait of an honest report", hostile=1000, taken=found.taken, median_hours=found.within(0.5))
    assert (found.taken, found.refused, found.waiting) == (6, 0, 0)
    assert found.most_backlog <= 14 * 6 * 16
    assert found.within(1) <= 24
