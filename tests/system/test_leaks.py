"""What is never kept: a tip driven through the running server, and every byte that the machine keeps searched for it.

Each thing that could say who somebody is carries a marker of its own: source address, headers, cookies, every
field, file names and what hides in files, a path that fails. None may be found afterwards, in any coding; and a
marker that is planted is found, so that the search is known to be able to fail.
"""

import base64
import contextlib
import gzip
import http.client
import os
import secrets
import signal
import time
import wave
import zlib
from email import policy
from email.parser import BytesParser
from io import BytesIO
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.delivery.receipt_codes import new_code
from app.site.config import load_config
from tests.support.faults import children
from tests.support.paths import read_below
from tests.support.servers import Certificates, smtp
from tests.support.site import Answer, Visitor, demonstration, open_all

SOURCE = "127.77.66.55"
BEGIN = (("sign", "signs-1"), ("step", "begin"))
FIELDS = ("what", "where", "when", "people", "victims", "how-known")


def new_marker(name: str) -> str:
    """A word that occurs nowhere else, of letters that no cleaning touches."""
    return f"mrk{name.replace('-', '')}" + "".join(secrets.choice("bcdfghkmnpqrstvwxz") for _ in range(12))


def codings(marker: str) -> list[bytes]:
    """A marker as it could stand on a disk: plain, wide, in hexadecimal, in base64 at any offset."""
    raw = marker.encode()
    shifted = []
    for by in range(3):
        letters = base64.b64encode(b"\0" * by + raw).rstrip(b"=")
        # The letters at either end also hold bits of their neighbours.
        shifted.append(letters[by + bool(by) : len(letters) - bool((by + len(raw)) % 3)])
    return [raw, raw.upper(), marker.encode("utf-16-le"), raw.hex().encode(), *shifted]


def find(markers: dict[str, str], *roots: Path) -> list[str]:
    """Which marker stands in which file below these folders, also in what can be unpacked; with each file's name."""
    found = []
    for path, data in read_below(roots).items():
        views = [data, str(path).encode(), *unpacked(data)]
        found += [
            f"{name} in {path.name}"
            for name, marker in markers.items()
            if any(coded in view for coded in codings(marker) for view in views)
        ]
    return found


def unpacked(data: bytes) -> list[bytes]:
    with contextlib.suppress(OSError, EOFError, zlib.error):
        return [gzip.decompress(data)]
    return []


class Marked:
    """A visitor every one of whose traits is a marker, from an address of its own."""

    def __init__(self, base_url: str) -> None:
        self.markers = {
            name: new_marker(name) for name in ("agent", "referer", "language", "cookie", "forwarded", "path")
        }
        self.markers |= {name: new_marker(name) for name in (*FIELDS, "query", "unknown", "website", "code", "said")}
        self.netloc = urlsplit(base_url).netloc
        self.base_url = base_url

    def headers(self) -> dict[str, str]:
        m = self.markers
        return {
            "User-Agent": f"Mozilla/5.0 {m['agent']}",
            "Referer": f"https://example.org/{m['referer']}",
            "Accept-Language": f"en-x-{m['language'][:8]}, en;q=0.9, {m['language']}",
            "Cookie": f"session={m['cookie']}",
            "X-Forwarded-For": f"{m['forwarded']}, 10.9.8.7",
            "Forwarded": f"for={m['forwarded']}",
            "X-Real-IP": m["forwarded"],
            "Sec-Fetch-Site": "same-origin",
            "Origin": self.base_url,
        }

    def ask(self, method: str, path: str, fields=None) -> tuple[int, str]:
        """One request from the marked address."""
        connection = http.client.HTTPConnection(self.netloc, timeout=60, source_address=(SOURCE, 0))
        body = urlencode(fields).encode() if fields is not None else None
        headers = self.headers() | ({"Content-Type": "application/x-www-form-urlencoded"} if body else {})
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def answers(self) -> dict[str, str]:
        return {name: f"It is so: {self.markers[name]} and no more" for name in FIELDS}


def drive(marked: Marked, visitor: Visitor) -> None:
    """Tips that are sent, and every way of one that is not."""
    form = visitor.get("/en/report").form("/report")
    fields = [(name, value) for name, value in form.fields if name not in FIELDS]
    report = [*fields, *marked.answers().items(), ("reply", "yes")]
    status, text = marked.ask("POST", f"/en/report?{marked.markers['query']}", [*report, ("step", "check")])
    assert status == 200
    assert marked.markers["what"] in text
    statuses = [
        marked.ask("POST", "/en/report", [*report, ("step", "send")])[0],
        marked.ask("POST", "/en/report", [*report, ("step", "send")])[0],
        marked.ask("POST", "/en/report", [*report, ("step", marked.markers["unknown"])])[0],
        marked.ask("POST", "/en/report", [*report, ("website", marked.markers["website"]), ("step", "send")])[0],
        marked.ask("POST", "/en/report", [("what", marked.markers["what"]), ("csrf_token", "x"), ("step", "send")])[0],
        marked.ask("POST", "/en/report", [*report, ("where", "x" * 2_000), ("step", "confirm")])[0],
        marked.ask("POST", "/en/report", [("sign", marked.markers["unknown"]), *marked.answers().items(), *BEGIN])[0],
        marked.ask("GET", f"/en/{marked.markers['path']}")[0],
        marked.ask("POST", "/en/reply", [*fields, ("code", marked.markers["code"]), ("step", "read")])[0],
        marked.ask("POST", "/agency/replies", [("message", marked.markers["what"])])[0],
        marked.ask("POST", "/go", {})[0],
    ]
    assert statuses == [200, 409, 400, 400, 400, 410, 200, 404, 422, 403, 303], statuses


def drive_answer(marked: Marked, visitor: Visitor) -> None:
    """An answer under a code, with words for a question that the desk asked."""
    marked.markers["receipt"] = code = new_code()
    form = visitor.get("/en/reply").form("/reply")
    fields = [(name, value) for name, value in form.fields if name != "code"]
    said = f"They speak {marked.markers['said']} there"
    answer = [*fields, ("code", code), ("asked", "languages"), ("q-languages", said)]
    for step in ("answer", "send"):
        status, _ = marked.ask("POST", "/en/reply", [*answer, ("step", step)])
        assert status == 200


def drive_files(marked: Marked, visitor: Visitor, path: str) -> None:
    """Tips with files: one sent, one left waiting, one destroyed; names, words and metadata all marked.

    Before that the picture is covered and the voice changed; in the tip that is sent a word is taken out of the text.
    They are reports or answers under a code, by the path of the form.
    """
    end = path.removeprefix("/en")
    own = {name: new_marker(name) for name in ("filename", "filetext", "comment", "badfile")}
    marked.markers |= {f"{name} of {end}": marker for name, marker in own.items()}
    picture = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(picture, "PNG", pnginfo=commented(own["comment"]))
    files = [
        (f"{own['filename']}.png", picture.getvalue()),
        (f"{own['filename']}.txt", f"Write to {own['filetext']}@example.org.".encode()),
        (f"{own['filename']}.wav", silence()),
        (f"{own['filename']}.jpg", b"\xff\xd8\xff\xe0" + own["badfile"].encode()),
    ]
    for step in ("confirm", "extend", "discard"):
        looked_at = look(marked, visitor, path, f"{marked.markers['what']} with files, {step} of {end}")
        held = visitor.post_files(path, [*looked_at.form(end).fields, ("step", "send")], files)
        assert held.heading == "Not sent yet"
        assert own["filename"] in held.text
        (thumbnail,) = (element.attrs["src"] for element in held.document.all("img"))
        marked.markers[f"thumbnail of {end}"] = thumbnail[-60:-12]
        box = held.document.one("input", name="cut").attrs["value"]
        changes = [("cover:1", []), ("paint:1:0", [("grid", "4-4"), ("box", "1-1")]), ("lower:3", [])]
        for name, more in [*changes, *([("cut", [("cut", box)])] if step == "confirm" else [])]:
            changed = visitor.post(path, [*held.form(end).fields, *more, ("step", name)])
            assert changed.status == 200, changed.words
        done = visitor.post(path, [*held.form(end).fields, ("step", step)])
        assert done.status == 200


def look(marked: Marked, visitor: Visitor, path: str, what: str) -> Answer:
    """The look before a report, or before an answer under the code of the other answers, is sent."""
    if path == "/en/report":
        return visitor.check({"what": what})
    fields = [(name, value) for name, value in visitor.get(path).form("/reply").fields if name != "code"]
    code = marked.markers["receipt"]
    return visitor.post(path, [*fields, ("code", code), ("what", what), ("step", "answer")])


def silence() -> bytes:
    """Half a second of a recording."""
    target = BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(8_000))
    return target.getvalue()


def commented(words: str) -> PngInfo:
    """PNG text chunks that say these words."""
    info = PngInfo()
    info.add_text("Comment", words)
    return info


@pytest.fixture
def kept(tmp_path):
    """A machine's folders, empty: where it is run, its temporary folder, its home."""
    folders = {name: tmp_path / name for name in ("run", "tmp", "home")}
    for folder in folders.values():
        folder.mkdir()
    return folders


@pytest.mark.slow
def test_nothing_of_a_visitor_is_kept(kept):
    """Tips that pass, fail and break leave no trace of their sender or their words on the machine."""
    places = {"TMPDIR": str(kept["tmp"]), "HOME": str(kept["home"])}
    with demonstration(kept["run"], **places) as site:
        marked, visitor = Marked(site.base_url), Visitor(site.base_url)
        drive(marked, visitor)
        drive_answer(marked, visitor)
        for end in ("/report", "/reply"):
            drive_files(marked, visitor, f"/en{end}")
            with_files = site.tip(f"{marked.markers['what']} with files, confirm of {end}")
            paths = [file["path"] for file in with_files["files"]]
            assert (paths, with_files.get("number")) == (
                ["files/1.png", "files/2.txt", "files/3.m4a"],
                2 if end == "/reply" else None,
            )
        answers_to = with_files["answers_to"]
        tip = site.tip(marked.answers()["what"])
        assert tip["answers"] == marked.answers()
        everything = {
            **marked.markers,
            "address": SOURCE,
            "key": tip["reply"]["key"],
            "locator": tip["reply"]["locator"],
            "answers to": answers_to,
            "answer key": with_files["reply"]["key"],
        }
        memory = load_config(site.folder / "instance" / "demo" / "haumaru.toml", {}).memory.folder
        assert any(memory.iterdir()), "the memory store is searched too, held tips among it"
        assert find(everything, *kept.values(), memory) == []
        assert open_files_outside(site.process.pid, kept["run"]) == []
        break_the_database(site.folder / "instance" / "demo" / "outbox.db")
        form = visitor.get("/en/report").form("/report")
        fields = [(name, value) for name, value in form.fields if name not in FIELDS]
        status, text = marked.ask("POST", "/en/report", [*fields, *marked.answers().items(), ("step", "send")])
        assert (status, "could not keep your report safe" in text) == (503, True)
        crash_a_worker(site.process.pid)
        time.sleep(1)
    assert "code=" in site.log.read_text()
    assert find(everything, *kept.values()) == []


def test_the_search_finds_a_planted_leak(kept):
    """Each coding of a marker is found where it is planted, so that finding none means something."""
    marker = new_marker("planted")
    base64s = [base64.b64encode(b"x" * by + marker.encode() + b"y" * by) for by in range(4)]
    for number, coded in enumerate([*codings(marker), *base64s, gzip.compress(marker.encode())]):
        path = kept["run"] / f"log.{number}"
        path.write_bytes(coded if coded[:2] == b"\x1f\x8b" else b"at 10:00 somebody wrote " + coded + b"!")
        assert find({"planted": marker}, *kept.values()) == [f"planted in log.{number}"]
        path.unlink()
    (kept["tmp"] / marker).write_bytes(b"")
    assert find({"planted": marker}, *kept.values()) == [f"planted in {marker}"]


@pytest.mark.slow
def test_a_leaky_server_would_be_caught(kept):
    """The same drive through a server that logs its requests leaves markers, and the search finds them."""
    with demonstration(kept["run"], HAUMARU_SITE_OPERATOR="leaky") as site:
        marked = Marked(site.base_url)
        leak = kept["run"] / "access.log"
        status, text = marked.ask("GET", f"/en/{marked.markers['path']}")
        leak.write_text(
            f"{SOURCE} GET /en/{marked.markers['path']} {status} {marked.headers()['User-Agent']}\n{text[:10]}"
        )
        found = find({**marked.markers, "address": SOURCE}, *kept.values())
        assert {line.split(" in ")[0] for line in found} == {"path", "agent", "address"}


@pytest.mark.slow
def test_a_delivered_mail_says_nothing_but_that_there_is_one(kept, tmp_path):
    """A tip that goes by mail leaves nothing of its sender in a header, a name, or a time finer than the day."""
    certificates = Certificates(tmp_path)
    with smtp(certificates) as (port, mailbox):
        delivery = {
            "HAUMARU_AGENCY_EXAMPLE_DELIVER": f"smtp+starttls://localhost:{port}/?to=desk@example.org",
            "HAUMARU_AGENCY_EXAMPLE_CA": str(certificates.ca),
        }
        with demonstration(kept["run"], **delivery) as site:
            marked = Marked(site.base_url)
            drive(marked, Visitor(site.base_url))
            until = time.monotonic() + 60
            tips: list[dict] = []
            while not any(tip["answers"] == marked.answers() for tip in tips):
                assert time.monotonic() < until, site.log.read_text()
                time.sleep(0.3)
                tips = opened_mails(mailbox, tmp_path / "mails", site.folder)
            for number, mail in enumerate(mailbox.mails):
                (kept["run"] / f"{number}.eml").write_bytes(mail)
            assert find({**marked.markers, "address": SOURCE}, *kept.values()) == []
            days = {line for mail in mailbox.mails for line in mail.split(b"\r\n") if line.startswith(b"Date:")}
            assert all(b"00:00:00" in day for day in days)


def opened_mails(mailbox, folder: Path, run: Path) -> list[dict]:
    """What the agency opens from the mails' attachments."""
    folder.mkdir(exist_ok=True)
    for mail in list(mailbox.mails):
        message = BytesParser(policy=policy.default).parsebytes(mail)
        for part in message.iter_attachments():
            (folder / part.get_filename()).write_bytes(part.get_content())
    return open_all(sorted(folder.glob("*.age")), run / "instance" / "demo" / "identity.txt")


def open_files_outside(pid: int, folder: Path) -> list[str]:
    """Regular files that the site's processes hold open for writing, beside the demonstration's own."""
    outside = []
    for process in [pid, *children(pid)]:
        for handle in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(handle.readlink())
                flags = int((Path(f"/proc/{process}/fdinfo") / handle.name).read_text().split()[3], 8)
                if target.startswith("/") and flags & (os.O_WRONLY | os.O_RDWR):
                    ours = target.startswith((str(folder), "/dev/", "/memfd:"))
                    outside += [] if ours else [target]
    return outside


def break_the_database(path: Path) -> None:
    """Overwrite a database and its log in place with zeros, as a failing disk would."""
    for one in (path, path.with_name(path.name + "-wal")):
        with one.open("r+b") as file:
            file.write(b"\0" * one.stat().st_size)


def crash_a_worker(pid: int) -> None:
    """End one process as a fault in a library would, which would leave its memory in a core file."""
    for child in children(pid)[:1]:
        os.kill(child, signal.SIGSEGV)
