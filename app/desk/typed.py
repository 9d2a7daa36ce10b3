"""What a handler types and has not saved: kept sealed in the store, for that handler and tip alone, for seven days.

One text is one form of one window, in a file with a random name; a disk shows neither tip nor handler, and days alone.
A window replaces only its own text, and the text from which it went on, so that two windows of one person lose
nothing. A text ends when it is saved, sent or thrown away, and with its tip: none outlives a tip that was destroyed or
locked away. It never leaves the desk, and no journal or export has it. A file that does not open is left until its
seven days are over, as an identity may be missing.
"""

import json
import re
import secrets
import threading
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta

from app.delivery.clock import nz_day
from app.desk.arrival_notice import find_shown
from app.desk.cases import Cases
from app.desk.errors import RefusedError

TYPED_FOLDER = "typed"
KEPT_DAYS = 7
MAX_TYPED = 500_000  # characters of all the fields of one form
MAX_OF_HANDLER = 60  # texts; beyond it the one that nobody has typed in for longest goes
MAX_TYPED_OF_HANDLER = 4_000_000  # characters of all of them, likewise
_BLOCK_BYTES = 4096  # the length of a file shows the length of its text no finer
_MAX_ENDED = 1000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORDS = re.compile(r"text(-\d+)?|summary|terms|boxes")

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TypedText:
    """The fields of one form of a tip, as one window had them last; `number` counts what the window has sent."""

    handler: str
    tip: str
    form: str
    window: str
    fields: Fields = ()
    number: int = 0
    day: date = date.min

    def first(self, name: str) -> str:
        """Return the first value of a field, "" where there is none."""
        return next((value for field, value in self.fields if field == name), "")

    @property
    def length(self) -> int:
        """How many characters the fields have."""
        return sum(len(name) + len(value) for name, value in self.fields)

    @property
    def words(self) -> str:
        """What somebody typed into the fields for texts, without marks and ticks."""
        return "\n\n".join(value for field, value in self.fields if _WORDS.fullmatch(field) and value.strip())


class TypedTexts:
    """The texts in one store that nobody has saved; safe for threads."""

    def __init__(self, cases: Cases) -> None:
        self._store, self._cases = cases.store, cases
        self._texts: dict[str, TypedText | None] = {}  # by file name, the newest last; None does not open
        self._ended: dict[str, None] = {}  # windows whose text was saved: what they sent before that comes too late
        self._lock = threading.RLock()

    def load(self) -> None:
        """Open every text, once the cases are open; those of tips that are gone are destroyed. Raises RefusedError."""
        with self._lock:
            for name in self._store.list_names(TYPED_FOLDER):
                self._texts[name] = self._read(name)
            self._texts = dict(sorted(self._texts.items(), key=lambda one: one[1].day if one[1] else date.min))
            self.drop_ended()

    def keep(self, untrusted_text: TypedText, *, continues: str = "") -> None:
        """Keep a text, in the place of the earlier one of its window and of the one from which the window went on.

        A text that comes too late, or says nothing, is not kept. Raises RefusedError `gone`, `objectionable`,
        `too-long`, `disk-full` or `disk`; then the earlier text is as it was.
        """
        text = replace(_checked(untrusted_text), day=self._cases.today())
        with self._lock:
            self._cases.get(text.tip).require_shown()
            former = self._named(text.handler, text.tip, text.form, {text.window})
            if text.window in self._ended or any(one.number >= text.number for _, one in former):
                return
            replaced = [name for name, _ in self._named(text.handler, text.tip, text.form, {text.window, continues})]
            if text.fields:
                name = former[0][0] if former else f"{secrets.token_hex(16)}.age"
                self._store.write(_path(name), _encode(text))
                self._texts.pop(name, None)
                self._texts[name] = text
                replaced = [one for one in replaced if one != name]
            self._delete(replaced)
            self._bound(text.handler)
            self.drop_ended()

    def of(self, handler: str, tip: str, form: str) -> list[TypedText]:
        """Return what a handler has not saved of one form of a tip, the newest first; never another handler's."""
        with self._lock:
            return [text for _, text in reversed(self._named(handler, tip, form))]

    def forms(self, handler: str, tip: str) -> frozenset[str]:
        """Return of which forms of a tip a handler has texts that are not saved."""
        with self._lock:
            return frozenset(
                one.form for one in self._texts.values() if one and (one.handler, one.tip) == (handler, tip)
            )

    def end(self, handler: str, tip: str, form: str, windows: Collection[str]) -> None:
        """Destroy what a handler's windows had, because it was saved, sent or thrown away; raises RefusedError."""
        with self._lock:
            for window in windows:
                self._ended[window] = None
            while len(self._ended) > _MAX_ENDED:
                self._ended.pop(next(iter(self._ended)))
            self._delete(name for name, _ in self._named(handler, tip, form, windows))

    def drop_ended(self) -> None:
        """Destroy the texts of tips that were destroyed or locked away; raises RefusedError."""
        with self._lock:
            over = [name for name, one in self._texts.items() if one and find_shown(self._cases, one.tip) is None]
            self._delete(over)

    def overdue(self) -> list[str]:
        """Return the names of the texts in which nobody has typed for seven days."""
        limit = self._cases.today() - timedelta(days=KEPT_DAYS)
        with self._lock:
            days = {name: one.day if one else self._file_day(name) for name, one in self._texts.items()}
        return [_path(name) for name, day in days.items() if day <= limit]

    def destroy(self, names: Collection[str]) -> None:
        """Destroy those of the named texts that are still overdue; raises RefusedError."""
        with self._lock:
            self._delete(name.removeprefix(f"{TYPED_FOLDER}/") for name in self.overdue() if name in names)

    def _named(
        self, handler: str, tip: str, form: str, windows: Collection[str] | None = None
    ) -> list[tuple[str, TypedText]]:
        key = (handler, tip, form)
        found = [(name, one) for name, one in self._texts.items() if one and (one.handler, one.tip, one.form) == key]
        return [(name, one) for name, one in found if windows is None or one.window in windows]

    def _bound(self, handler: str) -> None:
        texts = {name: one for name, one in self._texts.items() if one and one.handler == handler}
        left, length = len(texts), sum(one.length for one in texts.values())
        for name, one in texts.items():
            if left <= MAX_OF_HANDLER and length <= MAX_TYPED_OF_HANDLER:
                break
            left, length = left - 1, length - one.length
            self._delete([name])

    def _delete(self, names: Iterable[str]) -> None:
        over = [name for name in names if name in self._texts]
        if over:
            self._store.delete([_path(name) for name in over])
            for name in over:
                del self._texts[name]

    def _file_day(self, name: str) -> date:
        """Return the day that a file shows, which is the day on which it was written."""
        try:
            return nz_day((self._store.folder / _path(name)).stat().st_mtime)
        except FileNotFoundError:
            return self._cases.today()

    def _read(self, name: str) -> TypedText | None:
        with suppress(RefusedError, FileNotFoundError, ValueError, KeyError, TypeError):
            raw = json.loads(self._store.read(_path(name)))
            fields = tuple((str(field), str(value)) for field, value in raw.pop("fields"))
            return TypedText(**raw | {"fields": fields, "day": date.fromisoformat(raw["day"])})
        return None


def _path(name: str) -> str:
    return f"{TYPED_FOLDER}/{name}"


def _checked(untrusted_text: TypedText) -> TypedText:
    """Return a text whose names have the form of ours; raises RefusedError `gone` or `too-long`."""
    if not (_NAME.fullmatch(untrusted_text.form) and _NAME.fullmatch(untrusted_text.window)):
        raise RefusedError("gone")
    if untrusted_text.length > MAX_TYPED:
        raise RefusedError("too-long")
    return replace(untrusted_text, fields=tuple((_whole(name), _whole(value)) for name, value in untrusted_text.fields))


def _whole(untrusted_text: str) -> str:
    """Return a text in which U+FFFD stands for each half of a character, which UTF-8 cannot hold (RFC 3629, 3)."""
    return untrusted_text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _encode(text: TypedText) -> bytes:
    """Return a text as JSON, filled with spaces to whole blocks."""
    data = json.dumps(asdict(text) | {"day": text.day.isoformat()}, ensure_ascii=False).encode()
    return data.ljust(-(-len(data) // _BLOCK_BYTES) * _BLOCK_BYTES)
