"""Whole deployments to be broken: programs that can be killed, senders who keep count, a clock that is moved by hand.

LONG=1 makes the tests that use `scale` run as long as their figures in docs/holds.md; without it they take seconds.
"""

import os
import random
import re
import resource
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.site import demo
from app.site.config import Config, load_config
from app.vault.age_open import unseal
from app.vault.bundle import first_member
from app.vault.keys import DEMONSTRATION
from app.vault.part import read_part
from app.vault.tip_bundles import from_bundles, read_words
from tests.support.paths import BIN
from tests.support.site import unmeasured

LONG = bool(os.environ.get("LONG"))
LIMITS = {"HAUMARU_LIMITS_PER_ADDRESS": "10000000/hour"}
PATIENCE = 180


def scale(short: int, long: int) -> int:
    """How often: `short` in `make test`, `long` where LONG is set."""
    return long if LONG else short


def report(title: str, **figures: object) -> None:
    """Say what was counted; it is shown by `pytest -s` and kept in the file that HOLDS names."""
    line = f"{title}: " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
    print(line)
    if os.environ.get("HOLDS"):
        with Path(os.environ["HOLDS"]).open("a") as file:
            file.write(line + "\n")


def until(done: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait for what must come, and say what did not."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.1)


@dataclass
class Clock:
    """A clock that stands until it is moved, either way."""

    now: float = 1_795_326_000.0  # a multiple of ten minutes: 2026-11-22, 18:40 in New Zealand

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Let seconds pass."""
        self.now += seconds


class Program:
    """One of our commands in a process group of its own; killing it kills its workers too."""

    def __init__(self, *arguments: str | Path, folder: Path, env: dict[str, str]) -> None:
        self._command, self._folder, self._env = [str(BIN / "haumaru"), *map(str, arguments)], folder, env
        self.log = folder / f"{arguments[0]}-{random.getrandbits(32):08x}.log"
        self.start()

    def start(self) -> None:
        """Start it, anew if it ran before."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._env, stdout=output, stderr=output, start_new_session=True
            )

    def kill(self) -> None:
        """End it and its children as a power cut would."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to end; returns its status."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """The program itself, then its children."""
        return [self._process.pid, *children(self._process.pid)]

    @property
    def workers(self) -> list[int]:
        """The server's own children, without those that clean a file for them."""
        return direct_children(self._process.pid)

    def kill_a_worker(self) -> None:
        """End one worker as the kernel would that is out of memory; the program starts another."""
        with suppress(ProcessLookupError, IndexError):
            victim = random.choice(self.workers)
            os.kill(victim, signal.SIGKILL)
            until(lambda: victim not in self.workers, "a worker's end")

    def limit_files(self, size: int) -> None:
        """Let no file of this program grow beyond `size` bytes (-1: any), as a disk without room would."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def memory(self) -> int:
        """Bytes that it and its children hold, shared pages counted by share."""
        return memory(self._process.pid)


def memory(pid: int) -> int:
    """Bytes that a process and those that it has started hold, shared pages counted by share."""
    rollups = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in (pid, *children(pid)))
    return sum(int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1]) * 1024 for rollup in rollups)


def processor_seconds(pid: int) -> float:
    """Seconds of processor time that a process and those that it has started have taken."""
    stats = (Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in (pid, *children(pid)))
    return sum(int(each[11]) + int(each[12]) for each in stats) / os.sysconf("SC_CLK_TCK")


def direct_children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found += map(int, task.read_text().split())
    return found


def children(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    return [each for child in direct_children(pid) for each in (child, *children(child))]


class Deployment:
    """A folder with a configuration, an inbox, and the programs that run there."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder, self.config = folder, demo.prepare_folder(folder / "demo")
        self.inbox = self.config.parent / "inbox"
        plain = {"HAUMARU_REPORT_MIN_FILL": "0s", "HAUMARU_FORWARD_WINDOW": "1s", **LIMITS}
        self.variables = {**plain, **variables}
        self.programs: list[Program] = []

    @property
    def settings(self) -> Config:
        return load_config(self.config, self.variables)

    def program(self, *arguments: str, **variables: str) -> Program:
        """Start one of our commands on this configuration."""
        env = {**unmeasured(), **self.variables, **variables}
        self.programs.append(Program(*arguments, "--config", self.config, folder=self.folder, env=env))
        return self.programs[-1]

    def site(self, port: int) -> Program:
        """Start a site; `up` waits for it."""
        address = f"127.0.0.1:{port}"
        own = {"HAUMARU_SITE_BASE_URL": f"http://{address}", "HAUMARU_SERVER_BIND": address}
        return self.program("serve", **{**own, **self.variables})

    def forwarder(self) -> Program:
        """Start a forwarder."""
        return self.program("forward")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [BIN / "haumaru", *arguments, "--config", self.config]
        env = {**unmeasured(), **self.variables}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def waiting(self) -> int:
        """How many envelopes wait in the outbox."""
        outbox = Outbox(self.settings.outbox_url)
        try:
            return sum(one.waiting for one in Leases(outbox.database).status().agencies.values())
        finally:
            outbox.database.close()

    def drain(self) -> None:
        """Deliver all that waits, the claims of the killed included."""

        def emptied() -> bool:
            done = self.run("forward", "--once")
            assert done.returncode == 0, done.stderr
            return self.waiting() == 0

        until(emptied, "an empty outbox")

    def wait_for(self, tips: set[str]) -> None:
        """Wait until forwarders, at their pace, have brought every one of these tips to the inbox, whole."""
        until(lambda: tips <= self.delivered().keys(), "every acknowledged tip", PATIENCE * scale(1, 4))

    def delivered(self) -> Counter[str]:
        """What every tip in the inbox says, each opened and its id compared with its name; decoys left out."""
        return delivered(self.inbox)


def delivered(inbox: Path) -> Counter[str]:
    """What every whole tip in a folder says, each envelope opened and its id compared with its name; no decoys."""
    words, parts = [], []
    for file in inbox.glob("*.age"):
        bundle = unseal(file.read_bytes(), [DEMONSTRATION])
        if first_member(bundle) == "part.json":
            parts.append(read_part(bundle))
            assert parts[-1].id == file.stem
        else:
            words.append(read_words(bundle))
            assert words[-1].tip.id == file.stem
    said: Counter[str] = Counter()
    for one in words:
        proven = [part for part in parts if one.proves(part)]
        if not one.tip.decoy and len({part.number for part in proven}) == one.part_count:
            said[str(from_bundles(one, proven).answers["what"])] += 1
    return said


@contextmanager
def deployment(folder: Path, **variables: str) -> Iterator[Deployment]:
    """A deployment whose programs are gone on leaving."""
    one = Deployment(folder, **variables)
    try:
        yield one
    finally:
        for program in one.programs:
            program.stop()


def up(port: int, program: Program) -> None:
    """Wait until a site answers."""

    def answers() -> bool:
        assert program.runs, program.log.read_text()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
        except OSError:
            return False
        return True

    until(answers, f"a site on {port}")
