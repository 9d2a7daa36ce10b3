"""The real programs, started as `make run` starts them, and a visitor without a browser."""

import html
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
STARTED_WITHIN = 90


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Running:
    """A site that serves: its address, the folder it keeps things in, and all that it has printed."""

    base_url: str
    folder: Path
    process: subprocess.Popen
    log: Path

    @property
    def inbox(self) -> Path:
        return self.folder / "instance" / "demo" / "inbox"

    def envelopes(self, count: int, seconds: float = 60) -> list[Path]:
        """The delivered envelopes, once there are `count` of them."""
        until = time.monotonic() + seconds
        while len(found := sorted(self.inbox.glob("*.age"))) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} envelopes; {self.log.read_text()}"
            time.sleep(0.1)
        return found

    def tips(self, count: int, seconds: float = 60) -> list[dict]:
        """What the agency's own command prints of the delivered tips, once there are `count` of them."""
        until = time.monotonic() + seconds
        while True:
            found = open_all(sorted(self.inbox.glob("*.age")), self.folder / "instance" / "demo" / "identity.txt")
            if len(found) >= count:
                return found
            assert time.monotonic() < until, f"{len(found)} of {count} tips; {self.log.read_text()}"
            time.sleep(0.3)


def open_all(envelopes: list[Path], identity: Path) -> list[dict]:
    """Every tip in these envelopes, opened by `haumaru-desk open`."""
    if not envelopes:
        return []
    command = [str(BIN / "haumaru-desk"), "open", *map(str, envelopes), "-i", str(identity)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def demonstration(folder: Path, **variables: str) -> Iterator[Running]:
    """`haumaru demo` in a folder of its own, with `HAUMARU_…` variables over it."""
    port, log = free_port(), folder / "demo.log"
    env = {**os.environ, "PORT": str(port), "HAUMARU_REPORT_MIN_FILL": "0s", "HAUMARU_FORWARD_WINDOW": "2s", **variables}
    with log.open("wb") as output:
        process = subprocess.Popen([str(BIN / "haumaru"), "demo"], cwd=folder, env=env, stdout=output, stderr=output)
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
class Answer:
    """One answer: status, headers, text, and the forms in it."""

    status: int
    headers: dict[str, str]
    text: str
    forms: list["Form"] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The text that a person reads, white space folded."""
        bare = re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.text, flags=re.S)
        return re.sub(r"\s+", " ", html.unescape(bare))

    def form(self, action_end: str) -> "Form":
        """The first form whose action ends so."""
        return next(form for form in self.forms if form.action.endswith(action_end))


@dataclass
class Form:
    """A form's address and the fields that a browser would send with it, buttons left out."""

    action: str
    fields: list[tuple[str, str]]
    steps: list[str]


class _Forms(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self._area = [], None

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "form":
            self.forms.append(Form(values.get("action", ""), [], []))
        elif not self.forms:
            return
        elif tag == "input" and values.get("name"):
            kind = values.get("type", "text")
            if kind in ("checkbox", "radio") and "checked" not in values or kind == "file":
                return
            self.forms[-1].fields.append((values["name"], values.get("value", "")))
        elif tag == "textarea":
            self._area = [values["name"], ""]
        elif tag == "button" and values.get("name") == "step" and "form" not in values:
            self.forms[-1].steps.append(values["value"])

    def handle_data(self, data):
        if self._area:
            self._area[1] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.forms[-1].fields.append((self._area[0], self._area[1].removeprefix("\n")))
            self._area = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
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
            headers = {name.lower(): value for name, value in response.headers.items()}
        parser = _Forms()
        parser.feed(text)
        return Answer(response.status, headers, text, parser.forms)

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
