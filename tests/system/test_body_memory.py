"""Memory under many large uploads: the real programs under the limit of their unit, and what each worker took."""

import os
import random
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.faults import report
from tests.support.paths import ROOT
from tests.support.site import Visitor, demonstration

UPLOAD = 95_000_000
BODY_MEMORY = 400_000_000
SLACK = 60_000_000  # what a worker takes for pages, threads and its first requests
UNIT = ROOT / "deploy" / "systemd" / "haumaru.service"
GROUPS = Path("/sys/fs/cgroup/memory") if Path("/sys/fs/cgroup/memory").is_dir() else Path("/sys/fs/cgroup")


def recording() -> bytes:
    """A sound recording of the length of the upload, of noise."""
    noise = random.Random(1).randbytes(1 << 20) * (UPLOAD >> 20)
    head = struct.pack("<IHHIIHH", 16, 1, 2, 44_100, 176_400, 4, 16)
    rest = b"WAVEfmt " + head + b"data" + struct.pack("<I", len(noise)) + noise
    return b"RIFF" + struct.pack("<I", len(rest)) + rest


@contextmanager
def unit_limit() -> Iterator[Path | None]:
    """A control group with the unit's MemoryMax, with this process in it; None where nobody may make one."""
    group = GROUPS / f"haumaru-test-{os.getpid()}"
    limit = int(re.search(r"^MemoryMax=(\d+)G$", UNIT.read_text(), re.MULTILINE)[1]) * 2**30
    names = ("memory.limit_in_bytes", "memory.max")
    home = own_group()
    try:
        group.mkdir()
        next(group / name for name in names if (group / name).exists()).write_text(str(limit))
        enter(group)
    except (OSError, StopIteration):
        yield None
        return
    try:
        yield group
    finally:
        enter(home)
        with suppress(OSError):
            group.rmdir()


def own_group() -> Path:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return GROUPS / next(line for line in lines if ":memory:" in line or "::" in line).rpartition(":")[2].lstrip("/")


def enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


def workers(pid: int) -> list[int]:
    """The processes below one, of whatever depth."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    return children + [grandchild for child in children for grandchild in workers(child)]


def memory(pid: int, field: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)[1]) * 1024


@pytest.mark.slow
def test_as_many_large_uploads_as_are_let_in_fit_the_unit(tmp_path):
    """Eight uploads of 95 MB at once, from eight networks, under the unit's limit: no worker takes more than
    `body_memory`, all of it is given back, some are taken, and every other page has the words.
    """
    variables = {
        "HAUMARU_SERVER_PROXIES": "1",
        "HAUMARU_SERVER_BODY_MEMORY": f"{BODY_MEMORY}B",
    }
    home = own_group()
    with unit_limit() as group, demonstration(tmp_path, **variables) as site:
        if group:
            enter(home)  # the memory of those who send is not the site's
        pids = [site.process.pid, *workers(site.process.pid)]
        before = {pid: memory(pid, "VmRSS") for pid in pids}
        data, pages = recording(), []

        def send(number: int) -> None:
            visitor = Visitor(site.base_url, X_Forwarded_For=f"198.51.{number}.1")
            checked = visitor.check({"what": f"with a recording {number}"})
            fields = [*checked.form("/report").fields, ("step", "send")]
            pages.append((number, visitor.post_files("/en/report", fields, [("a.wav", data)])))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = {pid: memory(pid, "VmHWM") - before[pid] for pid in pids}
        left = {pid: memory(pid, "VmRSS") - before[pid] for pid in pids}
        statuses = sorted(page.status for _, page in pages)
        report("eight uploads of 95 MB", statuses=statuses, most=max(took.values()), left=max(left.values()))
        assert len(pages) == 8
        assert set(statuses) == {200, 503}
        for number, page in pages:
            assert dict(page.form("/report").fields)["what"] == f"with a recording {number}"
        assert max(took.values()) < BODY_MEMORY + SLACK
        assert max(left.values()) < SLACK
        if group:
            failures = (group / "memory.failcnt", group / "memory.events")
            text = next(path.read_text() for path in failures if path.exists())
            assert re.fullmatch(r"0\n|(?s:.*)oom_kill 0\n(?s:.*)", text), text
