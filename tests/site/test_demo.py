"""The demonstration: where its memory store lies, and when its forwarder pauses."""

import threading
import time

import pytest

from app.desk.config import load_desk_config
from app.site import demo, preflight
from app.site.config import load_config


@pytest.fixture
def config(tmp_path):
    return load_config(demo.prepare_folder(tmp_path / "demo"), {"HAUMARU_FORWARD_WINDOW": "1s"})


def test_the_memory_store_lies_in_memory_and_is_no_other_demonstration_s(tmp_path, config):
    """Each demonstration has a folder of its own in memory, of which nothing needs to be said."""
    other = load_config(demo.prepare_folder(tmp_path / "other"), {})
    assert preflight.is_in_memory(config.memory.folder)
    assert config.memory.folder != other.memory.folder
    assert demo.warnings(config) == []


def test_without_a_folder_in_memory_the_demonstration_says_where_it_writes(tmp_path, monkeypatch):
    """Where there is no such folder, the memory store lies in the demonstration's own folder, with a warning."""
    monkeypatch.setattr(preflight, "is_in_memory", lambda _: False)
    config = load_config(demo.prepare_folder(tmp_path / "demo"), {})
    assert config.memory.folder == tmp_path / "demo" / "memory"
    assert str(config.memory.folder) in demo.warnings(config)[0]


def test_the_desk_sends_replies_to_the_port_of_the_site(tmp_path):
    """Given a demonstration that ran at one port, when it runs at another, its desk sends replies to the new port."""
    path = demo.prepare_folder(tmp_path / "demo")
    for port in ("8000", "8123", "8124"):
        demo.direct_replies(load_config(path, demo.environment({"PORT": port})))
        desk = load_desk_config(path.parent / "desk.toml", {})
        assert desk.site.replies == f"http://127.0.0.1:{port}/agency/replies"


def test_an_address_for_replies_that_somebody_wrote_stays(tmp_path):
    """A desk that sends replies to another site goes on doing so, and its file stays as it was."""
    path = demo.prepare_folder(tmp_path / "demo")
    file = path.parent / "desk.toml"
    written = file.read_text().replace("http://127.0.0.1:8000/agency", "https://example.org/agency")
    file.write_text(written)
    demo.direct_replies(load_config(path, demo.environment({"PORT": "8123"})))
    assert file.read_text() == written


def test_the_forwarder_pauses_while_the_inbox_is_full(config, monkeypatch):
    """Over the limit nothing is delivered, and that is said once; when files were taken away, delivery goes on."""
    monkeypatch.setattr(demo, "MAX_INBOX_FILES", 5)
    monkeypatch.setattr(demo, "_LOOK_SECONDS", 0.05)
    inbox, said, stop = config.folder / "inbox", [], threading.Event()
    forwarder = threading.Thread(target=demo.forward, args=(config, stop), kwargs={"say": said.append})
    forwarder.start()
    try:
        _wait_for(lambda: said)
        full = len(list(inbox.iterdir()))
        time.sleep(1.5)  # more than a window
        assert len(list(inbox.iterdir())) == full > 5
        for path in inbox.iterdir():
            path.unlink()
        _wait_for(lambda: any(inbox.iterdir()))
        assert len(said) == 1
    finally:
        stop.set()
        forwarder.join(20)
    assert not forwarder.is_alive()


def _wait_for(condition, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
