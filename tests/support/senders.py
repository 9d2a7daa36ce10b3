"""People without a browser who send tips to sites that may fail, and the ledger of what the sites told them."""

import http.client
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from urllib.parse import urlencode

from PIL import Image

from tests.support.faults import PATIENCE, report
from tests.support.site import Visitor

TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')


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


def send_photographs(port: int, whats: list[str]) -> tuple[Ledger, Callable[[], bool]]:
    """Send these one after another in the background, each with a photograph that takes several parts."""
    ledger, faults = Ledger(), []
    photograph = BytesIO()
    Image.frombytes("RGB", (400, 400), random.randbytes(3 * 400 * 400)).save(photograph, "PNG")

    def work() -> None:
        try:
            for what in whats:
                _send_photograph(Visitor(f"http://127.0.0.1:{port}"), what, photograph.getvalue(), ledger)
        except Exception as fault:  # noqa: BLE001  # told where it is waited for
            faults.append(fault)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def done() -> bool:
        assert not faults, faults
        return not thread.is_alive()

    return ledger, done


def _send_photograph(visitor: Visitor, what: str, photograph: bytes, ledger: Ledger) -> None:
    """Hold a tip and confirm it with the same page until that is acknowledged."""
    end, held = time.monotonic() + PATIENCE, None
    while True:
        assert time.monotonic() < end, f"never acknowledged: {what}"
        try:
            if held is None:
                fields = [*visitor.check({"what": what}).form("/report").fields, ("step", "send")]
                page = visitor.post_files("/en/report", fields, [("photograph.png", photograph)])
                held = page if page.heading == "Not sent yet" else None
            status = (
                visitor.post("/en/report", [*held.form("/report").fields, ("step", "confirm")]).status if held else 0
            )
        except (OSError, http.client.HTTPException):
            ledger.broken += 1
            time.sleep(0.2)
            continue
        # 409: it was sent before, by a confirmation whose answer never came.
        if status in {200, 409}:
            ledger.acknowledged.add(what)
            return
        ledger.refused += 1
        time.sleep(0.2)
