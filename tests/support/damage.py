"""Damage to single pages of an SQLite file, of every kind of page and in several ways."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from app.delivery.sqlite_database import PAGE_BYTES

POINTER_MAP_PAGE = 2  # the first of a file that gives pages back (SQLite's file format, section 1.8)


def flip(page: bytes) -> bytes:
    """One bit of a page turned over."""
    at, changed = random.randrange(len(page)), bytearray(page)
    changed[at] ^= 1 << random.randrange(8)
    return bytes(changed)


WAYS = {"flip": flip, "zeros": lambda page: bytes(len(page)), "noise": lambda page: random.randbytes(len(page))}


def pages_by_kind(file: Path) -> dict[tuple[str, str], list[int]]:
    """The numbers of a database's pages, by table and kind."""
    kinds: dict[tuple[str, str], list[int]] = {("pointers", "map"): [POINTER_MAP_PAGE]}
    with closing(sqlite3.connect(file)) as connection:
        for number, name, kind in connection.execute("SELECT pageno, name, pagetype FROM dbstat"):
            kinds.setdefault((name, kind), []).append(number)
    return kinds


def damaged_copies(file: Path, each_kind: int) -> Iterator[tuple[str, bytes]]:
    """The file with one page damaged in each way: at most `each_kind` pages of a kind; with what was damaged."""
    raw = file.read_bytes()
    for kind, numbers in pages_by_kind(file).items():
        for number in random.sample(numbers, min(len(numbers), each_kind)):
            for way, damage in WAYS.items():
                at = (number - 1) * PAGE_BYTES
                yield f"{kind} {number} {way}", raw[:at] + damage(raw[at : at + PAGE_BYTES]) + raw[at + PAGE_BYTES :]
