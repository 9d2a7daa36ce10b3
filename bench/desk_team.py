"""A desk of 10,000 tips in ten languages with eight handlers at once: the queue, a search, a case, a note, a redaction.

The desk is a server in a process of its own, with its store on this disk; the eight are threads of this process, which
press one button after the other, first with a pause of a second before each, then without any pause: the figures of
a busy hour and of the worst.
Beside them the same pages asked by one handler alone, and what is the machine's own: a page without tips, and how long
this disk takes for one durable file. TIPS sets the number of tips, SEATS the handlers.
"""

import http.client
import json
import multiprocessing
import os
import re
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import median
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.desk.case import Case, case_from_words
from app.desk.case_fields import CaseNote, State
from app.desk.case_json import encode_case
from app.desk.config import ListenAddress, load_desk_config
from app.desk.jobs import start_job
from app.desk.journal import DESK, JournalEntry
from app.desk.language_guess import load_language_guess
from app.desk.service import open_desk
from app.desk.similarity import text_sketch
from app.desk.web.factory import create_app, listen, serving
from app.desk.web.session import Sessions
from app.text.phrases import load_phrases
from app.vault.age import seal
from app.vault.keys import new_identity, recipient_of
from app.vault.part import PART_KEY_BYTES
from app.vault.signature import new_signing_key, read_signing_key
from app.vault.tip import ReplyTo, Tip, new_tip_id
from app.vault.tip_bundles import Words
from tests.support.faults import memory, processor_seconds
from tests.support.own_words import FOLDER, LANGUAGES

TIPS = int(os.environ.get("TIPS", "10000"))
SEATS = int(os.environ.get("SEATS", "8"))
ROUNDS = int(os.environ.get("ROUNDS", "12"))
PAUSE = float(os.environ.get("PAUSE", "1"))  # seconds in which a handler reads, before the next press
MIB = 1024 * 1024
TOML = """
[desk]
identities = ["identity.txt"]
signing_key = "signing.pem"
inbox = "inbox"
store = "store"
bind = "127.0.0.1:0"
contact = "bench"
{handlers}
[[authority]]
id = "police"
name = "Police"
takes = ["trafficking"]
recipients = ["{recipient}"]
deliver = "drop:referred"
"""
PLACES = ("Katikati", "Timaru", "Ōtara", "12 Kowhai Road, Te Puke", "Hamilton East", "")
TOKEN = re.compile(rb'name="token" value="([^"]+)"')


def sentences() -> dict[str, list[str]]:
    """The sentences of each language that the finder's sets have."""
    found = {}
    for code in LANGUAGES:
        lines = (FOLDER / f"{code}.first.jsonl").read_text(encoding="utf-8").splitlines()
        found[code] = [json.loads(line)["text"] for line in lines]
    return found


def a_case(random: Random, of_language: list[str]) -> Case:
    """A case of some 100 words with a telephone number or a plate now and then; a third of them were worked on."""
    words = random.choices(of_language, k=10)
    if random.random() < 0.3:
        words.append(f"Rego {''.join(random.choices('ABCDEFGHJKLMNPRSTUVWXYZ', k=3))}{random.randrange(100, 999)}.")
    if random.random() < 0.3:
        words.append(f"021 {random.randrange(200, 999)} {random.randrange(1000, 9999)}")
    answers: dict[str, str | tuple[str, ...]] = {"what": " ".join(words), "where": random.choice(PLACES)}
    answers |= {"kinds": ("work",), "people": random.choice(of_language)}
    answers |= {"danger": random.choice(("yes", "no", "no", "no")), "children": random.choice(("yes", "no", "no"))}
    reply = ReplyTo(random.randbytes(32), random.randbytes(16).hex()) if random.random() < 0.5 else None
    day = date(2026, 11, 22) - timedelta(days=random.randrange(90))
    case = case_from_words(
        Words(Tip(new_tip_id(), day, answers, reply=reply), (), bytes(PART_KEY_BYTES)), text_sketch(" ".join(words))
    )
    worked = random.random()
    if worked < 0.3:
        notes = (CaseNote(day, "Ana", "Called the labour inspector."),)
        state = State.CLOSED if worked < 0.2 else State.WORK
        case = replace(case, notes=notes, state=state, holder="" if state is State.CLOSED else f"Handler {worked}")
        case = replace(case, reason="nothing", closed=day) if state is State.CLOSED else case
    return case


def make_store(folder: Path) -> None:
    """Write the store of a desk with its tips, whose journal has four lines for each."""
    random, by_language = Random(1), list(sentences().values())
    identity, (pem, _) = new_identity(), new_signing_key(None)
    (folder / "identity.txt").write_text(identity)
    (folder / "signing.pem").write_bytes(pem)
    handlers = "".join(f'[[handler]]\nname = "Handler {number}"\n' for number in range(SEATS))
    (folder / "desk.toml").write_text(TOML.format(recipient=recipient_of(identity), handlers=handlers))
    with opened(folder) as desk:
        entries = []
        (desk.store.folder / "tips").mkdir(exist_ok=True)
        for number in range(TIPS):
            case = a_case(random, by_language[number % len(by_language)])
            data = seal(encode_case(case), [recipient_of(identity)], stanzas=1)
            (desk.store.folder / f"tips/{case.id}.age").write_bytes(data)
            entries.append(JournalEntry(DESK, "received", case.id, f"envelope {sha256(data).hexdigest()}"))
            entries += [JournalEntry("Handler 1", did, case.id) for did in ("opened", "claimed", "noted")]
        desk.journal.write(*entries)


def opened(folder: Path):
    """The desk of a folder, its records not loaded."""
    identity, pem = (folder / "identity.txt").read_text(), (folder / "signing.pem").read_bytes()
    content = Path(__file__).parent.parent / "content"
    phrases, languages = load_phrases(content), load_language_guess(content)
    conf = load_desk_config(folder / "desk.toml", {})
    return open_desk(conf, (identity,), read_signing_key(pem, None), phrases, languages=languages)


def serve(folder: Path, pipe: Connection) -> None:
    """Open the desk and serve it until the other process says so; send a one-time link for each handler."""
    start = time.perf_counter()
    links: list[str] = []
    with opened(folder) as desk:
        journal = time.perf_counter() - start
        start_job(desk.loading, desk.cases.load).join()
        desk.queue.order()
        loaded = time.perf_counter() - start
        shown: list[Sessions] = []

        def build(sessions: Sessions):
            shown.append(sessions)
            return create_app(desk, sessions, demo=False)

        with serving(listen(ListenAddress("127.0.0.1", 0), links.append, build)):
            threading.Thread(target=desk.common.renew, args=(threading.Event(),), daemon=True).start()
            desk.queue.guess_languages()
            while not desk.common.complete:
                time.sleep(0.2)
            compared = time.perf_counter() - start
            ids = [case.id for case in desk.queue.order() if case.open and not case.holder]
            pipe.send((journal, loaded, compared, ids, memory(os.getpid())))
            while pipe.recv() == "link":
                shown[0].new_link()
                pipe.send(links[-1])
            pipe.send(memory(os.getpid()))


class Handler:
    """One handler's browser, which notes how long each answer took."""

    def __init__(self, link: str, name: str) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.pause = 0.0
        parts = urlsplit(link)
        self._secret, self._origin = f"/{parts.path.split('/')[1]}", f"{parts.scheme}://{parts.netloc}"
        self._port, self._cookie, self._token = parts.port, "", ""
        headers = self._request("GET", parts.path.removeprefix(self._secret))[1]
        self._cookie = headers["Set-Cookie"].partition(";")[0]
        self._read_token(self._request("GET", "/who")[2])
        self._request("POST", "/who", {"who": name})

    def get(self, what: str, path: str) -> bytes:
        """Ask for a page; the time counts under `what`."""
        return self._timed(what, lambda: self._request("GET", path))

    def post(self, what: str, path: str, **fields: str) -> None:
        """Send a form; the time counts under `what`."""
        self._timed(what, lambda: self._request("POST", path, fields))

    def _timed(self, what: str, ask: Callable[[], tuple[int, http.client.HTTPMessage, bytes]]) -> bytes:
        time.sleep(self.pause)
        start = time.perf_counter()
        status, _, page = ask()
        self.taken[what].append((time.perf_counter() - start) * 1000)
        assert status in {200, 303}, (what, status, page[-900:])
        return page

    def _read_token(self, page: bytes) -> None:
        match = TOKEN.search(page)
        assert match
        self._token = match[1].decode()

    def _request(self, method: str, path: str, fields: dict[str, str] | None = None):
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        headers = {"Cookie": self._cookie, "Origin": self._origin, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"token": self._token, **(fields or {})}) if fields is not None else None
        client.request(method, self._secret + path, body=body, headers=headers)
        answer = client.getresponse()
        page = answer.read()
        client.close()
        return answer.status, answer.headers, page


def one_round(handler: Handler, tip: str) -> None:
    """What a handler does with a tip, from the queue to the saved redaction."""
    handler.get("the queue", "/")
    handler.get("the queue, filtered", "/?danger=1&language=hi")
    handler.get("a search", "/?view=all&words=kiwifruit")
    handler.get("opening a case", f"/tips/{tip}")
    handler.post("claiming", f"/tips/{tip}/claim")
    handler.post("saving a note", f"/tips/{tip}/note", text="Nobody answers the telephone.", typed="yes")
    page = handler.get("the redaction", f"/tips/{tip}/redact").decode()
    match = re.search(r'name="version" value="(\d+)"', page)
    version = {"version": match[1]} if match else {}
    handler.post("saving the redaction", f"/tips/{tip}/redact", summary="Men in a container.", go="stay", **version)
    handler.get("a page without tips", "/help")


def report(title: str, handlers: list[Handler], processor: float) -> None:
    """Print the median and the 95th of a hundred of each page; `processor`: the seconds that the desk worked."""
    presses = sum(len(times) for handler in handlers for times in handler.taken.values())
    print(f"{title}; {processor / presses * 1000:.1f} ms of processor time for a press")
    taken: dict[str, list[float]] = defaultdict(list)
    for handler in handlers:
        for what, times in handler.taken.items():
            taken[what] += times
    plain = median(taken["a page without tips"])
    for what, times in taken.items():
        late = sorted(times)[int(len(times) * 0.95)]
        print(f"  {what:>22}: median {median(times):6.1f} ms, 95 % {late:6.1f} ms, {median(times) / plain:5.1f}x plain")


def durable(folder: Path) -> float:
    """The median of the milliseconds that this disk takes for one durable file of 4 kB."""
    taken = []
    for number in range(50):
        start = time.perf_counter()
        with (folder / f"probe{number}").open("wb") as file:
            file.write(os.urandom(4000))
            file.flush()
            os.fsync(file.fileno())
        taken.append((time.perf_counter() - start) * 1000)
    return median(taken)


def rounds(handlers: list[Handler], tips: Iterator[str], count: int, desk: int | None) -> float:
    """Let the handlers work at once, each on tips of its own; return the processor seconds of the desk's process."""
    before = processor_seconds(desk or 0)
    lock = threading.Lock()

    def work(handler: Handler) -> None:
        for _ in range(count):
            with lock:
                tip = next(tips)
            one_round(handler, tip)

    threads = [threading.Thread(target=work, args=(handler,)) for handler in handlers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return processor_seconds(desk or 0) - before


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.get("FOLDER", name))
        if not (folder / "desk.toml").exists():
            make_store(folder)
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, there), daemon=True)
        process.start()
        journal, loaded, compared, ids, at_rest = here.recv()
        print(f"{TIPS} tips: start {loaded:.1f} s, of these the journal {journal:.1f} s; {at_rest / MIB:.0f} MiB")
        print(f"all tips compared by plates, numbers, addresses and firms after {compared:.1f} s")
        print(f"one durable file of 4 kB: {durable(folder):.1f} ms")
        handlers, tips = [], iter(ids)
        for number in range(SEATS):
            here.send("link")
            handlers.append(Handler(here.recv(), f"Handler {number}"))
        rounds(handlers[:1], tips, 2, process.pid)
        handlers[0].taken.clear()
        report("one handler alone", handlers[:1], rounds(handlers[:1], tips, ROUNDS, process.pid))
        for pause in (PAUSE, 0.0):
            for handler in handlers:
                handler.taken.clear()
                handler.pause = pause
            processor = rounds(handlers, tips, ROUNDS, process.pid)
            report(f"{SEATS} handlers at once, {pause:g} s of reading before each press", handlers, processor)
        here.send("end")
        print(f"memory after that: {here.recv() / MIB:.0f} MiB")
        process.join()


if __name__ == "__main__":
    main()
