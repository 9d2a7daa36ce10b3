"""The pages that are read aloud, in a real Chromium: nothing is loaded or heard before somebody starts the player."""

import threading

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from app.site.guide.recording_frames import RECORDING_BYTES
from tests.support.browser import chromium, violations
from tests.support.ports import free_port
from tests.support.visit import open_site

pytestmark = pytest.mark.needs("browser")

PLAY = """async () => { const a = document.querySelector('audio'); await a.play(); }"""
HEARD = """() => document.querySelector('audio').currentTime > 0.5"""
STATE = """() => { const a = document.querySelector('audio');
    return [a.paused, a.networkState === HTMLMediaElement.NETWORK_IDLE, a.error]; }"""


@pytest.fixture
def address(tmp_path):
    """A site with a demonstration's pages on a port of its own."""
    port = free_port()
    app = open_site(tmp_path, ("en",), SITE_BASE_URL=f"http://127.0.0.1:{port}").app
    quiet = type("Quiet", (WSGIRequestHandler,), {"log_request": lambda *_: None})
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    thread.join()


def test_a_page_is_heard_once_somebody_starts_it(address):
    """The player loads nothing by itself; started, it plays to its end and asks no other address."""
    with chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/en/help", wait_until="networkidle")
        assert not [url for url in asked if url.endswith(".mp3")]
        assert page.evaluate(STATE)[0]
        assert violations(page) == []
        statuses: list[tuple[int, int]] = []
        page.on("response", lambda answer: statuses.append((answer.status, int(answer.headers["content-length"]))))
        page.evaluate(PLAY)
        page.wait_for_function(HEARD)
        assert statuses[0] == (206, RECORDING_BYTES)
        page.evaluate("() => { const a = document.querySelector('audio'); a.currentTime = a.duration - 1; }")
        page.wait_for_function("() => document.querySelector('audio').ended")
        assert page.evaluate(STATE)[2] is None
        assert {url for url in asked if not url.startswith("data:")} == {
            f"{address}/en/help",
            f"{address}/en/audio/help.mp3",
        }
