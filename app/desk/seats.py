"""The seats of one desk: in memory while the desk is open, in one sealed and signed file on the disk.

Each change happens under one lock: it is written, then journaled, then published; where the journal fails, the file is
as before. Sealing alone proves nothing, because anybody may seal to the desk's public key: so the desk signs the file,
and the journal holds the number of its last change, by which an older file in its place is found. A supervisor changes
the seats of others, never one's own, and at least one supervisor always stays. Each link that is given takes away who
stood behind the seat before.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import SignatureError
from app.delivery.clock import nz_day
from app.desk.errors import RefusedError
from app.desk.journal import Journal, JournalEntry
from app.desk.seat import (
    MACHINE,
    PassphraseVerifier,
    Role,
    Seat,
    SeatBacker,
    SeatLink,
    SeatNews,
    SecurityKey,
    decode_seats,
    encode_seats,
    name_form,
    read_seat_name,
)
from app.desk.store import SealedStore
from app.vault.signature import SignatureContext, public_bytes, sign, verify

LINK_SECONDS = 24 * 3600
_FILE = "seats.age"
_MAX_SEATS = 200
_MAX_BROWSERS = 8
_MAX_KEYS = 5  # of one seat
_MARK = "seats:"  # before the number of the change, at the end of each line of the journal about seats

SeatTransition = Callable[[Seat], Seat]


class Seats:
    """Every seat of one desk; hold the store's lock while you use it.

    Raises RefusedError `journal` where the file of seats was changed, or is older than the journal says.
    """

    def __init__(
        self, store: SealedStore, journal: Journal, key: Ed25519PrivateKey, *, clock: Callable[[], float]
    ) -> None:
        self._store, self._journal, self._key, self._clock = store, journal, key, clock
        self._lock = threading.RLock()
        self._seats, self._version = self._read()
        known = _last_version(journal)
        if self._version < known:
            raise RefusedError("journal")
        if self._version > known:  # the power failed between the file and the journal
            journal.write(JournalEntry(MACHINE, "seats-found", "", f"{_MARK}{self._version}"))

    def all(self) -> tuple[Seat, ...]:
        """Return every seat, the oldest first."""
        return tuple(self._seats.values())

    def get(self, untrusted_id: str) -> Seat:
        """Return one seat; raises RefusedError `seat-gone`."""
        seat = self._seats.get(untrusted_id)
        if seat is None:
            raise RefusedError("seat-gone")
        return seat

    def named(self, untrusted_name: str) -> Seat | None:
        """Return the seat of a name, however its capital letters and spaces are typed, or None."""
        form = name_form(untrusted_name)
        return next((one for one in self._seats.values() if name_form(one.name) == form), None)

    # What supervisors do.

    def add(self, by: Seat | None, untrusted_name: str, role: Role) -> tuple[Seat, str]:
        """Return a new seat and the code of its one-time link; `by` is None at the desk's own machine.

        Raises RefusedError `seat-name`, `seat-taken` or `seats-full`.
        """
        with self._lock:
            self._require_supervisor(by)
            name = read_seat_name(untrusted_name)
            if self.named(name):
                raise RefusedError("seat-taken")
            if len(self._seats) >= _MAX_SEATS:
                raise RefusedError("seats-full")
            code, link = self._new_link()
            handle, backers = secrets.token_bytes(32), (self._backer(by),)
            seat = Seat(secrets.token_hex(8), name, role, handle, link=link, backers=backers)
            told = self._told({}, "seat-added", seat, by.name if by else MACHINE)
            self._keep({**told, seat.id: seat}, by, "seat-added", seat, role)
            return self._seats[seat.id], code

    def recover(self, by: Seat | None, seat_id: str, version: int) -> str:
        """Take the passphrase and the keys of a seat away, and return the code of a new one-time link."""
        code, link = self._new_link()
        self._change(
            by,
            seat_id,
            version,
            "seat-recovered",
            lambda now: replace(now, verifier=None, keys=(), browsers=(), link=link, backers=(self._backer(by),)),
        )
        return code

    def set_role(self, by: Seat | None, seat_id: str, version: int, role: Role) -> None:
        """Give a seat another role."""
        self._change(by, seat_id, version, "seat-role", lambda now: replace(now, role=role), what=role)

    def set_disabled(self, by: Seat | None, seat_id: str, version: int, *, disabled: bool) -> None:
        """Close a seat to its person, or open it again; a link that is open ends."""
        did = "seat-disabled" if disabled else "seat-enabled"
        self._change(by, seat_id, version, did, lambda now: replace(now, disabled=disabled, link=None))

    # What colleagues do.

    def confirm(self, by: Seat | None, seat_id: str, version: int) -> None:
        """Note that `by` has spoken with the person who uses a seat, and stands behind the seat from today.

        Raises RefusedError `seat-changed`, `seat-not-used`, `own-seat`, `not-counted` where the seat of `by` does not
        count, or `seat-confirmed` where `by` stands behind the seat already.
        """
        with self._lock:
            now, backer = self._unchanged(seat_id, version), self._backer(by)
            if by and by.id == seat_id:
                raise RefusedError("own-seat")
            if not backer.counted:
                raise RefusedError("not-counted")
            if not now.handles_tips:
                raise RefusedError("seat-not-used")
            if now.is_backed_by(backer.name):
                raise RefusedError("seat-confirmed")
            changed = {now.id: replace(now, backers=(*now.backers, backer))}
            self._keep(self._told(changed, "seat-confirmed", now, backer.name), by, "seat-confirmed", now)

    # What the person of a seat does.

    def find_link(self, untrusted_code: str) -> Seat:
        """Return the seat of a one-time link that still works; raises RefusedError `seat-link`."""
        digest, now = _digest(untrusted_code), self._clock()
        for one in self._seats.values():
            if one.link and one.link.digest == digest and now < one.link.ends and not one.disabled:
                return one
        raise RefusedError("seat-link")

    def enrol(self, untrusted_code: str, verifier: PassphraseVerifier, key: SecurityKey, browser: str) -> Seat:
        """Use a one-time link up: the seat gets its passphrase and its first key; raises RefusedError `seat-link`."""
        with self._lock:
            seat = self.find_link(untrusted_code)
            enrolled = replace(
                seat,
                verifier=verifier,
                keys=(key,),
                link=None,
                browsers=(_digest(browser),),
                version=seat.version + 1,
            )
            self._keep({seat.id: enrolled}, enrolled, "seat-enrolled", enrolled)
            return self._seats[seat.id]

    def add_key(self, seat: Seat, key: SecurityKey) -> None:
        """Add a further key to a seat, as it was when its person typed the passphrase; all supervisors are told.

        Raises RefusedError `seat-changed`, or `many-keys` where the seat has five keys.
        """
        with self._lock:
            now = self._unchanged(seat.id, seat.version)
            if len(now.keys) >= _MAX_KEYS:
                raise RefusedError("many-keys")
            changed = {now.id: replace(now, keys=(*now.keys, key))}
            self._keep(self._told(changed, "seat-key-added", now, now.name), now, "seat-key-added", now)

    def note_sign_in(self, seat: Seat, key: SecurityKey, browser: str) -> Seat:
        """Keep the sign count of the key with which a person signs in, and that the browser is known to the seat.

        Raises RefusedError `seat-changed` where the seat was changed, or the key used, since the key was asked.
        """
        with self._lock:
            now = self._key_used(seat, key)
            browsers = tuple(dict.fromkeys((*now.browsers, _digest(browser))))[-_MAX_BROWSERS:]
            self._keep({now.id: replace(now, browsers=browsers)}, now, "signed-in", now)
            return self._seats[now.id]

    def change_passphrase(self, seat: Seat, verifier: PassphraseVerifier, key: SecurityKey, browser: str) -> Seat:
        """Give a seat another passphrase after its person typed the present one and used `key`; supervisors are told.

        Every session ends, and no browser but this one is known to the seat. Raises as `note_sign_in` does.
        """
        with self._lock:
            now = self._key_used(seat, key)
            changed = replace(now, verifier=verifier, browsers=(_digest(browser),), version=now.version + 1)
            self._keep(self._told({now.id: changed}, "seat-passphrase", now, now.name), now, "seat-passphrase", now)
            return self._seats[now.id]

    def note_copied_key(self, seat: Seat) -> None:
        """Journal that a key looks copied, and tell the person and every supervisor."""
        with self._lock:
            self._keep(self._told({seat.id: self.get(seat.id)}, "copied-key", seat, MACHINE), None, "copied-key", seat)

    def forget_news(self, seat: Seat) -> None:
        """Note that the person of a seat has read the news."""
        with self._lock:
            self._write({**self._seats, seat.id: replace(self.get(seat.id), news=())}, self._version)

    # The one way to change.

    def _change(
        self, by: Seat | None, seat_id: str, version: int, did: str, transition: SeatTransition, *, what: str = ""
    ) -> None:
        """Change a seat as somebody saw it at `version`; its person and every supervisor are told.

        Raises RefusedError `seat-changed`, `own-seat`, `last-supervisor` and `seat-gone`.
        """
        with self._lock:
            self._require_supervisor(by)
            now = self._unchanged(seat_id, version)
            if by and by.id == seat_id:
                raise RefusedError("own-seat")
            changed = replace(transition(now), version=now.version + 1)
            others = [one for one in self._seats.values() if one.id != seat_id and one.supervises]
            if by and not others and not changed.supervises:
                raise RefusedError("last-supervisor")
            self._keep(self._told({seat_id: changed}, did, now, by.name if by else MACHINE), by, did, now, what)

    def _require_supervisor(self, by: Seat | None) -> None:
        """Raise RefusedError `role` unless `by` is a supervisor now, under the lock of every change."""
        if by and not self.get(by.id).supervises:
            raise RefusedError("role")

    def _backer(self, by: Seat | None) -> SeatBacker:
        """Return how somebody stands behind a seat from today; whoever uses the machine has the desk's keys."""
        day = nz_day(self._clock()).isoformat()
        return SeatBacker(by.name, day, self.get(by.id).counts) if by else SeatBacker(MACHINE, day, counted=True)

    def _key_used(self, seat: Seat, key: SecurityKey) -> Seat:
        """Return a seat as it is now, with the sign count of the key that was used; raises `seat-changed`."""
        now = self._unchanged(seat.id, seat.version)
        if seat.keys != now.keys:
            raise RefusedError("seat-changed")
        return replace(now, keys=tuple(key if one.credential == key.credential else one for one in now.keys))

    def _unchanged(self, seat_id: str, version: int) -> Seat:
        seat = self.get(seat_id)
        if seat.version != version:
            raise RefusedError("seat-changed")
        return seat

    def _told(self, changed: Mapping[str, Seat], did: str, seat: Seat, by: str) -> dict[str, Seat]:
        news = SeatNews(did, seat.name, by)
        readers = {one.id: one for one in self._seats.values() if one.supervises} | dict(changed)
        return {name: replace(one, news=one.with_news(news)) for name, one in readers.items()}

    def _keep(self, changed: Mapping[str, Seat], by: Seat | None, did: str, seat: Seat, what: str = "") -> None:
        before, version = self._seats, self._version + 1
        self._write({**before, **changed}, version)
        try:
            codes = " ".join(part for part in (f"seat:{seat.id}", what, f"{_MARK}{version}") if part)
            self._journal.write(JournalEntry(by.name if by else MACHINE, did, "", codes))
        except Exception:
            self._seats, self._version = before, version - 1
            with suppress(RefusedError):  # a disk that is full for the journal may be full for this, too
                self._write(before, version - 1)
            raise

    def _write(self, seats: dict[str, Seat], version: int) -> None:
        data = encode_seats(seats, version)
        self._store.write(_FILE, data + b"\n" + sign(SignatureContext.SEATS, data, self._key).encode())
        self._seats, self._version = seats, version

    def _read(self) -> tuple[dict[str, Seat], int]:
        try:
            data, signature = self._store.read(_FILE).split(b"\n")
            verify(SignatureContext.SEATS, data, signature, public_bytes(self._key))
            return decode_seats(data)
        except FileNotFoundError:
            return {}, 0
        except (SignatureError, ValueError, KeyError, TypeError):
            raise RefusedError("journal") from None

    def _new_link(self) -> tuple[str, SeatLink]:
        code = secrets.token_urlsafe(32)
        return code, SeatLink(_digest(code), int(self._clock()) + LINK_SECONDS)


def seat_knows(seat: Seat, untrusted_browser: str) -> bool:
    """Return whether the person of a seat has signed in before in the browser that holds this secret."""
    return _digest(untrusted_browser) in seat.browsers


def _last_version(journal: Journal) -> int:
    marks = (one.what.rpartition(_MARK) for one in journal.entries if _MARK in one.what)
    return max((int(mark[2]) for mark in marks), default=0)


def _digest(untrusted_secret: str) -> str:
    return sha256(untrusted_secret.encode("utf-8", "replace")).hexdigest()
