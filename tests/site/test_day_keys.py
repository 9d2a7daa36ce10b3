"""Day keys at the site: everything is sealed to the key of the day alone, and without one the form closes."""

import re
import shutil
import time
from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image

from app.core.errors import ConfigError, EnvelopeError, OutboxError
from app.delivery.clock import nz_day, nz_day_end
from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.site import demo, preflight, status
from app.site.agencies import new_stock_decoy, published_keys
from app.site.config import load_config
from app.site.factory import build_forwarder
from app.vault.age import ENVELOPE_BYTES, STANZAS, read_header
from app.vault.age_open import unseal
from app.vault.bundle import unpack
from app.vault.day_keys import KEEP_DAYS, LOW_DAYS, sign_batch
from app.vault.keys import key_fingerprint, new_identity, recipient_of
from app.vault.tip import new_tip_id
from tests.support.day_keys import KeysOfDays
from tests.support.desk import Office, receive
from tests.support.two_agencies import hidden
from tests.support.visit import open_site

REPORT = "/en/report"
EVERYTHING = re.compile(".*")
CLOSED = "This form is closed at the moment"
DAY, SECONDS = timedelta(days=1), 86_400


@pytest.fixture
def today():
    return nz_day(time.time())


@pytest.fixture
def keys(tmp_path):
    return KeysOfDays(tmp_path / "day-keys.json")


@pytest.fixture
def path(tmp_path):
    return demo.prepare_folder(tmp_path / "demo")


def configured(path, keys, **more):
    return load_config(path, {f"HAUMARU_{name}": value for name, value in (keys.variables() | more).items()})


class Site:
    """A site with day keys, a clock that can be set, and what lies in its outbox."""

    def __init__(self, folder, keys, **more):
        self.now, self.keys = time.time(), keys
        variables = {**keys.variables(), "REPORT_MIN_FILL": "0s", **more}
        self.visitor = open_site(folder, ("en",), clock=lambda: self.now, **variables)
        self.config = self.visitor.prerendered.config

    def look(self, what="Seven men", **more):
        form = hidden(self.visitor.get(REPORT))
        return self.visitor.post(REPORT, {**form, "what": what, "step": "check", **more})

    def step(self, page, name, **more):
        return self.visitor.post(REPORT, {**hidden(page), "step": name, **more})

    def envelopes(self):
        leases = Leases(Outbox(self.config.outbox_url).database)
        return [leases.load(one) for one in leases.waiting("example")]


def opens(envelope, identity):
    try:
        return bool(unseal(envelope, [identity]))
    except EnvelopeError:
        return False


def days_that_open(envelopes, keys):
    """The days whose keys open some envelopes; the agency's own key opens none of them."""
    assert not any(opens(one, keys.identity) for one in envelopes)
    return sorted({day for one in envelopes for day, identity in keys.days.items() if opens(one, identity)})


def photo():
    target = BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(target, "JPEG")
    return BytesIO(target.getvalue())


def test_reports_files_answers_and_decoys_are_sealed_to_the_key_of_the_day_alone(tmp_path, keys, today):
    """Each envelope opens with today's key and with no other, and has the length and stanzas of every envelope."""
    keys.write(today - DAY, 5)
    site = Site(tmp_path, keys)
    sent = site.step(site.look(reply="yes"), "send")
    code = sent.document.one("output", id="receipt-code").text
    held = site.step(site.look(), "send", files=[(photo(), "a.jpg")])
    site.step(held, "confirm")
    page = site.visitor.post("/en/reply", {**hidden(site.visitor.get("/en/reply")), "step": "read", "code": code})
    answer = site.visitor.post("/en/reply", {**hidden(page), "step": "answer", "what": "They moved"})
    assert site.visitor.post("/en/reply", {**hidden(answer), "step": "send"}).status == 200
    said = [unpack(unseal(one, [keys.days[today]]), EVERYTHING) for one in site.envelopes()]
    assert sorted("part.json" in members for members in said) == [False, False, False, True]
    assert recipient_of(keys.days[today]) in site.visitor.get("/keys.txt").response.text
    number = tmp_path / "demo" / "day-keys-example"
    assert not number.exists(), "the times of a file that a request wrote would show when a report came"
    build_forwarder(site.config).run_window(int(site.now) // 5 * 5)
    assert number.exists()
    envelopes = [*site.envelopes(), *(each.read_bytes() for each in (tmp_path / "demo" / "inbox").glob("*.age"))]
    assert len(envelopes) > 16
    assert days_that_open(envelopes, keys) == [today]
    assert {(len(one), len(read_header(BytesIO(one))[0].stanzas)) for one in envelopes} == {(ENVELOPE_BYTES, STANZAS)}


def test_a_report_that_is_confirmed_after_midnight_is_sealed_to_the_new_day(tmp_path, keys, today):
    """A look before midnight and a held report of yesterday leave under the key of the day on which they are sent."""
    keys.write(today, 3)
    site = Site(tmp_path, keys)
    site.now = nz_day_end(site.now) - 60.0
    looked = site.look()
    held = site.step(site.look(), "send", files=[(photo(), "a.jpg")])
    site.now += 120
    site.step(held, "confirm")
    site.step(looked, "send")
    assert len(site.envelopes()) == 3
    assert days_that_open(site.envelopes(), keys) == [today + DAY]


def test_without_a_key_for_today_the_form_closes_and_a_new_batch_opens_the_form(tmp_path, keys, today):
    """The form and each step say so with 503, nothing is stored, a held report stays; a new file needs no restart."""
    keys.write(today, 1)
    site = Site(tmp_path, keys)
    site.now = nz_day_end(site.now) - 60.0
    looked, held = site.look(), site.step(site.look(), "send", files=[(photo(), "a.jpg")])
    site.now += 120
    for page in (site.visitor.get(REPORT), site.step(looked, "send"), site.step(held, "confirm")):
        assert (page.status, CLOSED in page.text) == (503, True)
    assert site.envelopes() == []
    keys.write(today, 2, number=2)
    assert site.visitor.get(REPORT).status == 200
    assert [site.step(page, name).status for page, name in ((looked, "send"), (held, "confirm"))] == [200, 200]
    assert days_that_open(site.envelopes(), keys) == [today + DAY]


def test_decoys_go_on_while_the_form_is_closed(tmp_path, keys, path, today):
    """After the last day each window shows as many envelopes on the line, sealed to the last day's key."""
    keys.write(today - 3 * DAY, 2)
    config = configured(path, keys)
    build_forwarder(config).run_window(int(time.time()) // 5 * 5)
    found = [each.read_bytes() for each in (path.parent / "inbox").glob("*.age")]
    assert len(found) == config.forward.cells
    assert days_that_open(found, keys) == [today - 2 * DAY]


def test_no_decoy_is_sealed_to_a_key_that_the_desk_has_destroyed(path, keys, today):
    """When the last day was more than 30 days ago the stock gets no decoys; before, it does."""
    keys.write(today - DAY, 1)
    agency = configured(path, keys).intake
    assert new_stock_decoy(agency, time.time() + (KEEP_DAYS - 1) * SECONDS).agency == "example"
    with pytest.raises(OutboxError, match="no-day-key"):
        new_stock_decoy(agency, time.time() + KEEP_DAYS * SECONDS)


def test_a_report_comes_from_the_form_to_the_desk_under_a_key_that_the_desk_made(tmp_path):
    """The desk's own file opens the form, and the desk takes in words, files and decoys that the site sealed."""
    (tmp_path / "office").mkdir()
    office = Office(tmp_path / "office")
    keys = KeysOfDays(tmp_path / "day-keys.json", identity=office.identity, signing_key=office.key)
    with office.desk(clock=time.time) as desk:
        keys.put(sign_batch(desk.day_keys.make_batch(3, fresh=False), office.key))
        site = Site(tmp_path, keys)
        site.step(site.look("They hold his passport"), "send")
        held = site.step(site.look("Seven men"), "send", files=[(photo(), "a.jpg")])
        site.step(held, "confirm")
        build_forwarder(site.config).run_once()
        for envelope in (tmp_path / "demo" / "inbox").glob("*.age"):
            envelope.rename(office.inbox / envelope.name)
        receive(desk)
        assert sorted(case.text("what") for case in desk.cases.all()) == ["Seven men", "They hold his passport"]
        assert all(desk.cases.parts.is_complete(case) for case in desk.cases.all())
        assert desk.inbox.set_aside() == []


def test_a_faulty_file_changes_nothing_while_the_site_runs(path, keys, today):
    """A forged, torn, older or missing file, and one of another agency, leave the batch as it was to its last day."""
    keys.write(today, 3, number=7)
    good, own = keys.file.read_bytes(), recipient_of(keys.days[today])
    config = configured(path, keys)
    forger = KeysOfDays(keys.file, identity=keys.identity)
    stranger = KeysOfDays(keys.file, signing_key=keys.signing_key)
    faults = {
        "forged": lambda: forger.write(today, 3, number=8),
        "torn": lambda: keys.file.write_bytes(good[: len(good) // 2]),
        "other-agency": lambda: stranger.write(today, 3, number=8),
        "older": lambda: keys.write(today, 3, number=6, fresh=True),
        "gone": keys.file.unlink,
    }
    for name, put in faults.items():
        put()
        assert config.intake.recipients_at(time.time()) == (own,), name
        if name != "older":  # no forwarder has noted the newer one yet
            with pytest.raises(ConfigError, match=r"\[\[agency\]\] example day_keys: "):
                configured(path, keys)
    assert keys.write(today, 3, number=7).recipients[0] != own
    assert config.intake.recipients_at(time.time()) != (own,), "a good file is taken again"
    assert config.intake.is_closed(time.time() + 3 * SECONDS)
    with pytest.raises(OutboxError, match="no-day-key"):
        config.intake.recipients_at(time.time() + 3 * SECONDS)


def test_an_old_batch_is_refused_at_a_start_once_a_newer_one_was_used(path, keys, today):
    """Once the forwarder has used batch 7, batch 6 is a fault; the number lies beside the secret, dated by the day."""
    keys.write(today, 3, number=7)
    build_forwarder(configured(path, keys)).run_window(int(time.time()) // 5 * 5)
    number = path.parent / "day-keys-example"
    assert number.read_bytes() == b"7\n"
    assert number.stat().st_mtime < nz_day_end(time.time()) - SECONDS + 3600
    configured(path, keys)
    keys.write(today, 3, number=6, fresh=True)
    with pytest.raises(ConfigError, match="is older than a batch that this site has used"):
        configured(path, keys)
    number.unlink()
    configured(path, keys)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AGENCY_EXAMPLE_REPLY_KEY": ""}, "needs reply_key"),
        ({"AGENCY_EXAMPLE_DAY_KEYS": "nowhere.json"}, "cannot be read"),
        ({"AGENCY_EXAMPLE_DAY_KEYS": "haumaru.toml"}, "is not a batch of day keys"),
        ({"AGENCY_EXAMPLE_RECIPIENTS": recipient_of(new_identity())}, "names a key that is not in recipients"),
        ({"AGENCY_EXAMPLE_REPLY_KEY": "A" * 43 + "="}, "is not signed with reply_key"),
    ],
)
def test_each_fault_of_the_configuration_is_named_with_its_remedy(path, keys, change, words, today):
    """A site that cannot be sure of its day keys does not start."""
    keys.write(today, 3)
    with pytest.raises(ConfigError, match=words):
        configured(path, keys, **change)


def test_keys_txt_has_the_key_of_the_day_and_its_fingerprint(path, keys, today):
    """Below the agency's own key stands the key of the day; on a day without one there is none."""
    keys.write(today, 1)
    agency, recipient = configured(path, keys).intake, recipient_of(keys.days[today])
    lines = published_keys(agency, time.time()).splitlines()
    assert lines[2:] == [
        recipient_of(keys.identity),
        f"# key of {today.isoformat()}, fingerprint: {key_fingerprint([recipient])}",
        recipient,
    ]
    assert published_keys(agency, time.time() + SECONDS).splitlines() == lines[:3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("days", "words", "warned"),
    [
        ((0, LOW_DAYS + 1), None, None),
        ((0, LOW_DAYS), "its day keys end in 13 days; get new ones from the agency", "the form closes in 13 days"),
        ((0, 1), "its day keys end in 0 days; get new ones from the agency", "the form closes in 0 days"),
        ((-5, 5), "there is no day key for today, so the form is closed", None),
        ((2, 30), "there is no day key for today, so the form is closed", None),
    ],
)
def test_check_and_status_say_when_the_day_keys_end(path, keys, days, words, warned):
    """Both name an end that is near, and a day without a key, a fault for `check`; a monitor gets the days."""
    first, count = days
    keys.write(nz_day(time.time()) + first * DAY, count)
    config = configured(path, keys)
    state = status.read_status(config)
    assert [each for each in state.actions_needed if "day key" in each] == (
        [each for each in state.actions_needed if words in each] if words else []
    )
    assert state.as_json()["agencies"][0]["day_key_days"] == first + count - 1
    assert f", day keys for {first + count - 1} days" in state.as_text()
    warnings = [line for line in preflight.host_warnings(config) if "day_keys" in line]
    assert [warned in line for line in warnings] == ([True] if warned else [])
    found = preflight.check(path, {f"HAUMARU_{name}": value for name, value in keys.variables().items()})
    named = [str(each) for each in found if "day_keys: there is no day key for today" in str(each)]
    assert len(named) == bool(words and "no day key" in words)


@pytest.mark.parametrize(("days", "late"), [(KEEP_DAYS // 2 - 1, False), (KEEP_DAYS // 2, True)])
def test_status_says_at_half_of_the_time_that_reports_will_soon_open_no_more(path, keys, days, late, today):
    """Where deliveries have failed for 15 days, the operator must deliver by hand before the keys are destroyed."""
    keys.write(today, 30)
    config = configured(path, keys)
    outbox = Outbox(config.outbox_url)
    outbox.prepare()
    outbox.put([Envelope(new_tip_id(), "example", b"sealed")])
    Leases(outbox.database).record_failure("example", "tls", now=time.time() - days * SECONDS)
    actions = status.read_status(config).actions_needed
    outbox.database.close()
    assert any("deliver by hand now, because the agency destroys the key of a day" in each for each in actions) == late


def test_a_backlog_of_fifteen_days_is_named_too(path, keys, today):
    """A backlog that takes 15 days to leave is a danger to reports, although deliveries succeed."""
    keys.write(today, 30)
    config = configured(path, keys, FORWARD_WINDOW="1d", FORWARD_CELLS="1", FORWARD_STOCK="1")
    outbox = Outbox(config.outbox_url)
    outbox.prepare()
    for _ in range(16):
        outbox.put([Envelope(new_tip_id(), "example", b"sealed")])
    actions = status.read_status(config).actions_needed
    outbox.database.close()
    assert any("reports wait for 15 days or more" in each for each in actions)


def test_a_copied_file_of_keys_says_nothing_secret(keys, today):
    """The file for the site holds no private key: whoever copies it can only seal."""
    batch = keys.write(today, 2)
    assert b"AGE-SECRET" not in keys.file.read_bytes().upper()
    shutil.copy(keys.file, keys.file.with_suffix(".copy"))
    assert keys.file.with_suffix(".copy").read_bytes() == sign_batch(batch, keys.signing_key)
