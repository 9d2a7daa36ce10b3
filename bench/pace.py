"""How long a tip takes to the agency at 16, 64 and 128 cells, and what that costs in traffic, disk and mails a day.

The pace is the program's own, on an outbox in memory, under a simulated clock; tips come at random moments. Then what a
tip takes on the disk, and how long the desk looks into an inbox full of envelopes, most of them decoys.
"""

import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import quantiles

sys.path.insert(0, str(Path(__file__).parent.parent))

from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.pace import Pace
from app.vault.age import ENVELOPE_BYTES, seal
from app.vault.tip import Tip, TipFile, new_decoy, new_tip_id
from app.vault.tip_bundles import to_bundles
from tests.support.databases import opened
from tests.support.desk import Office, receive, recipient_of
from tests.support.envelopes import sealed
from tests.support.watched import WINDOW, LeasesInMemory, OutboxInMemory, simulate

WINDOWS_A_DAY = 86_400 // WINDOW
SIZES = {"words alone": 0, "200 kB": 200_000, "2.7 MB": 2_700_000, "25 MB": 25_000_000}
IN_INBOX = int(os.environ.get("IN_INBOX", "1000"))


def envelopes_of(size: int) -> int:
    """How many envelopes a tip takes whose files have `size` bytes."""
    files = (TipFile("files/1.jpg", "image/jpeg", (), os.urandom(size)),) if size else ()
    return len(to_bundles(Tip(id=new_tip_id(), received=date(2026, 11, 22), answers={"what": "x"}, files=files)))


def minutes_to_arrive(cells: int, envelopes: int, *, tips: int = 10) -> list[float]:
    """The minutes from "sent" to the last envelope of each tip at the agency, one tip at a time, at random moments."""
    chance, box, between = random.Random(7), OutboxInMemory(random.Random(1)), 6 * cells
    beats = iter(range(tips * between))
    moments = {number * between + chance.randrange(between // 3) for number in range(tips)}
    put: list[int] = []

    def arriving() -> Sequence[int]:
        beat = next(beats)
        put.extend([beat] if beat in moments else [])
        return [envelopes] if beat in moments else []

    pace = Pace(cells, 4 * cells)
    days = simulate(
        box, LeasesInMemory, windows=6 * tips, arriving=arriving, refuses=lambda *_: False, pace=pace, seed=3
    )
    arrived = [number for number, one in enumerate(days.seen) if one.id in days.tips]
    assert len(arrived) == tips * envelopes
    last = arrived[envelopes - 1 :: envelopes]
    # A tip comes somewhere in the interval before the beat that follows.
    return [(beat - came + random.random()) * WINDOW / cells / 60 for came, beat in zip(put, last, strict=True)]


def times() -> None:
    """Print how long tips take."""
    print('minutes from "sent" to the agency, p50 and p90, nothing else waiting, a window of 10 minutes')
    for cells in (16, 64, 128):
        for name in ("words alone", "2.7 MB"):
            taken = minutes_to_arrive(cells, envelopes_of(SIZES[name]))
            tenths = quantiles(taken, n=10)
            print(f"{cells:>5} cells  {name:>12}{tenths[4]:>8.1f}{tenths[8]:>8.1f}")


def costs() -> None:
    """Print what a pace costs a day, for each agency."""
    print("\na day, for each agency, a window of 10 minutes: envelopes (or mails), bytes on the line, bytes at rest")
    for cells in (16, 64, 128):
        envelopes = cells * WINDOWS_A_DAY
        mail = ENVELOPE_BYTES * 78 / 57  # base64, in lines of 76
        print(
            f"{cells:>5} cells{envelopes:>8}{envelopes * ENVELOPE_BYTES / 1e6:>8.0f} MB"
            f" ({envelopes * mail / 1e6:.0f} MB by mail){4 * cells * 2 * ENVELOPE_BYTES / 1e6:>8.0f} MB in the outbox"
        )


def disk(folder: Path) -> None:
    """Print how many bytes of SQLite's file each byte takes that was sent, where no decoy gives its place."""
    print("\nbytes on the disk for each byte sent (SQLite, two copies), beyond what the stock takes anyway")
    for name, size in {"1 kB": 0, **{name: size for name, size in SIZES.items() if size}}.items():
        file = folder / f"{size}.db"
        with opened(file, SqliteMemoryStore(folder / f"memory-{size}")) as box:
            before = file.stat().st_size
            files = (TipFile("files/1.jpg", "image/jpeg", (), os.urandom(size)),) if size else ()
            tip = Tip(id=new_tip_id(), received=date(2026, 11, 22), answers={"what": "x" * 1000}, files=files)
            box.put(sealed(tip))
            box.database.compact(0, pages=0)
            taken, sent = file.stat().st_size - before, size or 1000
            print(f"{name:>8}{taken:>12} bytes{taken / sent:>8.2f} a byte")


def look(folder: Path) -> None:
    """Print how long the desk's one look into a full inbox takes."""
    office = Office(folder)
    recipients = [recipient_of(office.identity)]
    for _ in range(IN_INBOX):
        bundle = to_bundles(new_decoy())[0]
        (office.inbox / f"{bundle.id}.age").write_bytes(seal(bundle.data, recipients))
    with office.desk() as desk:
        start = time.process_time()
        receive(desk)
        taken = time.process_time() - start
    assert not list(office.inbox.iterdir())
    print(f"\none look of the desk at {IN_INBOX} envelopes: {taken:.1f} s of one processor, {IN_INBOX / taken:.0f}/s")


def main() -> None:
    """Print all of them."""
    times()
    costs()
    with tempfile.TemporaryDirectory() as folder:
        disk(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        look(Path(folder))


if __name__ == "__main__":
    main()
