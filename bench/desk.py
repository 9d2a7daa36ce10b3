"""The desk under load: opening 1,000 tips, the store and the queue with 10,000; each beside what it is made of."""

import os
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from statistics import median

from app.desk.case import case_from_words
from app.desk.case_json import encode_case
from app.desk.config import load_desk_config
from app.desk.jobs import Job
from app.desk.journal import DESK, JournalEntry
from app.desk.language_guess import load_language_guess
from app.desk.service import Desk, open_desk
from app.desk.similarity import text_sketch
from app.desk.web.factory import create_app
from app.desk.web.session import Sessions
from app.text.phrases import load_phrases
from app.vault.age import seal
from app.vault.age_open import unseal
from app.vault.keys import new_identity, recipient_of
from app.vault.part import PART_KEY_BYTES
from app.vault.signature import new_signing_key, read_signing_key
from app.vault.tip import Tip, new_tip_id
from app.vault.tip_bundles import Words, read_words, to_bundles

ORIGIN = "http://127.0.0.1:8701"
TOML = """
[desk]
identities = ["identity.txt"]
signing_key = "signing.pem"
inbox = "inbox"
store = "store"
bind = "127.0.0.1:8701"
contact = "bench"
[[handler]]
name = "Ana"
[[authority]]
id = "police"
name = "Police"
takes = ["trafficking"]
recipients = ["{recipient}"]
deliver = "drop:referred"
"""
WORDS = (
    "the workers sleep in a container behind packhouse and boss keeps their passports they owe him money for flights "
    "nobody may leave at night gate is locked van comes every morning they pick kiwifruit fourteen hours paid nothing "
    "since march some are very young one was hurt no doctor came they are afraid of police told not to talk"
).split()


def milliseconds(work: Callable[[], object], times: int) -> list[float]:
    """Return how long each of several runs took, sorted, after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return sorted(taken)


def a_tip(random: Random) -> Tip:
    """A tip of some 90 words that no other tip has in this order."""
    words = " ".join(random.choice(WORDS) for _ in range(90))
    answers = {"what": words, "kinds": ("work",), "where": random.choice(("Katikati", "Timaru", "Ōtara"))}
    answers |= {"danger": random.choice(("yes", "no", "no", "no")), "children": random.choice(("yes", "no", "no"))}
    return Tip(new_tip_id(), date(2026, 11, 22) - timedelta(days=random.randrange(90)), answers)


def durable_rate(folder: Path, size: int) -> float:
    """How many files of a size this disk makes durable in a second."""
    data = os.urandom(size)

    def write() -> None:
        path = folder / "probe"
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.rename(folder / "probe2")

    return 1000 / median(milliseconds(write, 100))


def main() -> None:
    random = Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        identity = new_identity()
        recipient = recipient_of(identity)
        pem, _ = new_signing_key(None)
        (folder / "identity.txt").write_text(identity)
        (folder / "signing.pem").write_bytes(pem)
        (folder / "desk.toml").write_text(TOML.format(recipient=recipient))
        (folder / "inbox").mkdir()
        conf = load_desk_config(folder / "desk.toml", {})
        phrases = load_phrases(Path(__file__).parent.parent / "content")
        languages = load_language_guess(Path(__file__).parent.parent / "content")
        with open_desk(conf, (identity,), read_signing_key(pem, None), phrases, languages=languages) as desk:
            made = [a_tip(random) for _ in range(1000)]
            envelopes = [seal(to_bundles(one)[0].data, [recipient]) for one in made]
            for one, data in zip(made, envelopes, strict=True):
                (conf.inbox / f"{one.id}.age").write_bytes(data)
            start = time.perf_counter()
            desk.inbox.receive(Job("bench"))
            opening = time.perf_counter() - start
            start = time.perf_counter()
            for data in envelopes:
                read_words(unseal(data, [identity]))
            bare = time.perf_counter() - start
            print(f"opening 1,000 tips: {opening:.1f} s, each durable and journaled; unsealing alone: {bare:.2f} s")
            print(f"  this disk makes {durable_rate(folder, 4000):.0f} files of 4 kB durable a second")

            entries = []
            for _ in range(9000):
                words = Words(a_tip(random), (), bytes(PART_KEY_BYTES))
                case = case_from_words(words, text_sketch(str(words.tip.answers["what"])))
                data = seal(encode_case(case), [recipient], stanzas=1)
                (desk.store.folder / f"tips/{case.id}.age").write_bytes(data)
                entries.append(JournalEntry(DESK, "received", case.id, f"envelope {sha256(data).hexdigest()}"))
            desk.cases.journal.write(*entries)
        with open_desk(conf, (identity,), read_signing_key(pem, None), phrases, languages=languages) as desk:
            start = time.perf_counter()
            desk.cases.load(desk.loading)
            desk.loading.ended = True
            print(f"opening the store with 10,000 tips: {time.perf_counter() - start:.1f} s")
            pages(desk)


def pages(desk: Desk) -> None:
    """Time the queue's page from a loaded desk."""
    links: list[str] = []
    sessions = Sessions(ORIGIN, show_link=links.append)
    client = create_app(desk, sessions, demo=False).test_client()
    sessions.new_link()
    client.get(links[0].removeprefix(ORIGIN), base_url=ORIGIN)
    cookie = client.get_cookie(sessions.cookie_name, domain="127.0.0.1", path=sessions.path)
    session = sessions.get(cookie.value if cookie else "")
    assert session is not None
    session.handler = "Ana"

    def ask(path: str) -> None:
        answer = client.get(sessions.path + path, base_url=ORIGIN)
        assert answer.status_code == 200

    def changed() -> None:
        desk.cases.note(desk.queue.order()[0].id, "Ana", "Called back.")
        ask("/")

    help_page = median(milliseconds(lambda: ask("/help"), 50))
    for what, work in (
        ("the queue", lambda: ask("/")),
        ("its last page", lambda: ask("/?page=200")),
        ("a search of every word", lambda: ask("/?words=kiwifruit+young")),
        ("filtered", lambda: ask("/?danger=1&children=1&place=timaru")),
        ("after a change", changed),
    ):
        taken = milliseconds(work, 40)
        print(
            f"  {what:>22}: median {median(taken):6.1f} ms, slowest {taken[-1]:6.1f} ms, "
            f"{median(taken) / help_page:5.1f}x a page without tips ({help_page:.1f} ms)"
        )


if __name__ == "__main__":
    main()
