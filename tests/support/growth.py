"""Measures how work grows with its input: processor time of one run beside another in the same process."""

import gc
import time
from collections.abc import Callable

MOST_GROWTH = 8.0
"""The most times that four times the input may take: four where work is linear, sixteen where it is quadratic."""


def processor_time(work: Callable[[], object], *, tries: int = 2) -> float:
    """The least processor time, in seconds, that some work takes in a few tries."""
    gc.disable()
    try:
        return min(_once(work) for _ in range(tries))
    finally:
        gc.enable()


def _once(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def growth(work: Callable[[str], object], unit: str, size: int) -> float:
    """How many times longer the work takes for four times the text; the text is a unit repeated, its length `size`."""
    small, large = ((unit * (length // len(unit) + 1))[:length] for length in (size, 4 * size))
    work(small)
    return processor_time(lambda: work(large)) / max(processor_time(lambda: work(small)), 1e-4)
