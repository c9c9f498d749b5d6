"""The marks beside numbers that were compared, and the words for how they were compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fairl_bench.science.ranks import Place
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.table import Value

BEST, APART = " ¹", " °"


def marked(place: Place | None) -> str:
    """The mark that follows a number in a table.

    >>> marked(Place(1, False)), marked(Place(3, True)), marked(Place(4, False)), marked(None)
    (' ¹', '', ' °', '')
    """
    if place is None or place.differs:
        return ""
    return BEST if place.rank == 1 else APART


def as_values(place: Place | None) -> dict[str, Value]:
    """A place as the rows of a CSV or JSON file keep it."""
    return {"rank": place and place.rank, "differs_from_best": None if place is None else int(place.differs)}


def how(comparisons: Sequence[Comparison], examples: str = "examples") -> str:
    """A few words on how differences are tested."""
    top = max(comparisons, key=lambda comparison: comparison.units)
    drawn = any(comparison.resamples for comparison in comparisons)
    if not top.unit:
        return f"bootstrap of {examples} alone: no spread of runs is known"
    paired = [comparison for comparison in comparisons if comparison.other and not math.isnan(comparison.freedom)]
    moderated = any(
        comparison.freedom > comparison.units - 1 and comparison.units > 1
        for comparison in paired
        if math.isfinite(comparison.freedom)
    )
    shared = "; the variances of pairs are moderated (Smyth 2004)" if moderated else ""
    noise = f", with the noise of the {examples} that they share" if drawn else ""
    return f"Student's t of paired differences over {top.units} {top.unit}s{noise}{shared}"
