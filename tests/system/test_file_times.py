"""What the file system notes by itself: no file of the program, and none of its data, says when a tip came."""

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.support.paths import ROOT
from tests.support.site import Running, Visitor, demonstration
from tests.support.visit import KNOWN

LONG_AGO = 1_000_000_000  # 2001
SETTLED_WITHIN = 20
PROGRAM = ("app", "content", "translations")


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Iterator[Running]:
    """The demonstration, run from a copy of the program whose times nothing else touches."""
    folder = tmp_path_factory.mktemp("times")
    for name in PROGRAM:
        shutil.copytree(ROOT / name, folder / "program" / name, ignore=shutil.ignore_patterns("__pycache__"))
    program = folder / "haumaru"
    program.write_text(f"#!{sys.executable}\nfrom app.site.cli import main\nmain()\n")
    program.chmod(0o700)
    path = {"PYTHONPATH": str(folder / "program"), "PYTHONDONTWRITEBYTECODE": "1"}
    # One worker: the site answers as soon as its first worker has read everything, while a second one may still read.
    one = {"HAUMARU_SERVER_WORKERS": "1"}
    with demonstration(folder, program=program, **one, **path) as running:
        visitor = Visitor(running.base_url)
        for _ in range(8):  # so that every thread has answered somebody before
            visitor.get("/en/report")
        yield running


def program_files(running: Running) -> list[Path]:
    return [path for path in (running.folder / "program").rglob("*") if path.is_file()]


def forget_readings(running: Running) -> None:
    """Set the access time of each file of the program back: the next reading is noted, whatever the mount."""
    for path in program_files(running):
        os.utime(path, (LONG_AGO, path.stat().st_mtime))


def files_read(running: Running) -> list[str]:
    return [str(path) for path in program_files(running) if path.stat().st_atime != LONG_AGO]


def data_times(running: Running) -> dict[str, tuple[float, float]]:
    """The times of the last change and the last reading of each file of the data that is there from the start."""
    folder = running.folder / "instance" / "demo"
    paths = [path for path in folder.iterdir() if path.is_file()]
    return {path.name: (path.stat().st_mtime, path.stat().st_atime) for path in paths}


def test_a_reading_would_be_noted(copied):
    """The file system of this test notes that a file was read: the test below can fail."""
    forget_readings(copied)
    (copied.folder / "program" / "app" / "site" / "cli.py").read_bytes()
    assert [Path(each).name for each in files_read(copied)] == ["cli.py"]


def test_no_first_tip_of_a_language_leaves_its_time(copied):
    """A tip in each language, with a receipt code, and a look for a reply leave no time on any file."""
    visitor = Visitor(copied.base_url)
    before = data_times(copied)
    midnight = datetime.now(ZoneInfo("Pacific/Auckland")).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    for lang in KNOWN:
        forget_readings(copied)
        sent = visitor.send({"what": "They call from 021 555 0199, or +86 138 0013 8000.", "reply": "yes"}, lang)
        assert sent.status == 200
        assert visitor.get(f"/{lang}/reply").status == 200
        assert visitor.get(f"/{lang}/nothing").status == 404
        assert files_read(copied) == [], lang
    until = time.monotonic() + SETTLED_WITHIN
    while True:
        after = data_times(copied)
        found = {name: times for name, times in after.items() if name.startswith("outbox.db")}
        if {changed for changed, _ in found.values()} == {midnight} or time.monotonic() > until:
            break
        time.sleep(0.1)
    assert {changed for changed, _ in found.values()} == {midnight}
    assert all(read - midnight > 22 * 3600 for _, read in found.values())
    others = {name: times for name, times in after.items() if name not in found}
    assert others == {name: before[name] for name in others}


# Runs alone, so that nothing was imported or read by another test: sends one tip of each kind in each language.
_AUDITED = """
    import sys
    from pathlib import Path
    from app.delivery.receipt_codes import make_code
    from tests.support.visit import open_site

    opened = set()

    def note(event, arguments):
        if event in ("open", "import") and running:
            opened.add(f"{event} {arguments[0]}")

    def hidden(page):
        inputs = page.document.all("input")
        return {each.attrs["name"]: each.attrs["value"] for each in inputs if each.attrs["type"] == "hidden"}

    running = False
    code = make_code(bytes(10))
    site = open_site(Path(sys.argv[1]), REPORT_MIN_FILL="0s", LIMITS_PER_ADDRESS="1000/hour")
    sys.addaudithook(note)
    running = True
    for lang in site.languages:
        form = hidden(site.get(f"/{lang}/report"))
        what = "My name is Anna: 021 555 0199, +86 138 0013 8000, +679 912 3456, 49-098-576, ZAC5361."
        for step in ("check", "send", "send", "nonsense"):
            answers = {"what": what, "reply": "yes"} if lang == "mi" else {"what": what}
            site.post(f"/{lang}/report", {**form, **answers, "step": step})
        for step in ("confirm", "extend", "discard", "kept"):
            site.post(f"/{lang}/report", {**form, "what": what, "step": step, "draft": "0" * 32})
        form = hidden(site.get(f"/{lang}/reply"))
        for step in ("read", "answer", "send", "confirm", "done") if lang == "mi" else ("read",):
            site.post(f"/{lang}/reply", {**form, "code": code, "what": "More.", "step": step})
        site.get(f"/{lang}/plan?pillar=prevention")
        site.get(f"/{lang}/nothing")
    site.post("/go", {"leave": "now"})
    running = False
    memory = str(site.prerendered.config.memory.folder)
    print("\\n".join(sorted(each for each in opened if memory not in each)))
"""


@pytest.mark.slow
def test_no_request_opens_a_file_of_the_program(tmp_path):
    """Every step of report and reply, in each language, opens and imports nothing but what is in the memory store."""
    script = textwrap.dedent(_AUDITED)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
