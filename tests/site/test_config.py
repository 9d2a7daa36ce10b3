"""`haumaru.toml`: read, overridden by variables, and every fault reported at once with its remedy."""

import base64
import re
import subprocess
from pathlib import Path

import pytest

from app.core.errors import ConfigError
from app.delivery.receipt_codes import agency_tag
from app.site import demo
from app.site.agencies import PROMISES
from app.site.config import load_config
from app.vault.keys import new_identity, recipient_of
from tests.support.paths import BIN

KEY = base64.b64encode(bytes(32)).decode()


def write(folder, text: str):
    path = folder / "haumaru.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def good(tmp_path):
    """A configuration as an operator would write it."""
    (tmp_path / "inbox").mkdir()
    return f"""
[site]
operator = "Example Trust, 1 Example Street"
contact_email = "team@example.org"
base_url = "https://example.org"
[report]
agencies = ["intake"]
[[agency]]
id = "intake"
name = "Intake"
reads = "Weekdays, 9am to 5pm"
recipients = ["{recipient_of(new_identity())}"]
expires = 2027-11-30
reply_key = "{KEY}"
deliver = "drop:inbox"
"""


def test_what_is_left_out_has_the_contract_s_defaults(tmp_path, good):
    """A file with only the required keys gets the default of every other key."""
    settings = load_config(write(tmp_path, good), {})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    server = settings.server
    assert (server.workers, server.threads, server.body_memory, server.proxies) == (2, 64, 400_000_000, 0)
    assert (settings.report.max_upload, settings.report.min_fill) == (100_000_000, 3)
    assert (settings.forward.window, settings.forward.cells, settings.forward.stock) == (600, 16, 64)
    assert (settings.memory.folder, settings.memory.url) == (Path("/run/haumaru"), "")
    assert (settings.limits.url, settings.limits.per_address) == (
        "memory://",
        "20/hour",
    )
    assert settings.limits.words_room == 2_000_000_000
    assert settings.site.exit_url == "https://www.metservice.com/"
    assert not settings.site.demo
    assert settings.intake.mail_limit == 500


def test_relative_paths_start_at_the_file_s_folder(tmp_path, good, monkeypatch):
    """Relative paths start at the folder of the configuration, wherever the program is started."""
    monkeypatch.chdir("/")
    settings = load_config(write(tmp_path, good), {})
    assert settings.server.secret_file == tmp_path / "instance" / "secret"
    assert settings.outbox_url == f"sqlite:///{tmp_path}/instance/outbox.db"


def test_every_key_can_be_overridden_by_a_variable(tmp_path, good):
    """Variables such as `HAUMARU_SITE_NAME` and `HAUMARU_AGENCY_INTAKE_TOKEN` override the file."""
    env = {
        "HAUMARU_SITE_NAME": "Other",
        "HAUMARU_SITE_DEMO": "true",
        "HAUMARU_SERVER_BIND": "[::1]:9000",
        "HAUMARU_REPORT_MAX_UPLOAD": "5MB",
        "HAUMARU_REPORT_MIN_FILL": "0s",
        "HAUMARU_AGENCY_INTAKE_TOKEN": "secret",
        "HAUMARU_AGENCY_INTAKE_EXPIRES": "2028-01-01",
        "HAUMARU_OUTBOX_URL": "postgresql+psycopg://haumaru@db/haumaru",
        "HAUMARU_LIMITS_URL": "redis://cache:6379",
        "HAUMARU_FORWARD_WINDOW": "1h",
        "HAUMARU_FORWARD_CELLS": "8",
        "HAUMARU_MEMORY_URL": "redis://cache:6379/1",
        "HAUMARU_REPORT_AGENCIES": "intake",
    }
    settings = load_config(write(tmp_path, good), env)
    assert (settings.site.name, settings.site.demo) == ("Other", True)
    assert (settings.server.host, settings.server.port) == ("::1", 9000)
    assert (settings.report.max_upload, settings.report.min_fill) == (5_000_000, 0)
    assert settings.intake.destination.token == "secret"
    assert settings.intake.expires.year == 2028
    assert settings.outbox_url.startswith("postgresql+psycopg://")
    assert (settings.limits.url, settings.forward.window) == ("redis://cache:6379", 3600)
    assert (settings.forward.cells, settings.forward.stock) == (8, 32)
    assert (settings.memory.folder, settings.memory.url) == (None, "redis://cache:6379/1")


def test_a_key_of_an_earlier_version_is_a_fault_that_names_the_new_key(tmp_path, good):
    """`agency`, `max_class` and `batch`, in the file or as a variable, are faults that say what to write instead."""
    text = good.replace("agencies = [", 'agency = "intake"\nagencies = [') + 'max_class = "1MiB"\n'
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), {"HAUMARU_FORWARD_BATCH": "4"})
    assert [re.split("[:;]", fault)[0::2] for fault in caught.value.faults] == [
        ["[report] agency", ' write agencies = ["intake"], with the ids of one or more [[agency]]'],
        ["[[agency]] intake max_class", " remove it"],
        ["[forward] batch", " write cells, the number of envelopes that leave in each window"],
    ]


SECOND = """
[[agency]]
id = "{id}"
name = "Second"
recipients = ["{key}"]
expires = 2027-11-30
deliver = "drop:inbox"
"""


def with_second(good, identifier):
    """The same file with a second agency to which reports can go."""
    text = good.replace('agencies = ["intake"]', f'agencies = ["intake", "{identifier}"]')
    return text + SECOND.format(id=identifier, key=recipient_of(new_identity()))


def test_two_ids_with_one_tag_are_a_fault(tmp_path, good):
    """An answer finds its agency by a tag of the code alone, so no two agencies may have one tag."""
    twins = [f"agency-{number}" for number in range(5000) if agency_tag(f"agency-{number}") == agency_tag("intake")]
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, with_second(good, twins[0])), {})
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["[[agency]] id"]
    assert "write another id" in caught.value.faults[0]
    settings = load_config(write(tmp_path, with_second(good, "other")), {})
    assert [agency.id for agency in settings.report_agencies] == ["intake", "other"]


def test_only_promises_with_a_translated_sentence_can_be_made(tmp_path, good):
    """The ids of `promises` become sentences in one order; an id that the site does not know is a fault."""
    assert load_config(write(tmp_path, good), {}).intake.promises == ()
    settings = load_config(write(tmp_path, good), {"HAUMARU_AGENCY_INTAKE_PROMISES": "no-statement,no-court"})
    assert settings.intake.promises == (PROMISES["no-court"], PROMISES["no-statement"])
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, good + 'promises = ["no-court", "no-tax"]\n'), {})
    assert caught.value.faults[0].startswith("[[agency]] intake promises: has a promise that the site does not know")


@pytest.mark.parametrize(
    ("key", "values", "fault"),
    [
        ("REPORT_AGENCIES", ("elsewhere", "intake,intake"), "[report] agencies: must list ids"),
        ("FORWARD_STOCK", ("15", "0"), "[forward] stock"),
        ("FORWARD_CELLS", ("0", "2000"), "[forward] cells"),
        ("MEMORY_URL", ("memcached://x",), "[memory] url"),
        ("LIMITS_WORDS_ROOM", ("lots",), "[limits] words_room"),
        ("AGENCY_INTAKE_MAIL_LIMIT", ("0",), "[[agency]] intake mail_limit"),
    ],
)
def test_a_value_out_of_its_bounds_is_one_fault_of_its_key(tmp_path, good, key, values, fault):
    """Agencies that are not there or named twice, a stock below the cells, and the like are refused by name."""
    for value in values:
        with pytest.raises(ConfigError) as caught:
            load_config(write(tmp_path, good), {f"HAUMARU_{key}": value})
        assert any(one.startswith(fault) for one in caught.value.faults), caught.value.faults


def test_the_memory_store_has_one_place(tmp_path, good):
    """A folder and a Redis together are a fault."""
    with pytest.raises(ConfigError, match="is set together with folder"):
        load_config(write(tmp_path, good + '[memory]\nfolder = "/run/x"\nurl = "redis://x"\n'), {})


def test_more_than_four_recipients_are_a_fault(tmp_path, good):
    """Every envelope has four stanzas, so at most four recipients can open it."""
    keys = ", ".join(f'"{recipient_of(new_identity())}"' for _ in range(5))
    text = re.sub("recipients = .*", f"recipients = [{keys}]", good)
    with pytest.raises(ConfigError, match="at most 4 recipients"):
        load_config(write(tmp_path, text), {})


def test_a_secret_may_come_from_a_file_and_is_never_shown(tmp_path, good):
    """`token_file` is read, and no representation of the configuration shows the token."""
    (tmp_path / "token").write_text("hush-hush\n")
    settings = load_config(write(tmp_path, good + 'token_file = "token"\n'), {})
    assert settings.intake.destination.token == "hush-hush"
    assert "hush-hush" not in repr(settings)


def test_every_fault_is_reported_in_one_run_with_its_remedy(tmp_path):
    """A file with many faults is refused with each fault once, and with what to do about it."""
    text = """
colour = "green"
[site]
operator = ""
base_url = "http://example.org"
contact_email = "nobody"
exit_url = "javascript:alert(1)"
onion = "http://short.onion"
demo = "perhaps"
nmae = "Haumaru"
[server]
bind = "everywhere"
workers = 0
bodies = 64
[report]
agencies = ["elsewhere"]
max_upload = "lots"
[[agency]]
id = "Intake"
recipients = ["age1pq1nonsense", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]
expires = "soon"
reply_key = "c2hvcnQ="
deliver = "carrier-pigeon:coop"
mail_limit = 0
[outbox]
url = "mysql://db"
[limits]
url = "memcached://x"
per_address = "many"
total = "2000/hour"
[forward]
window = "0s"
cells = -1
"""
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), {})
    faults = caught.value.faults
    for name in (
        "colour", "base_url", "contact_email", "exit_url", "onion", "demo", "nmae", "bind", "workers", "bodies",
        "[report] agencies", "max_upload", "number 1", "number 2", "expires", "reply_key", "deliver", "mail_limit",
            "[outbox] url", "[limits] url", "[limits] per_address", "[limits] total: is no longer", "window",
            "cells", "[[agency]] 1 name", "[[agency]] 1 id",
            "operator",
    ):  # fmt: skip
        assert sum(name in fault for fault in faults) >= 1, f"{name} is not among {faults}"
    said = r".+; .+|must begin with .+|names no host"
    assert all(re.search(said, fault) for fault in faults), faults
    assert not any("nonsense" in fault or "c2hvcnQ" in fault for fault in faults), "a value may be a secret"


def test_a_demonstration_s_key_outside_a_demonstration_is_a_fault(tmp_path):
    """The published key and the names of the demonstration are refused without `demo`."""
    path = demo.prepare_folder(tmp_path / "demo")
    load_config(path, {})
    with pytest.raises(ConfigError) as caught:
        load_config(path, {"HAUMARU_SITE_DEMO": "false"})
    assert any("demonstration's key" in fault for fault in caught.value.faults)
    assert any("name: is the demonstration's" in fault for fault in caught.value.faults)


@pytest.mark.parametrize("text", ["[site", "\x00", "= 3", "[site]\nname = 'a'\nname = 'b'"])
def test_what_is_not_toml_is_one_fault(tmp_path, text):
    """The fault of a broken TOML file names the line and quotes none of its text."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), {})
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize("command", ["serve", "forward", "status", "check"])
def test_no_program_starts_on_a_faulty_configuration(tmp_path, command):
    """Each command ends with 1 and one line for each fault, never a traceback."""
    path = write(tmp_path, "[site]\nbase_url = 'http://example.org'\n")
    done = subprocess.run([BIN / "haumaru", command, "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "base_url" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.startswith("haumaru: ") for line in done.stderr.splitlines())


def test_a_wrong_call_ends_with_2_and_one_line():
    """Wrong usage prints one line on standard error that says what to do."""
    for arguments in (["serve"], ["fly"], ["serve", "--config"], ["status", "--jsn"]):
        done = subprocess.run([BIN / "haumaru", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert re.fullmatch(r"haumaru: .+; see haumaru --help\n", done.stderr)
    missing = subprocess.run(
        [BIN / "haumaru", "serve", "--config", "/nowhere"], capture_output=True, text=True, check=False
    )
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("rate", "faulty"), [("20/hour", False), ("5 per hour", False), ("20/minute", True), ("9/day", True)]
)
def test_a_rate_is_an_hours(tmp_path, rate, faulty):
    """Shares are counted by the hour, so that a rate for another time is a fault."""
    path = demo.prepare_folder(tmp_path / "demo")
    if faulty:
        with pytest.raises(ConfigError) as caught:
            load_config(path, {"HAUMARU_LIMITS_PER_ADDRESS": rate})
        assert "[limits] per_address" in str(caught.value)
    else:
        assert load_config(path, {"HAUMARU_LIMITS_PER_ADDRESS": rate}).limits.per_address == rate


def test_the_operator_s_texts_may_be_in_several_languages(tmp_path, good):
    """`operator` and `reads` are one text for all, or a table by language in which English stands for the rest."""
    once = load_config(write(tmp_path, good), {})
    assert once.site.operator.show("sm") == "Example Trust, 1 Example Street"
    text = good.replace('"Example Trust, 1 Example Street"', '{ en = "A & B Trust", sm = "Faʻalapotopotoga A" }')
    text = text.replace('"Weekdays, 9am to 5pm"', '{ en = "Weekdays", zh-Hans = "工作日" }')
    settings = load_config(write(tmp_path, text), {})
    assert settings.site.operator.show("sm") == "Faʻalapotopotoga A"
    assert settings.site.operator.show("to") == '<span lang="en" dir="ltr">A &amp; B Trust</span>'
    hours = settings.agencies[0].reading_hours
    assert (hours.show("zh-Hans"), hours.show("en")) == ("工作日", "Weekdays")
    assert not load_config(write(tmp_path, re.sub("reads = .*\n", "", good)), {}).agencies[0].reading_hours


@pytest.mark.parametrize(
    "faulty",
    [
        '{ sm = "O" }',
        "{}",
        '{ en = "" }',
        '{ en = "a", sm = 1 }',
        '{ en = "a", SM = "o" }',
        '{ en = "a\\nb" }',
        '""',
        "7",
    ],
)
def test_a_faulty_table_of_languages_is_one_fault(tmp_path, good, faulty):
    """A table without English, with an empty or a broken text, or with a code that is none, is a fault of its key."""
    text = good.replace('"Example Trust, 1 Example Street"', faulty)
    with pytest.raises(ConfigError) as raised:
        load_config(write(tmp_path, text), {})
    assert [fault.partition(":")[0] for fault in raised.value.faults] == ["[site] operator"]
