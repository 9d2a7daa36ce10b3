"""How benchmarks tell a figure together with the machine's noise."""

from collections.abc import Sequence
from statistics import median


def noise(values: Sequence[float]) -> float:
    """How far values of the same thing differ: half of their span, as a part of their median."""
    return (max(values) - min(values)) / 2 / median(values)


def spread(rates: Sequence[float]) -> str:
    """The median of rates a second, and their noise."""
    return f"{median(rates):.0f}/s (noise ±{noise(rates):.0%})"
