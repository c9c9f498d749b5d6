"""Re-alignments at the same KL, where rewards compare."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.places import Tests, compared_pairs, places_by_group
from fairl_bench.science.ranks import Place
from fairl_bench.tables.marks import APART, as_values, how, marked
from fairl_bench.tables.realignment_numbers import (
    SECOND,
    Column,
    Number,
    NumberRecords,
    ends_of,
    group_of,
    heads_of,
    lacking,
    tidy_row,
)
from fairl_bench.values.comparison import ALPHA, Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.realigned import budget, placed
from fairl_bench.values.records import Record
from fairl_bench.values.references import Methods, count_references, labelled, reference_notes
from fairl_bench.values.rows import Runs, shown_axes, summary
from fairl_bench.values.table import Table


def table_at_kl(
    records_of: NumberRecords,
    runs: Mapping[Row, Runs],
    metrics: Metrics,
    comparisons: Sequence[Comparison],
    truth: str,
    measures: Sequence[str],
    methods: Methods,
) -> Table:
    """The measures at each budget of KL by one truth, with ranks, and with intervals of the first."""
    columns, ends, shown = _columns(records_of, metrics, truth, measures), ends_of(comparisons), shown_axes(runs)
    tests = compared_pairs(comparisons)
    places_of = {
        column: _places_at(records_of, runs, column.number, metrics[column.number.metric], tests) for column in columns
    }
    rows, tidy = [], []
    for row in runs:
        texts = []
        for column in columns:
            cell = records_of.get((row, column.number), [])
            low, high = ends.get((group_of(row, column.number), row.method), (math.nan, math.nan))
            place = places_of[column].get(row)
            ends_shown = (low, high) if column.number.metric == measures[0] else (math.nan, math.nan)
            texts.append(_at_kl(cell, ends_shown, place))
            tidy.append({**tidy_row(row, column, cell, methods), "low": low, "high": high, **as_values(place)})
        rows.append((*labelled(row, shown, methods), *texts))
    notes = [
        _judged(records_of, truth),
        *reference_notes(runs, methods),
        *lacking(records_of, runs, columns),
        *_explained(comparisons, columns, places_of, metrics),
    ]
    title = "Realignment at the same KL" + (", by the second judge" if truth == SECOND else "")
    name = "realignment-second" if truth == SECOND else "realignment"
    bold = _single_best(list(runs), columns, places_of, len(shown))
    table = Table(title, heads_of(shown, columns), tuple(rows), tuple(notes), tuple(tidy), bold, name)
    return table._replace(references=count_references(runs, methods))


def _columns(records_of: NumberRecords, metrics: Metrics, truth: str, shown: Sequence[str]) -> list[Column]:
    """The columns of the metrics at each budget that a suite has."""
    cuts = sorted({number.slice for _, number in records_of if number.slice.startswith("kl:")}, key=budget)
    return [
        Column(Number(cut, truth, metric), f"KL {budget(cut):g}", metrics[metric].head)
        for cut in cuts
        for metric in shown
    ]


def _single_best(
    rows: Sequence[Row], columns: Sequence[Column], places_of: Mapping[Column, Mapping[Row, Place]], names: int
) -> frozenset[tuple[int, int]]:
    """The cells of the rows that alone are the best of their column."""
    first = {column: [row for row, place in order.items() if place.rank == 1] for column, order in places_of.items()}
    return frozenset(
        (at, names + index)
        for at, row in enumerate(rows)
        for index, column in enumerate(columns)
        if first[column] == [row]
    )


def _at_kl(cell: Sequence[Record], ends: tuple[float, float], place: Place | None) -> str:
    """The text of a cell: the mean, the interval where it is known, and the mark of its place."""
    mean, _ = summary(cell)
    if math.isnan(mean):
        return "n/a"
    text = f"{mean:.3f}"
    if math.isfinite(ends[0]):
        text += f" [{ends[0]:.3f}, {ends[1]:.3f}]"
    return text + marked(place)


def _places_at(
    records_of: NumberRecords, rows: Iterable[Row], number: Number, metric: Metric, tests: Tests
) -> dict[Row, Place]:
    """The place of each row among those of its model, encoder and variant; none where nothing was compared."""
    means = {row: summary(records_of.get((row, number), []))[0] for row in rows}
    by_group = places_by_group(means, lambda row: group_of(row, number), metric.better, tests)
    return {row: place for places in by_group.values() for row, place in places.items()}


def _judged(records_of: NumberRecords, truth: str) -> str:
    """The note on what a toxicity rate at a KL is, and what it was before the alignment."""
    before = [
        row
        for (_, number), rows in records_of.items()
        for row in rows
        if number == Number("step:0", truth, "toxicity_rate")
    ]
    from_ = f", {summary(before)[0]:.3f} before the alignment" if before else ""
    return (
        f"Toxicity rate: the share of held-out completions that are toxic by {truth!r}{from_}, where a run's KL from "
        "the base (k3, nats a completion) first reaches the budget, on straight lines between its looks. Area: the "
        "mean of this curve from no KL to the budget."
    )


def _explained(
    comparisons: Sequence[Comparison],
    columns: Sequence[Column],
    places_of: Mapping[Column, Mapping[Row, Place]],
    metrics: Metrics,
) -> list[str]:
    """The notes on what brackets and marks are, and on where all methods are equal."""
    keys = {(placed(column.number.slice), column.number.truth, column.number.metric) for column in columns}
    of_table = [row for row in comparisons if (row.data, row.truth, row.metric) in keys]
    if not of_table:
        return []
    tested = how(of_table, "prompts")
    notes = [f"[ ] is the 95 % interval ({tested})."] if any(math.isfinite(row.low) for row in of_table) else []
    if any(places_of.values()):
        notes.append(
            "¹ is the best of its column or not shown to differ from it (differences paired over the same prompts "
            f"and runs; Holm over all pairs of methods; α = {ALPHA}); a ¹ that stands alone is better than every other."
        )
    if any(marked(place) == APART for order in places_of.values() for place in order.values()):
        notes.append("° is not shown to differ from the best either, but lies below a method that is.")
    equal = [
        f"{metrics[column.number.metric].called} at {column.top}"
        for column in columns
        if len(places_of[column]) > 1 and {place.rank for place in places_of[column].values()} == {1}
    ]
    where = "any column" if len(equal) == len(columns) else ", ".join(equal)
    return [*notes, f"No two methods are shown to differ in {where}."] if equal else notes
