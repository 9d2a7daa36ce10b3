"""Durable puts into the outbox: what a sender waits for, with little and with much waiting.

Prints p50 and p99 of a put of words (one envelope in the place of a decoy), beside the same disk's fsync'd files of one
envelope in the same run; the same while 100 MB of parts are put; a delivery's settling with its decoy; and a tidying.
Usage: python bench/outbox.py [--folder DIR] [--url postgresql+psycopg://…] [--waiting GB]…
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.delivery.memory_sqlite import SqliteMemoryStore
from app.delivery.outbox import Envelope, Outbox
from app.vault.age import ENVELOPE_BYTES
from app.vault.tip import new_tip_id

STOCK = 64
WORDS = 400
PARTS_OF_25_MB = 200
FILLING = 100  # envelopes of one put


def envelope() -> Envelope:
    return Envelope(new_tip_id(), "intake", os.urandom(ENVELOPE_BYTES))


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def show(title: str, seconds: list[float], beside: float | None = None) -> float:
    seconds = sorted(seconds)
    median, late = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)]
    ratio = f"  {median / beside:.1f} × the disk's own" if beside else ""
    print(f"  {title:<44} p50 {median * 1e3:7.1f} ms  p99 {late * 1e3:7.1f} ms  n {len(seconds):4}{ratio}")
    return median


def raw_writes(folder: Path) -> list[float]:
    data = os.urandom(ENVELOPE_BYTES)

    def write() -> None:
        with (folder / new_tip_id()).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    return [timed(write) for _ in range(WORDS)]


def put_words(box: Outbox) -> float:
    one, nonce = envelope(), os.urandom(16)
    return timed(lambda: box.put([one], nonce=nonce))


def put_words_beside_parts(box: Outbox) -> tuple[list[float], list[float]]:
    """Put words from two threads while four tips of 25 MB are put; return how long either took."""
    words: list[float] = []
    done = threading.Event()

    def writer() -> None:
        while not done.is_set():
            words.append(put_words(box))
            time.sleep(0.01)

    tips = [[envelope() for _ in range(PARTS_OF_25_MB)] for _ in range(4)]
    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(writer) for _ in range(2)]
        putting = [pool.submit(timed, lambda tip=tip: box.put(tip)) for tip in tips]
        parts = [each.result() for each in putting]
        done.set()
        for each in writers:
            each.result()
    return words, parts


def measure(url: str, folder: Path, gigabytes: float) -> None:
    with tempfile.TemporaryDirectory(dir=folder_in_memory()) as memory:
        box = Outbox(url, SqliteMemoryStore(Path(memory)))
        box.prepare()
        fill(box, gigabytes)
        print(f"{url.partition(':')[0]}, {gigabytes:g} GB waiting besides {STOCK} decoys")
        measure_puts(box, show("a file of one envelope, fsync'd", raw_writes(folder)))
        box.database.close()


def fill(box: Outbox, gigabytes: float) -> None:
    waiting = int(gigabytes * 1e9 / (2 * ENVELOPE_BYTES))
    for _ in range(waiting // FILLING):
        box.put([envelope() for _ in range(FILLING)])
    refill(box, STOCK)


def measure_puts(box: Outbox, disk: float) -> None:
    show("a put of words", [put_words(box) for _ in range(WORDS)], disk)
    refill(box, STOCK)
    words, parts = put_words_beside_parts(box)
    show("a put of words beside 4 × 25 MB of parts", words, disk)
    print(f"  {'a put of 25 MB of parts':<44} {min(parts):.2f} to {max(parts):.2f} s")
    refill(box, STOCK)
    known = list(box.memory.kinds("intake"))
    show("a delivery settled, a decoy in its place", [timed(lambda: settle(box, known)) for _ in range(STOCK)], disk)
    for each in known[:STOCK]:
        box.settle(each)
    show("a tidying that gives pages back", [timed(lambda: box.tidy(time.time())) for _ in range(STOCK)], disk)


def settle(box: Outbox, known: list[str]) -> None:
    box.settle(known.pop(), decoy=envelope())


def refill(box: Outbox, count: int) -> None:
    for _ in range(count):
        box.put_decoy(envelope())


def folder_in_memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where the databases lie; a folder of the system for temporary files if none")
    parser.add_argument("--url", help="an empty PostgreSQL, measured with nothing waiting")
    parser.add_argument("--waiting", type=float, action="append", help="gigabytes that wait; may be repeated")
    options = parser.parse_args()
    for gigabytes in options.waiting or [0]:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            measure(f"sqlite:///{name}/outbox.db", Path(name), gigabytes)
    if options.url:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            measure(options.url, Path(name), 0)


if __name__ == "__main__":
    main()
