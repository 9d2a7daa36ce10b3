"""How quick each processor is at a moment, told by fixed work: on a shared machine the pace changes by the second."""

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from statistics import median, quantiles

_PAUSE_SECONDS = 0.01  # between looks, so that they take a hundredth of a processor
_WORK = json.dumps([{"a": number, "b": str(number) * 3, "c": [number] * 4} for number in range(40)])
_QUIET = 1.05  # times the quickest pace


class Paces:
    """Looks at each processor: when it was, in seconds of `time.monotonic`, and how long the work took it."""

    def __init__(self) -> None:
        self.looks: list[list[tuple[float, int]]] = []

    def are_quiet(self, start: float, end: float) -> bool:
        """Return whether every processor was within a twentieth of its quickest pace between two moments."""
        for one in self.looks:
            quickest = quantiles([took for _, took in one], n=20)[0]
            looks = [took for when, took in one if start <= when <= end]
            if not looks or median(looks) > _QUIET * quickest:
                return False
        return True


@contextmanager
def watched_paces() -> Iterator[Paces]:
    """Look at every processor while the block runs; what it gets tells of the looks afterwards."""
    context, paces = multiprocessing.get_context("spawn"), Paces()
    watchers = []
    for processor in sorted(os.sched_getaffinity(0)):
        ours, theirs = context.Pipe()
        watcher = context.Process(target=_look, args=(processor, theirs), daemon=True)
        watcher.start()
        watchers.append((watcher, ours))
        ours.recv()
    try:
        yield paces
    finally:
        for _, pipe in watchers:
            pipe.send(None)
        paces.looks = [pipe.recv() for _, pipe in watchers]
        for watcher, _ in watchers:
            watcher.join()


def _look(processor: int, pipe: Connection) -> None:
    os.sched_setaffinity(0, {processor})
    looks = []
    pipe.send(None)
    while not pipe.poll(_PAUSE_SECONDS):
        json.loads(_WORK)  # once for the caches
        start = time.thread_time_ns()
        json.loads(_WORK)
        json.loads(_WORK)
        looks.append((time.monotonic(), time.thread_time_ns() - start))
    pipe.recv()
    pipe.send(looks)
