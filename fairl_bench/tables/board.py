"""Methods by (data, slice, metric): the rows, the columns and the notes that leaderboards and slices share."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

from fairl_bench.errors import Undefined
from fairl_bench.metrics import Metrics
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import Record
from fairl_bench.values.rows import (
    Column,
    Found,
    Runs,
    mean_and_spread,
    named,
    shown_axes,
    summary,
)
from fairl_bench.values.table import Table, Value

TruthOf = Callable[[str], str]


def cells(records: Iterable[Record], truth_of: TruthOf) -> Found:
    """The records of each cell: those of single runs, by the truth that their data is held against."""
    values: dict[tuple[Row, Column], list[Record]] = {}
    for record in records:
        if not record.other and record.truth == truth_of(record.data):
            column = Column(record.data, record.slice, record.metric)
            values.setdefault((record.row, column), []).append(record)
    return values


def board(
    title: str,
    found: Found,
    truth_of: TruthOf,
    runs: Mapping[Row, Runs],
    columns: Sequence[Column],
    metrics: Metrics,
    *,
    missing: bool = False,
) -> Table:
    """The mean and the spread of each row in each column, with what is not known and why below.

    With ``missing``, a row that rests on fewer runs than it should says so.
    """
    shown = shown_axes(runs)
    common = _of_every_row(found, list(runs), columns)
    rows, notes, tidy = [], [f"{column.place} {column.metric}: {note}." for column, note in common], []
    for row, expected in runs.items():
        cells = [found.get((row, column), []) for column in columns]
        names = named(row, shown)
        rows.append((*names, *(mean_and_spread(*summary(cell)) for cell in cells)))
        tidy += [_tidy(row, column, truth_of, cell) for column, cell in zip(columns, cells, strict=True)]
        if missing and (lack := expected.lack(max(map(len, cells), default=0))):
            notes.append(f"{' '.join(names)}: {lack}.")
        notes += _undefined_cells(names, columns, cells, common)
    heads = [("", axis) for axis in shown] + [(column.place, metrics[column.metric].head) for column in columns]
    judged = ", ".join(
        f"{data} against {truth_of(data)!r}" for data in dict.fromkeys(column.data for column in columns)
    )
    used = [cell for (row, column), cell in found.items() if column in columns]
    return Table(
        title, tuple(heads), tuple(rows), (f"Truth: {judged}.", _spread(used), *dict.fromkeys(notes)), tuple(tidy)
    )


def _undefined_cells(
    names: Sequence[str],
    columns: Sequence[Column],
    cells: Sequence[Sequence[Record]],
    common: Container[tuple[Column, str]],
) -> Iterator[str]:
    """Why a row has no number in a column, where not every row lacks it for the same reason."""
    for column, cell in zip(columns, cells, strict=True):
        if (note := _undefined(cell)) and (column, note) not in common:
            yield f"{' '.join(names)}, {column.place} {column.metric}: {note}."


def _of_every_row(found: Found, rows: Sequence[Row], columns: Sequence[Column]) -> list[tuple[Column, str]]:
    """The columns that have no number in any of several rows, for one reason, which is the data's."""
    said = [(column, {_undefined(found.get((row, column), [])) for row in rows}) for column in columns]
    return [(column, min(notes)) for column, notes in said if len(rows) > 1 and len(notes) == 1 and min(notes)]


def _undefined(found: Sequence[Record]) -> str:
    return next((record.note for record in found if math.isnan(record.value)), "")


def _tidy(row: Row, column: Column, truth_of: TruthOf, found: Sequence[Record]) -> dict[str, Value]:
    from fairl_bench.science.intervals import t_interval

    mean, sd = summary(found)
    try:
        low, high = t_interval([] if math.isnan(mean) else [record.value for record in _by_seed(found)])
    except Undefined:
        low = high = math.nan
    place = {**row._asdict(), "data": column.data, "slice": column.slice, "truth": truth_of(column.data)}
    return {**place, "metric": column.metric, "mean": mean, "sd": sd, "runs": len(found), "t_low": low, "t_high": high}


def _by_seed(found: Sequence[Record]) -> Sequence[Record]:
    """The runs of one replicate, for an interval over seeds; nothing where there are several replicates."""
    return found if len({record.replicate for record in found}) == 1 else ()


def _spread(used: Sequence[Sequence[Record]]) -> str:
    seeds = {record.seed for found in used for record in found} - {None}
    replicates = {record.replicate for found in used for record in found}
    if len(seeds) < 2:
        return "One training seed: no spread is known."
    worlds = f", pooled within {len(replicates)} replicates" if len(replicates) > 1 else ""
    return (
        f"± is the sample standard deviation over {len(seeds)} training seeds{worlds}; "
        "a method without ± draws nothing at random."
    )
