"""Whole deployments to be broken: programs that can be killed, senders who keep count, a clock that is moved by hand.

LONG=1 makes the tests that use `scale` run as long as their figures in docs/holds.md; without it they take seconds.
"""

import http.client
import os
import random
import re
import resource
import signal
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from app.delivery.leases import Leases
from app.delivery.outbox import Outbox
from app.site import demo
from app.site.config import Config, load_config
from app.vault.age_open import unseal
from app.vault.keys import DEMONSTRATION
from app.vault.tip import tip_from_bundle
from tests.support.paths import BIN

LONG = bool(os.environ.get("LONG"))
LIMITS = {"HAUMARU_LIMITS_PER_ADDRESS": "10000000/hour", "HAUMARU_LIMITS_TOTAL": "10000000/hour"}
TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')
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

    def kill_a_worker(self) -> None:
        """End one child as the kernel would that is out of memory; the program starts another."""
        with suppress(ProcessLookupError, IndexError):
            victim = random.choice(self.pids[1:])
            os.kill(victim, signal.SIGKILL)
            until(lambda: victim not in self.pids, "a worker's end")

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


def children(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for child in map(int, task.read_text().split()):
                found += [child, *children(child)]
    return found


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
        env = {**os.environ, **self.variables, **variables}
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
        env = {**os.environ, **self.variables}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def waiting(self) -> int:
        """How many envelopes wait in the outbox."""
        outbox = Outbox(self.settings.outbox_url)
        try:
            return sum(one.waiting for one in Leases(outbox.database).status(time.time()).agencies.values())
        finally:
            outbox.database.close()

    def drain(self) -> None:
        """Deliver all that waits, the claims of the killed included."""

        def emptied() -> bool:
            done = self.run("forward", "--once")
            assert done.returncode == 0, done.stderr
            return self.waiting() == 0

        until(emptied, "an empty outbox")

    def delivered(self) -> Counter[str]:
        """What every tip in the inbox says, each opened and its id compared with its name; decoys left out."""
        return delivered(self.inbox)


def delivered(inbox: Path) -> Counter[str]:
    """What every tip in a folder says, each opened and its id compared with its name; decoys left out."""
    said: Counter[str] = Counter()
    for file in inbox.glob("*.age"):
        tip = tip_from_bundle(unseal(file.read_bytes(), [DEMONSTRATION]))
        if tip.decoy:
            continue
        assert tip.id == file.stem
        said[str(tip.answers["what"])] += 1
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


@dataclass
class Ledger:
    """What senders were told: acknowledged, refused, and how often a connection broke before the answer."""

    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0
    broken: int = 0

    def settle(self, title: str, found: Counter[str], **figures: object) -> None:
        """Compare with what was delivered; every acknowledged tip must be there, and none twice."""
        lost = self.acknowledged - found.keys()
        doubled = {what for what, times in found.items() if times > 1}
        counts = {"acknowledged": len(self.acknowledged), "delivered": len(found), "lost": len(lost)}
        report(title, **counts, doubled=len(doubled), refused=self.refused, broken=self.broken, **figures)
        assert self.acknowledged
        assert not lost, f"lost: {sorted(lost)[:3]}"
        assert not doubled, f"twice: {sorted(doubled)[:3]}"


class Sender:
    """Somebody without a browser who sends tips to one site after another and notes what they are told."""

    def __init__(self, ports: list[int], ledger: Ledger, *, source: str = "127.0.0.1", **headers: str) -> None:
        self._ports, self._ledger, self._source = ports, ledger, source
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection: http.client.HTTPConnection | None = None

    def send(self, what: str, *, patience: float = PATIENCE) -> None:
        """Send until it is acknowledged, with the same form as long as that is possible."""
        end = time.monotonic() + patience
        token = ""
        while True:
            assert time.monotonic() < end, f"never acknowledged: {what}"
            try:
                token = token or self.token(what)
                status, _ = self._ask({"what": what, "step": "send", "csrf_token": token})
            except (OSError, http.client.HTTPException):
                self._ledger.broken += 1
                self.close()
                time.sleep(0.2)
                continue
            # 409: it was sent before, by a form whose answer never came.
            if status in {200, 409}:
                self._ledger.acknowledged.add(what)
                return
            self._ledger.refused += 1
            time.sleep(0.2)

    def once(self, what: str) -> int:
        """Send once; returns the status of the answer to the last step, or of the check if that was refused."""
        try:
            token = self.token(what)
        except AssertionError as refused:
            self._ledger.refused += 1
            return int(str(refused))
        status, _ = self._ask({"what": what, "step": "send", "csrf_token": token})
        if status == 200:
            self._ledger.acknowledged.add(what)
        else:
            self._ledger.refused += 1
        return status

    def token(self, what: str) -> str:
        """The form's token after the look before sending."""
        status, page = self._ask(None)
        assert status == 200, status
        status, page = self._ask({"what": what, "step": "check", "csrf_token": TOKEN.search(page)[1].decode()})
        assert status == 200, status
        return TOKEN.search(page)[1].decode()

    def page(self, fields: dict[str, str]) -> tuple[int, str]:
        """The answer to one step, as text."""
        status, page = self._ask(fields)
        return status, page.decode()

    def close(self) -> None:
        """Hang up."""
        if self._connection:
            self._connection.close()
        self._connection = None

    def _ask(self, fields: dict[str, str] | None) -> tuple[int, bytes]:
        if self._connection is None:
            port = random.choice(self._ports)
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=60, source_address=(self._source, 0)
            )
        headers = {"Sec-Fetch-Site": "same-origin", **self._headers}
        if fields is None:
            self._connection.request("GET", "/en/report", headers=headers)
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            self._connection.request("POST", "/en/report", body=urlencode(fields), headers=headers)
        answer = self._connection.getresponse()
        page = answer.read()
        # The other site may answer the next step: the form's token is good on every node.
        if len(self._ports) > 1:
            self.close()
        return answer.status, page


def send_all(ports: list[int], whats: list[str], *, at_once: int = 4) -> tuple[Ledger, Callable[[], bool]]:
    """Send all of these from several senders in the background; returns what they note and whether they are done."""
    ledger, left, faults = Ledger(), iter(list(whats)), []
    lock = threading.Lock()

    def work() -> None:
        sender = Sender(ports, ledger)
        try:
            while True:
                with lock:
                    what = next(left, None)
                if what is None:
                    return
                sender.send(what)
        except Exception as fault:  # noqa: BLE001  # told where it is waited for
            faults.append(fault)
        finally:
            sender.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()

    def done() -> bool:
        assert not faults, faults
        return not any(thread.is_alive() for thread in threads)

    return ledger, done


def words(number: int) -> list[str]:
    """So many tips, each like no other and in several scripts."""
    return [f"Tip {n}: ten beds in one room. 十张床。 दस बिस्तर. {random.random()}" for n in range(number)]
