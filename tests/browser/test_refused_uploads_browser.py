"""Uploads that the site refuses, in real browsers: the page that comes back has every word, and the tip can be sent."""

import time

import pytest

from tests.support.browser import PHONE, chromium
from tests.support.firefox import firefox
from tests.support.site import demonstration

pytestmark = [pytest.mark.needs("browser"), pytest.mark.slow]

STORY = 'They hold our passports: Tāne, 李 and "Sina". <b>Six</b> of us & more.'
PLACE = "The packhouse behind the school"
TOO_LONG, NO_MEMORY = 30_000_000, 1_500_000


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A site that takes 2 MB of files and has 1 MB of memory for bodies."""
    limits = {"HAUMARU_REPORT_MAX_UPLOAD": "2MB", "HAUMARU_SERVER_BODY_MEMORY": "1MB"}
    with demonstration(tmp_path_factory.mktemp("strict"), **limits) as site:
        yield site


@pytest.fixture(params=[TOO_LONG, NO_MEMORY], ids=["too long", "no memory"])
def upload(request, tmp_path):
    path = tmp_path / "recording.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(request.param))
    return path


def test_in_chromium_the_words_come_back(strict, upload):
    """A file that is too long, or without memory for it: the look again with every word, and it can be sent without."""
    with chromium() as browser:
        page = browser.new_page(viewport=PHONE)
        page.goto(f"{strict.base_url}/en/report")
        page.fill("#what", STORY)
        page.click(".more summary")
        page.fill("#where", PLACE)
        page.click("button[value=check]")
        page.set_input_files("#files", upload)
        with page.expect_navigation(timeout=60_000):
            page.click("button[value=send]")
        assert page.title().startswith("Not sent")
        assert (hidden(page, "what"), hidden(page, "where")) == (STORY, PLACE)
        assert "Choose your files again" in page.text_content("#files-error")
        page.click("button[value=send]")
        assert page.title().startswith("Not sent")
        page.click("[name=without-files]")
        page.click("button[value=send]")
        assert page.text_content("h1") == "This was a demonstration. Nothing was sent to anyone."


def hidden(page, name):
    return page.input_value(f"input[type=hidden][name={name}]")


def test_in_firefox_the_words_come_back(strict, upload, tmp_path):
    """The same in Firefox, which sends a body and reads an answer in its own way."""
    with firefox(tmp_path / "profile", proxy=("nobody.example", 9)) as tab:
        tab.open(f"{strict.base_url}/en/report")
        tab.fill("#what", STORY)
        tab.click(".more summary")
        tab.fill("#where", PLACE)
        tab.click("button[value=check]")
        wait_for(tab, 'id="files"')
        tab.fill("#files", str(upload))
        tab.click("button[value=send]")
        wait_for(tab, 'id="errors"')
        assert (tab.value("[name=what]"), tab.value("[name=where]")) == (STORY, PLACE)


def wait_for(tab, text):
    until = time.monotonic() + 60
    while text not in tab.source:
        assert time.monotonic() < until, tab.source
        time.sleep(0.1)
