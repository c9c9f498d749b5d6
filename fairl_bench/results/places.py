"""The place of each row of a column among those that it was compared with: the one rule of ranks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping

from fairl_bench.metrics import Better
from fairl_bench.science.ranks import Place, places
from fairl_bench.values.comparison import ALPHA, Comparison
from fairl_bench.values.coordinates import Group, Row

Tests = Mapping[Group, Mapping[tuple[str, str], float]]
"""By group the adjusted p of each two methods between which there was a test."""


def was_tested(comparison: Comparison) -> bool:
    """True where there was anything to test a difference by: several runs, or resampled examples."""
    return comparison.units > 1 or comparison.resamples > 0


def compared_pairs(comparisons: Iterable[Comparison]) -> Tests:
    """The tests among comparisons."""
    tests: dict[Group, dict[tuple[str, str], float]] = {}
    for comparison in comparisons:
        if comparison.other and was_tested(comparison):
            tests.setdefault(comparison.group, {})[comparison.method, comparison.other] = comparison.p_holm
    return tests


def places_by_group(
    means: Mapping[Row, float], group_of: Callable[[Row], Group], better: Better | None, tests: Tests
) -> dict[Group, dict[Row, Place]]:
    """The places of the rows of a column, each within its model, encoder and variant.

    A row without a mean or a test has none, and no row has one where the metric has no better side.
    """
    groups: dict[Group, dict[Row, float]] = {}
    for row, mean in means.items():
        groups.setdefault(group_of(row), {})[row] = mean
    return {group: _places(of_group, better, tests.get(group, {})) for group, of_group in groups.items()}


def _places(means: Mapping[Row, float], better: Better | None, p: Mapping[tuple[str, str], float]) -> dict[Row, Place]:
    """The place of each row of one group."""
    methods = {method for pair in p for method in pair}
    rows = [row for row, mean in means.items() if not math.isnan(mean) and row.method in methods]
    if better is None or len(rows) < 2:
        return {}
    pairs = itertools.combinations(range(len(rows)), 2)
    p_of_pairs = {(i, j): _p_of(p, rows[i].method, rows[j].method) for i, j in pairs}
    order = places([means[row] for row in rows], p_of_pairs, ALPHA, higher=better == "higher")
    return dict(zip(rows, order, strict=True))


def _p_of(p: Mapping[tuple[str, str], float], method: str, other: str) -> float:
    """The p of two methods, whichever comes first; 1 where it is not known."""
    known = p.get((method, other), p.get((other, method), 1.0))
    return 1.0 if math.isnan(known) else known
