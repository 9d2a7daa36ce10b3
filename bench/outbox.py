"""Durable puts of a 128 KiB envelope, beside the same disk's fsync'd 128 KiB files in the same run.

Prints rates and their ratio: one thread and four, SQLite, and PostgreSQL if a URL is given; and what a window's
end costs with a backlog. Usage: python bench/outbox.py [folder] [postgresql+psycopg://…]
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.delivery.leases import Leases
from app.delivery.outbox import Envelope, Outbox
from app.vault.tip import new_tip_id

SIZE = 128 * 1024 + 1900  # an envelope of the smallest class, sealed to one recipient
ROUNDS = 3
TIMES = 400


def rate(work: Callable[[int], object], threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        begin = time.perf_counter()
        list(pool.map(work, range(TIMES)))
        return TIMES / (time.perf_counter() - begin)


def raw_write(folder: Path, data: bytes) -> Callable[[int], None]:
    def write(number: int) -> None:
        with (folder / str(number)).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    return write


def putter(url: str, data: bytes) -> tuple[Outbox, Callable[[int], None]]:
    box = Outbox(url)
    box.prepare()
    return box, lambda _: box.put(Envelope(new_tip_id(), "intake", data), nonce=os.urandom(16))


def compare(url: str, folder: Path, data: bytes, threads: int) -> None:
    box, put = putter(url, data)
    for number in range(ROUNDS):
        place = folder / f"raw-{threads}-{number}"
        place.mkdir(exist_ok=True)
        disk, outbox = rate(raw_write(place, data), threads), rate(put, threads)
        print(f"  {threads} threads: disk {disk:6.0f}/s  outbox {outbox:6.0f}/s  ratio {outbox / disk:.2f}")
    box.database.close()


def window_end(folder: Path, data: bytes, waiting: int) -> None:
    box, put = putter(f"sqlite:///{folder}/backlog-{waiting}.db", data)
    for number in range(waiting):
        put(number)
    begin = time.perf_counter()
    Leases(box.database).finish_window(time.time())
    print(f"  window's end with {waiting} waiting: {time.perf_counter() - begin:.2f} s")
    box.database.close()


def main() -> None:
    data = os.urandom(SIZE)
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        print(f"puts of {SIZE} bytes")
        for threads in (1, 4):
            compare(f"sqlite:///{folder}/outbox-{threads}.db", folder, data, threads)
            if len(sys.argv) > 2:
                compare(sys.argv[2], folder, data, threads)
        for waiting in (0, 100, 1000):
            window_end(folder, data, waiting)


if __name__ == "__main__":
    main()
