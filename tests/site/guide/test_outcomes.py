"""“What became of reports”: figures that an agency signed are shown, and no others."""

import re
import subprocess
from html import unescape
from time import time

import pytest

from app.core.errors import OutcomesError
from app.delivery.clock import nz_day
from app.site import demo, preflight
from app.site.config import load_config
from app.site.guide.outcome_files import _FAULTS, read_outcome_files
from app.site.guide.static_files import StaticSite, write_static
from app.vault.published_outcomes import MAX_BYTES
from app.vault.signature import encode_public_key, new_signing_key, read_signing_key
from app.vault.tip import SCHEMA
from tests.support.nu import nu_errors
from tests.support.outcomes import signed_outcomes
from tests.support.two_agencies import SECOND, TwoAgencies
from tests.support.visit import open_site

TODAY = nz_day(time())
PEM, PUBLIC = new_signing_key(None)
KEY = read_signing_key(PEM, None)
OTHER = read_signing_key(new_signing_key(None)[0], None)


def content(folder):
    """The operator's own folder of content."""
    own = folder / "own"
    own.mkdir(exist_ok=True)
    return own


def variables(own):
    return {"CONTENT_FOLDER": str(own), "AGENCY_EXAMPLE_REPLY_KEY": encode_public_key(PUBLIC)}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A site in every language whose agency publishes figures."""
    folder = tmp_path_factory.mktemp("published")
    (content(folder) / "outcomes.json").write_bytes(signed_outcomes(KEY, TODAY))
    return open_site(folder, **variables(content(folder)))


def test_without_figures_the_page_says_so_and_serves_no_file(site):
    """Where nothing is published the page explains the words, shows no table, and there is no file."""
    visit = site.get("/en/outcomes")
    assert "No numbers have been published yet." in visit.text
    assert visit.document.all("table") == []
    assert "Passed on" in visit.text
    assert site.get("/outcomes.json").status == 404
    assert "/en/outcomes" in site.get("/en/").document.html, "the menu has the page all the same"


def test_the_figures_are_shown_in_every_language(published):
    """Each language has a table of months, and tables of reasons and kinds by year, with its own words."""
    for code in published.languages:
        visit = published.get(f"/{code}/outcomes")
        tables = visit.document.all("table")
        rows = [len([row for row in visit.document.all("tr") if row.within("table") is table]) for table in tables]
        assert rows == [13, 7, 1 + len(SCHEMA.kinds)], code
        words = published.prerendered.library.editions[code].pages["outcomes"].raw
        assert visit.text.count(words["few"]) >= 20
        assert visit.text.count(words["later"]) == 6
        if code != "en":
            english = published.prerendered.library.editions["en"].pages["outcomes"].raw
            same = {key for key in words if key != "kind" and words[key] == english[key]}
            assert same <= {"status"}, f"{code}: not translated: {same}"


def test_the_commands_on_the_page_check_the_signature(published, tmp_path):
    """The four commands, copied from the page, prove the file that the page links to, and refuse a changed one."""
    visit = published.get("/en/outcomes")
    file = published.get("/outcomes.json")
    assert (file.status, file.headers["Content-Type"]) == (200, "application/json")
    commands = unescape(re.search(r"<pre[^>]*><code>(.*?)</code></pre>", visit.document.html, re.DOTALL)[1])
    assert len(commands.splitlines()) == 4
    data = file.response.get_data()
    for name, content_of_file, code in (("right", data, 0), ("changed", data.replace(b"36", b"39", 1), 1)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "outcomes.json").write_bytes(content_of_file)
        done = subprocess.run(["bash", "-c", commands], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert ("Signature Verified Successfully" in done.stdout) == (code == 0)


@pytest.mark.needs("java")
def test_the_pages_with_figures_are_valid_and_of_the_one_length(published, tmp_path):
    """The W3C's checker finds no fault, and the page with the most figures has the length of every other page."""
    pages = {path: page for path, page in published.prerendered.pages.items() if path.endswith("/outcomes")}
    assert len(pages) == len(published.languages)
    assert nu_errors({path: page.identity for path, page in pages.items()}, tmp_path) == []
    home = published.prerendered.pages["/en/"]
    for path, page in pages.items():
        assert [len(one) for one in (page.br, page.gzip)] == [len(one) for one in (home.br, home.gzip)], path


FAULTY = {
    "outcomes-signature": lambda: signed_outcomes(KEY, TODAY).replace(b"36", b"39", 1),
    "outcomes-key": lambda: signed_outcomes(OTHER, TODAY),
    "outcomes-agency": lambda: signed_outcomes(KEY, TODAY, agency="second"),
    "outcomes-future": lambda: signed_outcomes(KEY, TODAY, ahead=1),
    "outcomes-form": lambda: b'{"format":"haumaru-outcomes/1"}',
    "outcomes-size": lambda: b" " * (MAX_BYTES + 1),
}


def test_a_file_with_a_fault_is_not_shown_and_is_named(tmp_path):
    """A forged, foreign, early, odd or large file is not read, and `check` and the start say what to do."""
    path, own = demo.prepare_folder(tmp_path / "demo"), content(tmp_path)
    env = {f"HAUMARU_{name}": value for name, value in variables(own).items()}
    config = load_config(path, env)
    for code, make in FAULTY.items():
        (own / "outcomes.json").write_bytes(make())
        found, faults = read_outcome_files(own, config.report_agencies, TODAY)
        assert (found, faults) == ((), (f"[content] folder: outcomes.json {_FAULTS[code]}",))
        assert "; " in _FAULTS[code], "a sentence has a remedy"
        assert preflight.outcome_faults(config) == faults


def test_a_site_runs_without_a_file_that_has_a_fault(tmp_path):
    """With a forged file the site starts, the page says that there are no numbers, and `check` has a fault."""
    own = content(tmp_path)
    (own / "outcomes.json").write_bytes(FAULTY["outcomes-signature"]())
    site = open_site(tmp_path, ("en",), **variables(own))
    assert "No numbers have been published yet." in site.get("/en/outcomes").text
    assert site.get("/outcomes.json").status == 404
    env = {f"HAUMARU_{name}": value for name, value in variables(own).items()}
    found = [str(one) for one in preflight.check(tmp_path / "demo" / "haumaru.toml", env)]
    assert f"fault: [content] folder: outcomes.json {_FAULTS['outcomes-signature']}" in found


def test_every_cause_has_its_sentence():
    """Each code that the reader of the file raises has a sentence with a remedy."""
    assert FAULTY.keys() | {"outcomes-no-key"} == _FAULTS.keys()
    assert OutcomesError().code in _FAULTS


def test_without_a_reply_key_or_a_readable_file_nothing_is_shown(tmp_path):
    """A file that cannot be checked, or not be read, is a fault."""
    path = demo.prepare_folder(tmp_path / "demo")
    own = content(tmp_path)
    (own / "outcomes.json").write_bytes(signed_outcomes(KEY, TODAY))
    path.write_text(re.sub("(?m)^reply_key.*\n", "", path.read_text()))
    agencies = load_config(path, {}).report_agencies
    assert read_outcome_files(own, agencies, TODAY) == (
        (),
        (f"[content] folder: outcomes.json {_FAULTS['outcomes-no-key']}",),
    )
    (own / "outcomes.json").unlink()
    (own / "outcomes.json").mkdir()
    agencies = load_config(path, {"HAUMARU_AGENCY_EXAMPLE_REPLY_KEY": encode_public_key(PUBLIC)}).report_agencies
    (fault,) = read_outcome_files(own, agencies, TODAY)[1]
    assert "cannot be read" in fault
    assert read_outcome_files(None, agencies, TODAY) == ((), ())


@pytest.mark.slow
def test_each_of_two_agencies_has_its_own_file(tmp_path):
    """With two agencies each file bears an id; one without an id, or under the other's id, is a fault and not shown."""
    own = content(tmp_path)
    agencies = {**variables(own), "AGENCY_POLICE_REPLY_KEY": encode_public_key(PUBLIC)}
    for name in ("outcomes.json", "outcomes-example.json", f"outcomes-{SECOND}.json"):
        (own / name).write_bytes(signed_outcomes(KEY, TODAY))
    two = TwoAgencies(tmp_path, agencies)
    config = two.site.prerendered.config
    assert [one.name for one in two.site.prerendered.outcomes] == ["outcomes-example.json"]
    assert len(read_outcome_files(own, config.report_agencies, TODAY)[1]) == 2
    (own / f"outcomes-{SECOND}.json").write_bytes(signed_outcomes(KEY, TODAY, agency=SECOND))
    two.restart()
    visit = two.site.get("/en/outcomes")
    assert len(visit.document.all("table")) == 6
    assert two.site.get(f"/outcomes-{SECOND}.json").status == 200
    assert len({element.attrs["id"] for element in visit.document.elements if "id" in element.attrs}) > 3


def test_the_static_build_has_the_page_and_the_file(published, tmp_path):
    """The files for a proxy are the page of each language, and the bytes that the agency signed."""
    hosts, codes = frozenset({"example.org"}), {"en": "en"}
    write_static(
        tmp_path / "static", StaticSite(published.prerendered.pages, hosts, "https://example.org", codes, codes)
    )
    pages = tmp_path / "static" / "pages"
    assert (pages / "outcomes.json").read_bytes() == signed_outcomes(KEY, TODAY)
    assert {path.parent.name for path in pages.glob("*/outcomes.html")} == set(published.languages)
    assert "/outcomes.json /outcomes.json" in (tmp_path / "static" / "haproxy" / "plain.map").read_text()
