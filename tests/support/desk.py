"""Desks for tests: a configuration with keys of its own, sealed tips, a desk in this process, and one as a program."""

import io
import os
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image

from app.desk.config import load_desk_config
from app.desk.jobs import Job
from app.desk.known_names import KnownNames, load_known_names
from app.desk.language_guess import LanguageGuess, load_language_guess
from app.desk.service import Desk, open_desk
from app.desk.web.factory import create_app
from app.desk.web.session import Sessions
from app.vault.age import seal
from app.vault.age_open import write_identity_file
from app.vault.keys import new_identity, recipient_of
from app.vault.part import SLICE_BYTES
from app.vault.signature import encode_public_key, new_signing_key, read_signing_key
from app.vault.tip import ReplyTo, Tip, TipFile, TipId, new_tip_id
from app.vault.tip_bundles import Bundle, Words, read_words, to_bundles
from tests.support.paths import ROOT
from tests.support.phrases import phrases

DAY = date(2026, 11, 22)
NOON = 1795302000.0  # 2026-11-22, noon in New Zealand
ORIGIN = "http://127.0.0.1:8701"
ANSWERS = {
    "what": "Seven men live behind the packhouse. My sister works there. Call me on 021 555 0199.",
    "kinds": ("work", "documents"),
    "where": "Katikati",
    "people": "Ray, phone 027 555 0111",
    "danger": "no",
    "children": "no",
}

_TOML = """
[desk]
identities = ["identity.txt"]
signing_key = "signing.pem"
inbox = "inbox"
store = "store"
bind = "127.0.0.1:8701"
release = {release}
retain_days = 30
contact = "Example desk, 04 555 0100"

[[handler]]
name = "Ana"

[[handler]]
name = "Ben"

[[authority]]
id = "police"
name = "Example Police"
takes = ["danger", "children", "trafficking"]
recipients = ["{police}"]
deliver = "drop:referred/police"
question_key = "{question_key}"

[[authority]]
id = "mbie"
name = "Example MBIE"
takes = ["work"]
recipients = ["{police}"]
deliver = "drop:referred/mbie"

[[translator]]
id = "translator"
name = "Example translator"
recipients = ["{police}"]
deliver = "drop:referred/translator"

[forward]
window = "8s"

[site]
agency = "intake"
replies = "{replies}"
"""


@cache
def known_names() -> KnownNames:
    """The desk's list of names, read once."""
    return load_known_names()


@cache
def languages() -> LanguageGuess:
    """The guess of a language, learned once."""
    return load_language_guess(ROOT / "content")


class Office:
    """A folder with everything that a desk needs, and the authority's identity beside it."""

    def __init__(
        self, folder: Path, *, release: int = 1, replies: str = "http://127.0.0.1:1/agency/replies", more: str = ""
    ) -> None:
        self.folder = folder
        self.identity, self.police = new_identity(), new_identity()
        pem, self.public = new_signing_key(None)
        (folder / "identity.txt").write_bytes(write_identity_file(self.identity, None))
        (folder / "police.txt").write_bytes(write_identity_file(self.police, None))
        (folder / "signing.pem").write_bytes(pem)
        asking, public = new_signing_key(None)  # with which the police ask
        (folder / "police.pem").write_bytes(asking)
        self.police_key, self.question_key = read_signing_key(asking, None), encode_public_key(public)
        self.key = read_signing_key(pem, None)
        self.config = folder / "desk.toml"
        text = _TOML.format(
            release=release, police=recipient_of(self.police), replies=replies, question_key=self.question_key
        )
        self.config.write_text(text + more, encoding="utf-8")
        self.inbox.mkdir()

    @property
    def inbox(self) -> Path:
        """Where envelopes come in."""
        return self.folder / "inbox"

    @property
    def store(self) -> Path:
        """Where the desk keeps its things."""
        return self.folder / "store"

    @property
    def signer(self) -> str:
        """The desk's public key as it is told by voice."""
        return b64encode(self.public).decode()

    def drop(self, tip: Tip, *, name: str = "", recipients: tuple[str, ...] = ()) -> TipId:
        """Seal a tip into the inbox, its words under `name` and all of its parts."""
        words, *parts = to_bundles(tip)
        self.drop_bundle(words, name=name, recipients=recipients)
        for part in parts:
            self.drop_bundle(part)
        return tip.id

    def drop_bundle(self, bundle: Bundle, *, name: str = "", recipients: tuple[str, ...] = ()) -> Path:
        """Seal one bundle into the inbox."""
        path = self.inbox / (name or f"{bundle.id}.age")
        path.write_bytes(seal(bundle.data, recipients or [recipient_of(self.identity)]))
        return path

    @contextmanager
    def desk(self, *, clock=lambda: NOON, steady=None) -> Iterator[Desk]:
        """The open desk, its records loaded, nothing going on in its background; its two clocks go together."""
        config = load_desk_config(self.config, {})
        clocks = {"clock": clock, "steady": steady or clock}
        with open_desk(config, (self.identity,), self.key, phrases(), languages=languages(), **clocks) as made:
            made.cases.load(made.loading)
            made.typed.load()
            made.loading.ended = True
            yield made

    def referred(self, authority: str) -> list[Path]:
        """The envelopes that an authority got."""
        return sorted((self.folder / "referred" / authority).glob("*.age"))


def tip(answers: Mapping[str, str | tuple[str, ...]] | None = None, **more: object) -> Tip:
    """A tip of that day."""
    values: dict[str, object] = {"id": new_tip_id(), "received": DAY, "answers": answers or ANSWERS} | more
    return Tip(**values)


def words_of(tip: Tip) -> Words:
    """The words of a tip, as the desk reads them."""
    return read_words(to_bundles(tip)[0].data)


def picture(width: int = 320, height: int = 240, colour: str = "#3366aa") -> bytes:
    """A JPEG."""
    target = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(target, "JPEG")
    return target.getvalue()


def jpeg(number: int = 1, data: bytes = b"") -> TipFile:
    """A picture as a tip's file."""
    return TipFile(f"files/{number}.jpg", "image/jpeg", (), data or picture())


def reply_to() -> ReplyTo:
    """Where a reply goes."""
    return ReplyTo(key=bytes(range(32)), locator="0123456789abcdef" * 2)


def big_file(number: int = 1, parts: int = 3) -> TipFile:
    """A text that takes so many parts."""
    return TipFile(
        f"files/{number}.txt", "text/plain", (), b"A long line of text.\n" * ((parts * SLICE_BYTES - 1000) // 21)
    )


def receive(desk: Desk) -> Job:
    """Take in what lies in the inbox."""
    work = Job("test")
    desk.inbox.receive(work)
    return work


class Browser:
    """A handler's browser, without a network: a client of the desk's application."""

    def __init__(self, desk: Desk, who: str = "Ana") -> None:
        self.links: list[str] = []
        self.sessions = Sessions(ORIGIN, show_link=self.links.append)
        self.app = create_app(desk, self.sessions, demo=False)
        self.client = self.app.test_client()
        self.sessions.new_link()
        self.enter(self.links[-1])
        if who:
            self.post("/who", who=who)

    def enter(self, link: str):
        """Use a one-time link."""
        return self.client.get(link.removeprefix(ORIGIN), base_url=ORIGIN)

    def path(self, path: str) -> str:
        """A path of the desk below the secret one, where it is not there yet."""
        return path if path.startswith(self.sessions.path) else self.sessions.path + path

    @property
    def token(self) -> str:
        """The form token of this session."""
        cookie = self.client.get_cookie(self.sessions.cookie_name, domain="127.0.0.1", path=self.sessions.path)
        session = self.sessions.get(cookie.value if cookie else "")
        return session.token if session else ""

    def get(self, path: str, **headers: str):
        """Ask for a page."""
        return self.client.get(self.path(path), base_url=ORIGIN, headers=_headers(headers))

    def post(self, path: str, origin: str = ORIGIN, token: str | None = None, **fields: object):
        """Send a form, as a page of this desk would."""
        data = {"token": self.token if token is None else token, **fields}
        return self.client.post(
            self.path(path), base_url=ORIGIN, data=data, headers={"Origin": origin} if origin else {}
        )


def _headers(named: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in named.items()}


class Program:
    """`haumaru-desk serve` as a program, and a browser of a kind to speak to it."""

    def __init__(self, office_config: Path, *, env: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "app.desk.cli", "serve", "--config", str(office_config)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = re.search(r"(http://127\.0\.0\.1:(\d+))(/[\w-]{43})(/enter/\S+)", line)
        assert match, (line, self.process.stderr.read() if self.process.stderr else "")
        self.origin, self.port, self.link = match[1], int(match[2]), match[0]
        self.secret = match[3]  # with which the path of every page begins
        self._cookie = ""
        self._path = match[4]

    def url(self, path: str) -> str:
        """The address of a path, which is below the secret one or is given without it."""
        return self.origin + (path if path.startswith(self.secret) else self.secret + path)

    def enter(self, who: str) -> None:
        """Use the link, wait until the store is open, and say who is working."""
        _, headers, _ = self.request("GET", self._path)
        self._cookie = headers["Set-Cookie"].partition(";")[0]
        wait_for(lambda: b"Who is working" in self.request("GET", "/who")[2])
        self.token = re.search(rb'name="token" value="([^"]+)"', self.request("GET", "/who")[2])[1].decode()
        self.post("/who", who=who)

    def get(self, path: str) -> str:
        """The page at a path."""
        return self.request("GET", path)[2].decode()

    def post(self, path: str, **fields: object) -> tuple[int, str]:
        """Send a form; the status, and where it leads, below the secret path."""
        body = urlencode({"token": self.token, **fields}, doseq=True)
        status, headers, _ = self.request("POST", path, body)
        return status, headers.get("Location", "").removeprefix(self.secret)

    def request(self, method: str, path: str, body: str = "") -> tuple[int, Mapping[str, str], bytes]:
        """One request."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Cookie": self._cookie, "Origin": self.origin, "Content-Type": "application/x-www-form-urlencoded"}
        client.request(method, self.url(path).removeprefix(self.origin), body=body, headers=headers)
        answer = client.getresponse()
        data = answer.read()
        client.close()
        return answer.status, answer.headers, data

    def stop(self) -> tuple[str, str]:
        """End it as an operator would; what it said."""
        self.process.terminate()
        return self.process.communicate(timeout=60)


def run_desk(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one command of `haumaru-desk` in a process of its own, which closes itself off for good."""
    command = [sys.executable, "-m", "app.desk.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)


@contextmanager
def program(config: Path, **more) -> Iterator[Program]:
    """Run `haumaru-desk serve` until the block ends."""
    running = Program(config, **more)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


@contextmanager
def replying_program(site, folder: Path, *, every: str = "2s") -> Iterator[Program]:
    """Run the demonstration's desk in `folder`, entered, which posts to the site once in `every`."""
    env = {
        "DESK_PORT": "0",
        "HAUMARU_SITE_REPLIES": f"{site.base_url}/agency/replies",
        "HAUMARU_SITE_AGENCY": "example",
        "HAUMARU_SITE_EVERY": every,
    }
    with program(folder / "instance/demo/desk.toml", env=env) as desk:
        desk.enter("Example handler")
        yield desk


def first_tip(desk: Program) -> str:
    """Return the id of the first tip of a desk's queue, once there is one."""
    link = r'href="[^"]*/tips/([0-9a-z]{26})"'
    wait_for(lambda: re.search(link, desk.get("/")))
    return re.search(link, desk.get("/"))[1]


def wait_for(holds, seconds: float = 60.0) -> None:
    """Wait until something holds; fail if it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)
