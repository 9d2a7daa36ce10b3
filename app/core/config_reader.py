"""Reads one TOML table, with `HAUMARU_…` variables over it, and collects faults instead of stopping at the first.

Each getter always returns a value of its type (after a fault, a harmless stand-in), so that the program reads a whole
file in one run. The caller raises ConfigError if there were faults. A fault never repeats a value, because any value
could be a secret in the wrong place.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from app.core.errors import ConfigError, HaumaruError
from app.core.i18n import DEFAULT, LocalText

_SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_DURATIONS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_T = TypeVar("_T")
_REQUIRED: Any = object()


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file; raises ConfigError if the file is missing or not valid TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError((f"{path}: there is no such file; give the right one with --config",)) from None
    except OSError:
        raise ConfigError((f"{path}: the file cannot be read; give this user the right to read it",)) from None
    except UnicodeDecodeError:
        raise ConfigError((f"{path}: the file is not UTF-8; save it as UTF-8 text",)) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line \d+", str(error))
        where = line.group() if line else "the end"
        raise ConfigError((f"{path}: not valid TOML at {where}; see the example in docs/operator.md",)) from None


class Reader:
    """One table: its name in faults (`[site]`), the prefix of its variables, and the folder of relative paths."""

    def __init__(
        self, table: object, *, name: str, prefix: str, folder: Path, env: Mapping[str, str], faults: list[str]
    ) -> None:
        self._table: dict[str, Any] = dict(table) if isinstance(table, dict) else {}
        self._name, self._prefix, self._folder, self._env, self._faults = name, prefix, folder, env, faults
        self._keys_read: set[str] = set()
        if not isinstance(table, dict):
            faults.append(f"{name}: must be a table; write it as {name} with keys below it")

    def fault(self, key: str, problem: str, remedy: str) -> None:
        """Record one fault of a key, with its remedy."""
        self._faults.append(f"{self._name} {key}: {problem}; {remedy}")

    def add_faults(self, faults: Iterable[str]) -> None:
        """Record faults that another module found in a value of this table."""
        self._faults.extend(faults)

    def reject_unknown_keys(self) -> None:
        """Record each key that no getter read as a fault; call this after the last getter."""
        for key in sorted(self._table.keys() - self._keys_read):
            self.fault(key, "is not a key of this table", "remove the key, or correct its spelling")

    def reject_former_key(self, key: str, remedy: str) -> None:
        """Record a key of an earlier version as a fault if the key is still set; `remedy` names the new key."""
        if self._raw(key) is not None:
            self.fault(key, "is no longer a key of this table", remedy)

    def _raw(self, key: str) -> Any:
        self._keys_read.add(key)
        variable = f"{self._prefix}_{key}".upper().replace("-", "_")
        return self._env.get(variable, self._table.get(key))

    def _get(self, key: str, default: Any, convert: Callable[[Any], _T], stand_in: _T, remedy: str) -> _T:
        raw = self._raw(key)
        if raw is None:
            if default is not _REQUIRED:
                return default  # type: ignore[no-any-return]
            self.fault(key, "is missing", remedy)
            return stand_in
        try:
            return convert(raw)
        except HaumaruError:
            self.fault(key, "is not right", remedy)
        except (ValueError, TypeError, KeyError):
            self.fault(key, "is not right", remedy)
        return stand_in

    def text(self, key: str, default: Any = _REQUIRED, *, remedy: str = "write a text in quotes") -> str:
        """Return a text; a control character, which could reach a mail header or a page, is a fault."""
        return self._get(key, default, _nonempty_text if default is _REQUIRED else _printable_text, "", remedy)

    def local_text(self, key: str, default: Any = _REQUIRED, *, remedy: str) -> LocalText:
        """Return a text for all languages, or a table of texts by language, English among them."""
        stand_in = LocalText({"": ""})
        other = default if default is _REQUIRED else stand_in
        return self._get(key, other, partial(_local_text, empty=default is not _REQUIRED), stand_in, remedy)

    def required(self, key: str, converter: Callable[[str], _T], stand_in: _T, *, remedy: str) -> _T:
        """Return the converted text of a required key; a HaumaruError or ValueError of `converter` is a fault."""
        return self._get(key, _REQUIRED, lambda raw: converter(_printable_text(raw)), stand_in, remedy)

    def optional(self, key: str, converter: Callable[[str], _T], default: _T, *, remedy: str) -> _T:
        """Return the converted text of an optional key, or the default; errors of `converter` are faults."""
        return self._get(key, default, lambda raw: converter(_printable_text(raw)), default, remedy)

    def texts(self, key: str, default: Any = _REQUIRED, *, remedy: str = 'write ["one", "two"]') -> tuple[str, ...]:
        """Return a list of texts; a variable separates the texts by commas."""
        return self._get(key, default, _printable_texts, (), remedy)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a key as true or false."""
        return self._get(key, default, _flag, False, "write true or false")

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        return self._get(key, default, lambda raw: _within(raw, low, high), low, f"write {low} to {high}")

    def size(self, key: str, default: str) -> int:
        """Return a number of bytes from a text such as "25MB" or "32MiB"."""
        remedy = 'write a size such as "25MB"'
        return self._get(key, _number_with_unit(default, _SIZES), lambda raw: _number_with_unit(raw, _SIZES), 1, remedy)

    def duration(self, key: str, default: str) -> int:
        """Return a number of seconds from a text such as "3s", "10min" or "2h"."""
        remedy = 'write a time such as "10min"'
        return self._get(
            key, _number_with_unit(default, _DURATIONS), lambda raw: _number_with_unit(raw, _DURATIONS), 1, remedy
        )

    def day(self, key: str, default: Any = _REQUIRED) -> date:
        """Return a day from a date of TOML, or from a text in ISO 8601; the key is required without a default."""
        return self._get(key, default, _day, date.max, "write a day such as 2027-11-30, without quotes")

    def path(self, key: str, default: str = "") -> Path | None:
        """Return a path, relative to the folder of the configuration; None for an absent key without a default."""
        text = self.text(key, default)
        return self._folder / text if text else None

    def secret(self, key: str) -> str:
        """Return a secret from the key or from the file that `<key>_file` names; empty if both are absent."""
        direct, path = self.text(key, ""), self.path(f"{key}_file")
        if not path:
            return direct
        if direct:
            self.fault(key, f"is set together with {key}_file", "keep one of the two")
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.fault(f"{key}_file", "cannot be read", "make the file, and give this user the right to read it")
            return ""

    def table(self, key: str, *, title: str = "") -> "Reader":
        """Return the reader of the sub-table of a key, which is empty if the key is absent."""
        self._keys_read.add(key)
        title = title or f"[{key}]"
        prefix = f"{self._prefix}_{key}"
        table = self._table.get(key, {})
        return Reader(table, name=title, prefix=prefix, folder=self._folder, env=self._env, faults=self._faults)

    def tables(self, key: str) -> list["Reader"]:
        """Return a reader for each table of an array; the variables of a table are named after its `id`."""
        self._keys_read.add(key)
        rows = self._table.get(key, [])
        if not isinstance(rows, list):
            self.fault(key, "must be a list of tables", f"write [[{key}]]")
            return []
        return [self._row(key, number, row) for number, row in enumerate(rows, 1)]

    def _row(self, key: str, number: int, row: object) -> "Reader":
        name = row.get("id") if isinstance(row, dict) else None
        name = name if isinstance(name, str) and re.fullmatch(r"[a-z0-9-]{1,40}", name) else str(number)
        prefix = f"{self._prefix}_{key}_{name}"
        title = f"[[{key}]] {name}"
        return Reader(row, name=title, prefix=prefix, folder=self._folder, env=self._env, faults=self._faults)


def _printable_text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.isprintable():
        raise ValueError
    return raw.strip()


def _nonempty_text(raw: object) -> str:
    text = _printable_text(raw)
    if not text:
        raise ValueError
    return text


def _local_text(raw: object, *, empty: bool) -> LocalText:
    if not isinstance(raw, dict):
        return LocalText({"": _printable_text(raw) if empty else _nonempty_text(raw)})
    if DEFAULT not in raw or not all(re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]+)*", code) for code in raw):
        raise ValueError
    return LocalText({code: _nonempty_text(text) for code, text in raw.items()})


def _printable_texts(raw: object) -> tuple[str, ...]:
    items = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(items, list):
        raise TypeError
    return tuple(_printable_text(item) for item in items)


def _flag(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    return {"true": True, "false": False}[str(raw)]


def _within(raw: object, low: int, high: int) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise TypeError
    value = int(raw)
    if not low <= value <= high:
        raise ValueError
    return value


def _number_with_unit(raw: object, units: Mapping[str, int]) -> int:
    parts = re.fullmatch(r"(\d{1,9}) ?([A-Za-z]+)", raw) if isinstance(raw, str) else None
    if parts is None:
        raise ValueError
    return int(parts[1]) * units[parts[2]]


def _day(raw: object) -> date:
    if isinstance(raw, str):
        return date.fromisoformat(raw)
    if type(raw) is not date:
        raise TypeError
    return raw
