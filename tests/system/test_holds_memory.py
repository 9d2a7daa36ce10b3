"""The memory store is lost under running programs: its folder is deleted, or its Redis is emptied."""

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from PIL import Image
from redis import Redis

from app.site.factory import open_memory_store
from tests.support.databases import redis_server
from tests.support.faults import Deployment, deployment, scale, until, up
from tests.support.ports import free_port
from tests.support.senders import send_all, words
from tests.support.site import Visitor

AGENCY = "example"


@pytest.fixture
def in_redis(tmp_path) -> Iterator[tuple[Deployment, Callable[[], None]]]:
    """A deployment whose memory store is in a Redis, and what empties the Redis."""
    with redis_server() as server, Redis.from_url(server.url) as client:
        own = {"HAUMARU_MEMORY_URL": server.url, "HAUMARU_MEMORY_FOLDER": ""}
        with deployment(tmp_path, **own) as here:
            yield here, client.flushall


@pytest.fixture
def in_folder(tmp_path) -> Iterator[tuple[Deployment, Callable[[], None]]]:
    """A deployment whose memory store is in a folder, and what deletes the folder at once, under open files."""
    with deployment(tmp_path) as here:
        folder = here.settings.memory.folder

        def lose() -> None:
            gone = folder.with_name(f"{folder.name}-{random.getrandbits(32):08x}")
            if folder.exists():
                folder.rename(gone)
                shutil.rmtree(gone)

        yield here, lose
        lose()


@pytest.fixture(params=["in_folder", pytest.param("in_redis", marks=pytest.mark.needs("redis"))])
def place(request) -> tuple[Deployment, Callable[[], None]]:
    return request.getfixturevalue(request.param)


def decoys(here: Deployment) -> set[str]:
    """The decoys that a program which is started now finds in the memory store."""
    store = open_memory_store(here.settings.memory)
    try:
        return {each for each, kind in store.kinds(AGENCY).items() if kind.name == "decoy"}
    finally:
        store.close()


@pytest.mark.slow
def test_what_is_acknowledged_outlives_every_loss_of_the_memory_store(place):
    """Under site and forwarder, the memory store is lost again and again: all tips arrive once, and decoys go on."""
    here, lose = place
    tips, losses = scale(60, 1_000), scale(4, 30)
    port = free_port()
    site, forwarder = here.site(port), here.forwarder()
    up(port, site)
    until(lambda: decoys(here), "decoys")
    ledger, done = send_all([port], words(tips))
    for number in range(losses):
        until(lambda: done() or len(ledger.acknowledged) >= number * tips // losses, "the next tips")  # noqa: B023
        time.sleep(random.uniform(0, 0.3))
        lose()
        before = len(list(here.inbox.iterdir()))
        until(lambda: decoys(here), "decoys that are known again", 30)
        until(lambda: len(list(here.inbox.iterdir())) > before + 4, "envelopes that leave")  # noqa: B023
    until(done, "the last tips")
    assert site.runs
    assert forwarder.stop() == 0
    here.drain()
    ledger.settle("the memory store lost", here.delivered(), losses=losses)


def photograph() -> bytes:
    """A picture of noise that takes several parts."""
    data = BytesIO()
    Image.frombytes("RGB", (400, 400), os.urandom(3 * 400 * 400)).save(data, "PNG")
    return data.getvalue()


@pytest.mark.slow
def test_a_sender_is_told_what_the_loss_of_the_memory_store_has_cost(place):
    """Who held a tip reads that it waits no longer, and gets the words back; what was sent before and anew arrives."""
    here, lose = place
    port = free_port()
    up(port, here.site(port))
    visitor, picture = Visitor(f"http://127.0.0.1:{port}"), photograph()

    def hold(what: str) -> list[tuple[str, str]]:
        fields = [*visitor.check({"what": what}).form("/report").fields, ("step", "send")]
        held = visitor.post_files("/en/report", fields, [("photograph.png", picture)])
        assert held.heading == "Not sent yet", held.words
        return held.form("/report").fields

    again = [*visitor.check({"what": "Sent before and after"}).form("/report").fields, ("step", "send")]
    assert [visitor.post("/en/report", again).status for _ in range(2)] == [200, 409]
    sent, gone = hold("Confirmed before"), hold("Held and lost")
    assert visitor.post("/en/report", [*sent, ("step", "confirm")]).status == 200
    lose()
    for step in ("extend", "discard", "confirm"):
        answer = visitor.post("/en/report", [*gone, ("step", step)])
        assert answer.status == 410, answer.words
        assert "Nothing was sent just now" in answer.words
        assert "Nothing has been sent to anyone" not in answer.words  # nobody knows that any more
        assert "Your files are no longer here" in answer.words
        assert "Held and lost" in answer.words
    assert visitor.post("/en/report", [*hold("Sent anew"), ("step", "confirm")]).status == 200
    # Nothing knows any more that this form was sent: it is sent again, and the page says so.
    assert visitor.post("/en/report", again).status == 200
    here.drain()
    twice = Counter({"Sent before and after": 2})
    assert here.delivered() == Counter(["Confirmed before", "Sent anew"]) + twice
