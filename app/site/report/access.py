"""Receipt codes of a request: read from the form, and opened to the place and the key of their replies.

A derivation takes 64 MiB and a tenth of a second, so one runs at a time and few wait, shared fairly among the networks
of visitors. Senders and readers have places of their own: no number of readers keeps a sender out.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from app.core.errors import CodeError
from app.delivery.receipt_codes import DerivationQueue, Locator, ReceiptCode, ReceiptKeys, parse_code
from app.site.report.code_fields import typed_code
from app.site.report.responses import ReportContext
from app.vault.tip import TipId
from app.web.network_shares import NetworkShares

_WAITING = 8


@dataclass(frozen=True)
class ReplyAccess:
    """What a receipt code opens: where its replies are, the 32-byte key to them, and the ids of its envelopes."""

    code: ReceiptCode = field(repr=False)
    locator: Locator
    key: bytes = field(repr=False)
    envelope_id: Callable[[int], TipId] = field(repr=False)


class SharedDerivations:
    """One derivation at a time in this process, and at most eight requests that wait, shared by network.

    Requests with one code, as two presses of one button send them, are one derivation.
    """

    def __init__(self, context: ReportContext) -> None:
        self._context = context
        self._queue = DerivationQueue(waiting=_WAITING)
        self._places = NetworkShares(_WAITING + 1, draw=context.visitors.draw)
        self._running: dict[ReceiptCode, Future[ReceiptKeys]] = {}
        self._lock = threading.Lock()

    def derive(self, code: ReceiptCode) -> ReceiptKeys:
        """Return the secrets of a code; raises BusyError where too many requests wait."""
        with self._lock:
            running = self._running.get(code)
            mine = self._running.setdefault(code, Future())
        if running is not None:
            return running.result()
        try:
            with self._context.place(self._places):
                mine.set_result(self._queue.derive(code))
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._running[code]
        return mine.result()


def read_code(name: str = "code") -> ReceiptCode:
    """Return the receipt code in a field of the request; raises CodeError."""
    return parse_code(typed_code(name))


def given_code(name: str = "code") -> ReceiptCode | None:
    """Return the receipt code in a field of the request, None where there is none."""
    try:
        return read_code(name)
    except CodeError:
        return None
