"""The rows, columns and notes that leaderboards and slices share: methods by data, slice and metric."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from fairl_bench.errors import Undefined
from fairl_bench.metrics import Metrics
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import NO_TRUTH, Record
from fairl_bench.values.references import NOTHING_KNOWN, Methods, as_values, count_references, labelled, reference_notes
from fairl_bench.values.rows import (
    CellRecords,
    Column,
    Runs,
    mean_and_spread,
    shown_axes,
    summary,
)
from fairl_bench.values.table import Table, Value

TruthOf = Callable[[str], str]


def cells(records: Iterable[Record], truth_of: TruthOf) -> CellRecords:
    """The records of each row and column: those of single runs, by the truth that their data is judged by.

    A column without a number of that truth shows what is on record without a truth: it needs none.
    """
    of_truth: dict[tuple[Row, Column], list[Record]] = {}
    without: dict[tuple[Row, Column], list[Record]] = {}
    for record in records:
        if not record.other and record.truth in (truth_of(record.data), NO_TRUTH):
            records_of = without if record.truth == NO_TRUTH else of_truth
            records_of.setdefault((record.row, _column(record)), []).append(record)
    judged = {column for _, column in of_truth}
    return of_truth | {place: found for place, found in without.items() if place[1] not in judged}


def measured_runs(records: Iterable[Record], columns: Container[Column]) -> dict[Row, int]:
    """How many runs of each row have a number in one of these columns, whatever the truth it is against."""
    counts = Counter(
        (record.row, record.truth, column)
        for record in records
        if not record.other and (column := _column(record)) in columns
    )
    runs: dict[Row, int] = {}
    for (row, _, _), count in counts.items():
        runs[row] = max(count, runs.get(row, 0))
    return runs


def _column(record: Record) -> Column:
    """The column that a record stands in."""
    return Column(record.data, record.slice, record.metric)


def board(
    title: str,
    records_of: CellRecords,
    truth_of: TruthOf,
    runs: Mapping[Row, Runs],
    columns: Sequence[Column],
    metrics: Metrics,
    *,
    measured: Mapping[Row, int] | None = None,
    methods: Methods = NOTHING_KNOWN,
) -> Table:
    """The mean and the spread of each row in each column, with notes on what is not known and why.

    With ``measured``, the `measured_runs`, there is a note on each row that rests on fewer runs than it should.
    ``methods`` say which of the first rows are references, and what a row was given.
    """
    shown = shown_axes(runs)
    common = _undefined_columns(records_of, list(runs), columns)
    rows, notes, tidy = [], [f"{column.place} {column.metric}: {note}." for column, note in common], []
    for row, expected in runs.items():
        cells = [records_of.get((row, column), []) for column in columns]
        names = labelled(row, shown, methods)
        rows.append((*names, *(mean_and_spread(*summary(cell)) for cell in cells)))
        tidy += [_tidy(row, column, truth_of, cell, methods) for column, cell in zip(columns, cells, strict=True)]
        if measured is not None and (lack := expected.lack(measured.get(row, 0))):
            notes.append(f"{' '.join(names)}: {lack}.")
        notes += _undefined_cells(names, columns, cells, common)
    heads = [("", axis) for axis in shown] + [(column.place, metrics[column.metric].head) for column in columns]
    used = [cell for (_, column), cell in records_of.items() if column in columns]
    spread = [_spread(used)] if used else []
    notes = [_truths(columns, truth_of), *spread, *reference_notes(runs, methods), *dict.fromkeys(notes)]
    references = count_references(runs, methods)
    return Table(title, tuple(heads), tuple(rows), tuple(notes), tuple(tidy), references=references)


def _truths(columns: Sequence[Column], truth_of: TruthOf) -> str:
    """The note on the truth that each data set is judged by."""
    data = dict.fromkeys(column.data for column in columns)
    return f"Truth: {', '.join(f'{name} against {truth_of(name)!r}' for name in data)}."


def other_truths(records: Iterable[Record], truth_of: TruthOf, columns: Sequence[Column]) -> Iterator[str]:
    """The notes on columns without any record against the truth they show: what is on record in its place."""
    truths: dict[Column, set[str]] = {}
    for record in records:
        if not record.other:
            truths.setdefault(_column(record), set()).add(record.truth)
    for column in columns:
        known, truth = truths.get(column, set()), truth_of(column.data)
        if truth not in known and NO_TRUTH in known:
            yield f"{column.metric} of {column.place} needs no truth."
        elif known and truth not in known:
            others = " and ".join(map(repr, sorted(known)))
            yield (
                f"No evaluator measured {column.metric} of {column.place} against {truth!r}; "
                f"it is on record against {others}."
            )


def _undefined_cells(
    names: Sequence[str],
    columns: Sequence[Column],
    cells: Sequence[Sequence[Record]],
    common: Container[tuple[Column, str]],
) -> Iterator[str]:
    """The notes on cells of a row without a number, except those that every row lacks for the same reason."""
    for column, cell in zip(columns, cells, strict=True):
        if (note := _undefined(cell)) and (column, note) not in common:
            yield f"{' '.join(names)}, {column.place} {column.metric}: {note}."


def _undefined_columns(
    records_of: CellRecords, rows: Sequence[Row], columns: Sequence[Column]
) -> list[tuple[Column, str]]:
    """The columns without a number in any of several rows, with the one reason, which is the data's."""
    reasons = [(column, {_undefined(records_of.get((row, column), [])) for row in rows}) for column in columns]
    return [(column, min(notes)) for column, notes in reasons if len(rows) > 1 and len(notes) == 1 and min(notes)]


def _undefined(cell: Sequence[Record]) -> str:
    """The reason why a cell has no number; empty where it has one."""
    return next((record.note for record in cell if math.isnan(record.value)), "")


def _tidy(row: Row, column: Column, truth_of: TruthOf, cell: Sequence[Record], methods: Methods) -> dict[str, Value]:
    """The values of a cell as the files of a table have them."""
    from fairl_bench.science.intervals import t_interval

    mean, sd = summary(cell)
    try:
        low, high = t_interval([] if math.isnan(mean) else [record.value for record in _by_seed(cell)])
    except Undefined:
        low = high = math.nan
    place = {**row._asdict(), **as_values(row, methods)}
    truth = cell[0].truth if cell else truth_of(column.data)
    place |= {"data": column.data, "slice": column.slice, "truth": truth}
    return {**place, "metric": column.metric, "mean": mean, "sd": sd, "runs": len(cell), "t_low": low, "t_high": high}


def _by_seed(cell: Sequence[Record]) -> Sequence[Record]:
    """The runs of one replicate, for an interval over seeds; nothing where there are several replicates."""
    return cell if len({record.replicate for record in cell}) == 1 else ()


def _spread(cells: Sequence[Sequence[Record]]) -> str:
    """The note on what ± is."""
    seeds = {record.seed for cell in cells for record in cell} - {None}
    replicates = {record.replicate for cell in cells for record in cell}
    if len(seeds) < 2:
        return "One training seed: no spread is known."
    worlds = f", pooled within {len(replicates)} replicates" if len(replicates) > 1 else ""
    return (
        f"± is the sample standard deviation over {len(seeds)} training seeds{worlds}; "
        "a method without ± draws nothing at random."
    )
