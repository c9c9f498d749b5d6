"""Ranks and intervals of a leaderboard: the best row of each column, and the rows that do not differ from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fairl_bench.metrics import Better, Metrics
from fairl_bench.results.places import Tests, compared_pairs, places_by_group, was_tested
from fairl_bench.science.moderated import LEAST_BLOCKS
from fairl_bench.science.power import detectable
from fairl_bench.science.ranks import Place
from fairl_bench.tables.board import TruthOf
from fairl_bench.tables.marks import APART, as_values, how, marked
from fairl_bench.values.comparison import ALPHA, Comparison
from fairl_bench.values.coordinates import Group, Row
from fairl_bench.values.rows import CellRecords, Column, Runs, summary
from fairl_bench.values.table import Table


class _Standing(NamedTuple):
    """The order of the rows of one column."""

    places: Mapping[Row, Place]  # of the rows that could be compared
    first: Mapping[Row, bool]  # the rows on the first place; True where a row is alone there within its group
    equal: bool  # in every group all methods share the first place


def ranked(
    table: Table,
    records_of: CellRecords,
    truth_of: TruthOf,
    runs: Mapping[Row, Runs],
    columns: Sequence[Column],
    metrics: Metrics,
    comparisons: Sequence[Comparison],
    intervals: bool,
) -> Table:
    """The table with the best of each column marked, and with intervals."""
    interval_of, paired = (
        {(row.group, row.method): row for row in comparisons if not row.other},
        compared_pairs(comparisons),
    )
    names = len(table.heads) - len(columns)
    rows, tidy, bold, equal = [list(row) for row in table.rows], [dict(row) for row in table.tidy], set(), []
    for at, column in enumerate(columns):
        truth = truth_of(column.data)
        standing = _standing(list(runs), records_of, column, truth, metrics[column.metric].better, paired)
        for index, row in enumerate(runs):
            interval = interval_of.get((Group.of(row.setting, column.place, truth, column.metric), row.method))
            place, ends = standing.places.get(row), (interval.low, interval.high) if interval else (None, None)
            tidy[index * len(columns) + at] |= {"low": ends[0], "high": ends[1], **as_values(place)}
            rows[index][names + at] += _shown(interval if intervals else None) + marked(place)
            if standing.first.get(row):
                bold.add((index, names + at))
        if standing.equal:
            equal.append(f"{column.place} {metrics[column.metric].called}")
    apart = any(APART in text for row in rows for text in row[names:])
    notes = [*table.notes, *_explained(comparisons, metrics, intervals, apart=apart), *_untested(comparisons, metrics)]
    if equal:
        notes.append(f"No two methods are shown to differ in {', '.join(equal)}.")
    return table._replace(rows=tuple(map(tuple, rows)), notes=tuple(notes), tidy=tuple(tidy), bold=frozenset(bold))


def _shown(interval: Comparison | None) -> str:
    """The interval as it stands behind a number; nothing where there is none."""
    return f" [{interval.low:.3f}, {interval.high:.3f}]" if interval and math.isfinite(interval.low) else ""


def _standing(
    rows: Sequence[Row], records_of: CellRecords, column: Column, truth: str, better: Better | None, tests: Tests
) -> _Standing:
    """The places of the rows of a column, each among those of its model, encoder and variant."""

    def group_of(row: Row) -> Group:
        return Group.of(row.setting, column.place, truth, column.metric)

    means = {row: summary(records_of.get((row, column), []))[0] for row in rows}
    places_of: dict[Row, Place] = {}
    first: dict[Row, bool] = {}
    equal = True
    for in_group in places_by_group(means, group_of, better, tests).values():
        best = [row for row, place in in_group.items() if place.rank == 1]
        places_of |= in_group
        first |= dict.fromkeys(best, len(best) == 1)
        equal = equal and 1 < len(in_group) == len(best)
    return _Standing(places_of, first, equal)


def _untested(comparisons: Sequence[Comparison], metrics: Metrics) -> list[str]:
    """The note on metrics in which no two methods could be tested."""
    of_two = [row for row in comparisons if row.other and math.isfinite(row.value)]
    tested = {row.metric for row in of_two if was_tested(row)}
    untested = dict.fromkeys(metrics[row.metric].called for row in of_two if row.metric not in tested)
    if not untested:
        return []
    return [f"Nothing is marked in {', '.join(untested)}: with one run of each method there is no test of it."]


def _explained(comparisons: Sequence[Comparison], metrics: Metrics, intervals: bool, *, apart: bool) -> list[str]:
    """The notes on the marks and brackets, and on the smallest gap that could be found."""
    top = max(comparisons, key=lambda row: row.units)
    several = len({row.setting for row in comparisons}) > 1
    column = "its column within a model, encoder and variant" if several else "its column"
    notes = [
        f"¹ is the best of {column} or not shown to differ from it ({how(comparisons)}; Holm over all pairs of "
        f"methods; α = {ALPHA}); a ¹ that stands alone is better than every other."
    ]
    if apart:
        notes.append(
            "° is not shown to differ from the best either, but lies below a method that is: its runs vary more."
        )
    if top.unit == "replicate" and top.units < LEAST_BLOCKS:
        notes.append(_smallest_gaps(comparisons, metrics, top.units))
    return [*notes, "[ ] is the 95 % interval."] if intervals else notes


def _smallest_gaps(comparisons: Sequence[Comparison], metrics: Metrics, units: int) -> str:
    """The note on the smallest gap of each metric that so few replicates would find four times in five."""
    gaps_of: dict[str, list[float]] = {}
    pairs = Counter(row.group for row in comparisons if row.other)
    for row in comparisons:
        if row.other and math.isfinite(row.error) and metrics[row.metric].better:
            gaps_of.setdefault(row.metric, []).append(detectable(row.error, row.freedom, ALPHA / pairs[row.group]))
    medians = [(metrics[name], gap) for name, gaps in gaps_of.items() if (gap := float(np.median(gaps)))]
    detected = [f"a gap of {gap:.2g} of {metric.called}" for metric, gap in medians if gap < metric.widest]
    never = [metric.called for metric, gap in medians if gap >= metric.widest]
    parts = [f"of most pairs {', '.join(detected)} would be found four times in five"] if detected else []
    if never:
        parts.append(f"not even the widest possible gap of {', '.join(never)} would be found four times in five")
    return (
        f"{units} replicates can show little{': ' if parts else ''}{'; '.join(parts)}. From {LEAST_BLOCKS} replicates "
        "on the test is stronger, because it estimates the spread from all pairs together."
    )
