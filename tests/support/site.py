"""The real programs, started as `make run` starts them, and a visitor without a browser."""

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from app.desk.envelopes import open_envelope
from app.vault.age_open import read_identity_file
from app.vault.tip_bundles import Words
from tests.support.paths import BIN
from tests.support.ports import free_port
from tests.support.visit import Document, Element, check

STARTED_WITHIN = 90


@dataclass
class Running:
    """A site that serves: its address, the folder it keeps things in, and all that it has printed."""

    base_url: str
    folder: Path
    process: subprocess.Popen
    log: Path
    _seen: set[str] = field(default_factory=set)
    _opened: list[dict] = field(default_factory=list)

    @property
    def inbox(self) -> Path:
        return self.folder / "instance" / "demo" / "inbox"

    def delivered(self) -> list[dict]:
        """Every tip that has reached the inbox so far, each opened once by the agency's own command.

        Decoys are deleted, as a desk deletes them: a demonstration whose inbox holds over 2,000 files pauses.
        """
        identity = self.folder / "instance" / "demo" / "identity.txt"
        new = {path for path in self.inbox.glob("*.age") if path.name not in self._seen}
        decoys = {path for path in new if _is_decoy(path, identity)}
        for path in decoys:
            path.unlink()
        self._seen |= {path.name for path in new - decoys}
        self._opened += open_all(sorted(new - decoys), identity)
        return self._opened

    def tip(self, what: str, seconds: float = 60) -> dict:
        """The delivered tip that says this, once it is there."""
        until = time.monotonic() + seconds
        while True:
            for tip in self.delivered():
                if tip["answers"].get("what") == what:
                    return tip
            assert time.monotonic() < until, f"no such tip was delivered; {self.log.read_text()}"
            time.sleep(0.3)


def _is_decoy(path: Path, identity: Path) -> bool:
    keys = [str(each) for each in read_identity_file(identity.read_bytes(), None)]
    opened = open_envelope(path.read_bytes(), keys)
    return isinstance(opened, Words) and opened.tip.decoy


def open_all(envelopes: list[Path], identity: Path) -> list[dict]:
    """Every tip in these envelopes, opened by `haumaru-desk open`."""
    if not envelopes:
        return []
    command = [str(BIN / "haumaru-desk"), "open", *map(str, envelopes), "-i", str(identity)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def unmeasured() -> dict[str, str]:
    """This environment, in which coverage does not measure a program: a site starts in about half the time."""
    return {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}


@contextmanager
def demonstration(
    folder: Path, *, program: Path | None = None, measured: bool = False, **variables: str
) -> Iterator[Running]:
    """`haumaru demo` in a folder of its own, with `HAUMARU_…` variables over it; coverage sees it where `measured`."""
    port, log = free_port(), folder / "demo.log"
    env = {
        **(os.environ if measured else unmeasured()),
        "PORT": str(port),
        "HAUMARU_REPORT_MIN_FILL": "0s",
        "HAUMARU_FORWARD_WINDOW": "2s",
        # All visitors of a test come from one address, and each worker counts its own part of a share.
        "HAUMARU_LIMITS_PER_ADDRESS": "1000/hour",
        **variables,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program or BIN / "haumaru", "demo"], cwd=folder, env=env, stdout=output, stderr=output
        )
    running = Running(f"http://127.0.0.1:{port}", folder, process, log)
    try:
        wait_until_up(running.base_url, process, log)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_up(base_url: str, process: subprocess.Popen, log: Path) -> None:
    """Return once /healthz answers; fails with the log where the program ended."""
    until = time.monotonic() + STARTED_WITHIN
    while True:
        try:
            urllib.request.urlopen(f"{base_url}/healthz", timeout=2).close()
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        else:
            return


@dataclass
class Form:
    """A form's address and the fields that a browser would send with it, buttons left out."""

    action: str
    fields: list[tuple[str, str]]
    steps: list[str]


@dataclass
class Answer:
    """One answer, checked by the harness where it is a page."""

    status: int
    headers: dict[str, str]
    text: str
    document: Document | None

    @property
    def words(self) -> str:
        """The text that a person reads."""
        return self.document.text if self.document else self.text

    @property
    def heading(self) -> str:
        """The page's one h1."""
        assert self.document
        return self.document.one("h1").text

    @property
    def receipt_code(self) -> str:
        """The receipt code that the page shows, in English words."""
        return re.search(r'id="receipt-code"[^>]*>([^<]+)<', self.text)[1].strip()

    def form(self, action_end: str, step: str = "") -> Form:
        """The first form whose action ends so and that has this step, as a browser would send it untouched."""
        assert self.document
        elements = [e for e in self.document.all("form") if e.attrs.get("action", "").endswith(action_end)]
        forms = (self._form_of(element) for element in elements)
        return next(form for form in forms if not step or step in form.steps)

    def _form_of(self, element: Element) -> Form:
        assert self.document
        inside = [e for e in self.document.elements if e.within("form") is element]
        return Form(
            element.attrs["action"],
            [(e.attrs["name"], _value(e)) for e in inside if _is_sent(e)],
            [e.attrs["value"] for e in inside if e.tag == "button" and e.attrs.get("name") == "step"],
        )


def _is_sent(element: Element) -> bool:
    if element.tag not in ("input", "textarea") or not element.attrs.get("name"):
        return False
    kind = element.attrs.get("type", "text")
    return kind != "file" and (kind not in ("checkbox", "radio") or "checked" in element.attrs)


def _value(element: Element) -> str:
    # The parser of HTML drops one line break that follows the tag.
    return "".join(element.pieces).removeprefix("\n") if element.tag == "textarea" else element.attrs.get("value", "")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Visitor:
    """Somebody with a browser that has no cookies and no scripts, and says truly where a form came from."""

    def __init__(self, base_url: str, **headers: str) -> None:
        self.base_url = base_url
        self.headers = {"Sec-Fetch-Site": "same-origin", **{k.replace("_", "-"): v for k, v in headers.items()}}
        self._opener = urllib.request.build_opener(_NoRedirect)

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask(urllib.request.Request(self.base_url + path, headers={**self.headers, **headers}))

    def post(self, path: str, fields, **headers: str) -> Answer:
        pairs = list(fields.items()) if isinstance(fields, dict) else fields
        data = urlencode(pairs).encode()
        return self._ask(urllib.request.Request(self.base_url + path, data=data, headers={**self.headers, **headers}))

    def post_raw(self, path: str, data: bytes, content_type: str, **headers: str) -> Answer:
        headers = {**self.headers, "Content-Type": content_type, **headers}
        return self._ask(urllib.request.Request(self.base_url + path, data=data, headers=headers))

    def post_files(self, path: str, fields, files: list[tuple[str, bytes]], **headers: str) -> Answer:
        """A multipart form with files, as a browser sends it."""
        line = b"--haumarutestboundary\r\n"
        parts = [
            line + f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value.encode() + b"\r\n"
            for name, value in (fields.items() if isinstance(fields, dict) else fields)
        ]
        parts += [
            line
            + f'Content-Disposition: form-data; name="files"; filename="{name}"\r\n'.encode()
            + b"Content-Type: application/octet-stream\r\n\r\n"
            + data
            + b"\r\n"
            for name, data in files
        ]
        body = b"".join(parts) + b"--haumarutestboundary--\r\n"
        return self.post_raw(path, body, "multipart/form-data; boundary=haumarutestboundary", **headers)

    def _ask(self, request: urllib.request.Request) -> Answer:
        try:
            response = self._opener.open(request, timeout=120)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            text = response.read().decode("utf-8", "replace")
            names = [name.lower() for name in response.headers]
            assert len(names) == len(set(names)), f"{request.full_url}: a header stands twice: {sorted(names)}"
            headers = {name.lower(): value for name, value in response.headers.items()}
        document = None
        if headers.get("content-type", "").startswith("text/html") and "location" not in headers:
            document = Document(text)
            check(document, request.selector, self.base_url, found=response.status == 200)
            assert "no-store" in headers["cache-control"]
        assert request.selector == "/go" or "set-cookie" not in headers
        return Answer(response.status, headers, text, document)

    # The ways through the report.

    def check(self, answers, lang: str = "en") -> Answer:
        """Open the form, fill it in, and ask for the look before sending."""
        form = self.get(f"/{lang}/report").form("/report")
        return self.post(f"/{lang}/report", [*without(form.fields, answers), *pairs(answers), ("step", "check")])

    def send(self, answers, lang: str = "en", *, remove: tuple[str, ...] = ()) -> Answer:
        """The whole way of a tip without files."""
        checked = self.check(answers, lang)
        assert checked.status == 200, checked.words
        fields = [*checked.form("/report").fields, *(("remove", value) for value in remove), ("step", "send")]
        return self.post(f"/{lang}/report", fields)


def pairs(answers) -> list[tuple[str, str]]:
    """Fields as pairs; a list of values becomes one pair each."""
    items = answers.items() if isinstance(answers, dict) else answers
    return [(k, v) for k, value in items for v in (value if isinstance(value, list | tuple) else [value])]


def without(fields, answers) -> list[tuple[str, str]]:
    """The form's own fields, but for those that are filled in."""
    names = {name for name, _ in pairs(answers)}
    return [(name, value) for name, value in fields if name not in names]
