"""WSGI middleware that bounds request bodies before Flask sees a request.

A whole body is read into memory, never to a disk. The length, the pace and the number of bodies at once are limited;
places and memory are shared among networks, so that slow senders cannot take every thread and large bodies cannot take
all memory. Of a refused body the middleware keeps the beginning, which has the words of a form, and throws the rest
away as it comes. The application finds the status under `REFUSED` and answers with a page that has the words. If there
is no place even for that, the body is left unread.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from io import BytesIO
from time import monotonic
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from app.web.body_reader import BodyPace, BodyReader, ReaderThreads
from app.web.http import MAX_TEXT_BYTES, REFUSED, REFUSED_BYTES, WORDS_BYTES, is_query
from app.web.network_shares import NetworkShares

Networks = Callable[[WSGIEnvironment], Sequence[str]]
_MOST_SECONDS_WITHOUT_PLACE = 10.0
_MOST_THROWN_AWAY = 20  # times the limit of a body


class BodyRoom:
    """The room of one process for bodies: half of the server's `threads` read bodies, within `memory` bytes.

    A quarter of these places are never taken by bodies that are too long to be words alone. An eighth of the threads
    may wait for memory before they read a body.
    """

    def __init__(self, *, threads: int, memory: int) -> None:
        self.readers = NetworkShares(max(1, threads // 2))
        self.long_readers = NetworkShares(max(1, threads * 3 // 8))
        self.waiters = NetworkShares(max(1, threads // 8))
        self.memory = NetworkShares(memory, share=0.5, reserve=0.25)


class BodyLimiter:
    """Reads request bodies for an application: at most `max_body` bytes each, within a room.

    `hosts` are the values of Host that get an answer; None answers every value. `peak` returns the bytes of memory
    that a body of so many bytes takes until the answer, and `networks` the networks of a request, narrowest first.
    A body for which there is no memory is left unread for at most `patience` seconds, until there is some.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        hosts: frozenset[str] | None,
        room: BodyRoom,
        max_body: int,
        peak: Callable[[int], int] = int,
        networks: Networks = lambda _environ: (),
        pace: BodyPace | None = None,
        patience: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app, self._hosts, self._room = app, hosts, room
        self._max_body, self._peak, self._networks = max_body, peak, networks
        self._pace, self._patience, self._clock = pace or BodyPace(), patience, clock
        self._threads = ReaderThreads()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        untrusted_input, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH")
        environ["wsgi.input"] = BytesIO()
        known = self._hosts is None or environ.get("HTTP_HOST") in self._hosts or environ["PATH_INFO"] == "/healthz"
        if not (known and is_query(environ["QUERY_STRING"])):
            environ[REFUSED] = 400
        elif environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            environ["CONTENT_LENGTH"] = "0"
        elif length is None or not (length.isascii() and length.isdigit()):
            environ[REFUSED] = 411
        else:
            return self._answer_body(environ, start_response, untrusted_input, int(length))
        return self._app(environ, start_response)

    def _answer_body(
        self, environ: WSGIEnvironment, start_response: StartResponse, untrusted_input: Any, length: int
    ) -> Iterable[bytes]:
        """Read the body, reserve its memory until the answer is complete, and return the whole answer."""
        networks = self._networks(environ)
        peak = self._peak(length) if length > WORDS_BYTES else 0
        is_form_with_files = environ.get("CONTENT_TYPE", "").startswith("multipart/form-data")
        if length > (self._max_body if is_form_with_files else min(self._max_body, MAX_TEXT_BYTES)):
            environ[REFUSED], environ[REFUSED_BYTES] = 413, length
        elif peak and not self._take_memory(networks, peak):
            environ[REFUSED] = 503
        held = 0 if REFUSED in environ else peak
        try:
            self._read(environ, untrusted_input, length, networks)
            answer = self._app(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                getattr(answer, "close", lambda: None)()
        finally:
            environ["wsgi.input"].close()
            if held:
                self._room.memory.give_back(networks, held)

    def _take_memory(self, networks: Sequence[str], amount: int) -> bool:
        """Take memory for a body, and wait for it in line where this request may."""
        memory, waiters = self._room.memory, self._room.waiters
        if memory.wait_for(networks, amount, seconds=0):
            return True
        if not self._patience or not waiters.take(networks):
            return False
        try:
            return memory.wait_for(networks, amount, seconds=self._patience)
        finally:
            waiters.give_back(networks)

    def _read(self, environ: WSGIEnvironment, untrusted_input: Any, length: int, networks: Sequence[str]) -> None:
        environ["wsgi.input_terminated"] = True
        if not length:
            return
        taken = self._take_places(networks, long=length > WORDS_BYTES)
        if not taken or length > _MOST_THROWN_AWAY * self._max_body:
            environ[REFUSED] = environ.get(REFUSED, 503)
            self._give_back(networks, taken)
            return
        most = None
        if length > WORDS_BYTES and len(taken) == 1:
            environ[REFUSED], most = environ.get(REFUSED, 503), _MOST_SECONDS_WITHOUT_PLACE
        keep = WORDS_BYTES if REFUSED in environ else length
        ended = partial(self._give_back, networks, taken)
        reader = BodyReader(untrusted_input, length, keep=keep, ended=ended, threads=self._threads)
        status = reader.wait(self._pace, most=most, clock=self._clock)
        if status:
            environ.setdefault(REFUSED, status)
        environ["wsgi.input"] = reader.stream()
        environ["CONTENT_LENGTH"] = str(min(length, keep))

    def _take_places(self, networks: Sequence[str], *, long: bool) -> list[NetworkShares]:
        """Take a place among all readers, and a long body's place among long ones; return where places were taken."""
        wanted = [self._room.readers, *([self._room.long_readers] if long else [])]
        taken: list[NetworkShares] = []
        for places in wanted:
            if not places.take(networks):
                break
            taken.append(places)
        return taken

    def _give_back(self, networks: Sequence[str], taken: Sequence[NetworkShares]) -> None:
        for places in taken:
            places.give_back(networks)
