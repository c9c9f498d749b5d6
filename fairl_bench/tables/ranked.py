"""Ranks and intervals of a leaderboard: the best row of each column, and the rows that do not differ from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fairl_bench.metrics import Better, Metrics
from fairl_bench.results.places import Tests, places_by_group, tested, tested_pairs
from fairl_bench.science.moderated import LEAST_BLOCKS
from fairl_bench.science.power import detectable
from fairl_bench.science.ranks import Place
from fairl_bench.tables.board import TruthOf
from fairl_bench.tables.marks import APART, as_values, how, marked
from fairl_bench.values.comparison import ALPHA, Comparison
from fairl_bench.values.coordinates import Group, Row
from fairl_bench.values.rows import Column, Found, Runs, summary
from fairl_bench.values.table import Table


class _Standing(NamedTuple):
    """How the rows of one column stand to one another."""

    places: Mapping[Row, Place]  # of the rows that could be compared
    first: Mapping[Row, bool]  # of those on the first place, whether each is alone there within its group
    equal: bool  # whether in every group all methods share the first place


def ranked(
    table: Table,
    found: Found,
    truth_of: TruthOf,
    runs: Mapping[Row, Runs],
    columns: Sequence[Column],
    metrics: Metrics,
    comparisons: Sequence[Comparison],
    intervals: bool,
) -> Table:
    """The table with the best of each column marked, and with intervals."""
    own, paired = {(one.group, one.method): one for one in comparisons if not one.other}, tested_pairs(comparisons)
    names = len(table.heads) - len(columns)
    rows, tidy, bold, equal = [list(row) for row in table.rows], [dict(row) for row in table.tidy], set(), []
    for at, column in enumerate(columns):
        truth = truth_of(column.data)
        standing = _standing(list(runs), found, column, truth, metrics[column.metric].better, paired)
        for index, row in enumerate(runs):
            mine = own.get((Group.of(row.setting, column.data, truth, column.metric), row.method))
            place, ends = standing.places.get(row), (mine.low, mine.high) if mine else (None, None)
            tidy[index * len(columns) + at] |= {"low": ends[0], "high": ends[1], **as_values(place)}
            if mine and intervals and math.isfinite(mine.low):
                rows[index][names + at] += f" [{mine.low:.3f}, {mine.high:.3f}]"
            rows[index][names + at] += marked(place)
            if standing.first.get(row):
                bold.add((index, names + at))
        if standing.equal:
            equal.append(f"{column.data} {metrics[column.metric].called}")
    apart = any(APART in text for row in rows for text in row[names:])
    notes = [*table.notes, *_explained(comparisons, metrics, intervals, apart=apart), *_untested(comparisons, metrics)]
    if equal:
        notes.append(f"No two methods differ in {', '.join(equal)}.")
    return table._replace(rows=tuple(map(tuple, rows)), notes=tuple(notes), tidy=tuple(tidy), bold=frozenset(bold))


def _standing(
    rows: Sequence[Row], found: Found, column: Column, truth: str, better: Better | None, tests: Tests
) -> _Standing:
    """The places of the rows of a column, each among those of its model, encoder and variant."""

    def group_of(row: Row) -> Group:
        return Group.of(row.setting, column.data, truth, column.metric)

    means = {row: summary(found.get((row, column), []))[0] for row in rows}
    every: dict[Row, Place] = {}
    first: dict[Row, bool] = {}
    equal = True
    for places in places_by_group(means, group_of, better, tests).values():
        best = [row for row, place in places.items() if place.rank == 1]
        every |= places
        first |= dict.fromkeys(best, len(best) == 1)
        equal = equal and 1 < len(places) == len(best)
    return _Standing(every, first, equal)


def _untested(comparisons: Sequence[Comparison], metrics: Metrics) -> list[str]:
    """The sentence on metrics of which no two methods could be tested."""
    two = [one for one in comparisons if one.other and math.isfinite(one.value)]
    known = {one.metric for one in two if tested(one)}
    untested = dict.fromkeys(metrics[one.metric].called for one in two if one.metric not in known)
    if not untested:
        return []
    return [f"Nothing is marked in {', '.join(untested)}: with one run of each method there is no test of it."]


def _explained(comparisons: Sequence[Comparison], metrics: Metrics, intervals: bool, *, apart: bool) -> list[str]:
    """What the marks and brackets are, and what could have been found."""
    top = max(comparisons, key=lambda one: one.units)
    worlds = len({one.setting for one in comparisons}) > 1
    column = "its column within a model, encoder and variant" if worlds else "its column"
    said = [
        f"¹ is the best of {column} or not shown to differ from it ({how(comparisons)}; Holm over all pairs of "
        f"methods; α = {ALPHA}); a ¹ that stands alone is better than every other."
    ]
    if apart:
        said.append(
            "° is not shown to differ from the best either, but lies below a method that is: its runs vary more."
        )
    if top.unit == "replicate" and top.units < LEAST_BLOCKS:
        said.append(_could_find(comparisons, metrics, top.units))
    return [*said, "[ ] is the 95 % interval."] if intervals else said


def _could_find(comparisons: Sequence[Comparison], metrics: Metrics, units: int) -> str:
    """The sentence on the smallest gap of each metric that so few replicates would find four times in five."""
    columns: dict[str, list[float]] = {}
    pairs = Counter(one.group for one in comparisons if one.other)
    for one in comparisons:
        if one.other and math.isfinite(one.error) and metrics[one.metric].better:
            columns.setdefault(one.metric, []).append(detectable(one.error, one.freedom, ALPHA / pairs[one.group]))
    gaps = [(metrics[name], gap) for name, found in columns.items() if (gap := float(np.median(found)))]
    found = [f"a gap of {gap:.2g} of {metric.called}" for metric, gap in gaps if gap < metric.widest]
    never = [metric.called for metric, gap in gaps if gap >= metric.widest]
    said = [f"of most pairs {', '.join(found)} would be found four times in five"] if found else []
    said += (
        [f"not even the widest possible gap of {', '.join(never)} would be found four times in five"] if never else []
    )
    return (
        f"{units} replicates can show little{': ' if said else ''}{'; '.join(said)}. From {LEAST_BLOCKS} replicates on "
        "the test is stronger, because it estimates the spread from all pairs together."
    )
