"""Table 1, the leaderboard, and the same on the failures of a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from fairl_bench.comparison import Comparison
from fairl_bench.coordinates import Row
from fairl_bench.errors import Undefined
from fairl_bench.metrics import Metrics
from fairl_bench.records import Record
from fairl_bench.rows import Column, Found, Layout, Runs, mean_and_spread, named, shown_axes, summary
from fairl_bench.table import Table, Value
from fairl_bench.tables.ranked import ranked


def table1(
    records: Iterable[Record],
    layout: Layout,
    runs: Mapping[Row, Runs],
    metrics: Metrics,
    comparisons: Sequence[Comparison] = (),
    *,
    intervals: bool = False,
) -> Table:
    """The leaderboard: one row a (model, encoder, method, variant), mean ± spread of each metric over training seeds.

    ``runs`` says what each row should rest on, in the order of the rows; a row that rests on less says so.
    ``comparisons`` give intervals, shown with ``intervals``, and ranks; without them nothing is marked.
    """
    columns = [Column(data, "all", metric) for data in layout.data for metric in layout.metrics]
    found = _found(records, layout)
    table = _board("Table 1", found, layout, runs, columns, metrics)
    return ranked(table, found, layout, runs, columns, metrics, comparisons, intervals) if comparisons else table


def slices(records: Iterable[Record], layout: Layout, runs: Mapping[Row, Runs], metrics: Metrics) -> Table:
    """Table 1's metrics on what the baseline misranks and on its near-ties; no row where no slice was measured."""
    rows = list(records)
    names = sorted({record.slice for record in rows if record.slice.startswith(("misranked:", "near-tie:"))})
    cut = {record.data for record in rows if record.slice in names}
    columns = [
        Column(data, name, metric) for data in layout.data if data in cut for name in names for metric in layout.metrics
    ]
    found = _found(rows, layout)
    columns = [column for column in columns if any((row, column) in found for row in runs)]
    if not columns:
        return Table("Slices", (), (), ())
    warning = (
        "The slices are chosen by one run of the baseline, seed by seed: on what it misranks it is at its worst by "
        "construction, and any other reward, be it another seed of the baseline, does better."
    )
    table = _board("Slices", found, layout, runs, columns, metrics)
    return table._replace(notes=(*table.notes, warning))


def _found(records: Iterable[Record], layout: Layout) -> Found:
    """The records of each cell."""
    values: dict[tuple[Row, Column], list[Record]] = {}
    for record in records:
        if not record.other and record.truth == layout.truth_of(record.data):
            column = Column(record.data, record.slice, record.metric)
            values.setdefault((record.row, column), []).append(record)
    return values


def _board(
    title: str, found: Found, layout: Layout, runs: Mapping[Row, Runs], columns: Sequence[Column], metrics: Metrics
) -> Table:
    shown = shown_axes(runs)
    common = _of_every_row(found, list(runs), columns)
    rows, notes, tidy = [], [f"{column.place} {column.metric}: {note}." for column, note in common], []
    for row, expected in runs.items():
        cells = [found.get((row, column), []) for column in columns]
        names = named(row, shown)
        rows.append((*names, *(mean_and_spread(*summary(cell)) for cell in cells)))
        tidy += [_tidy(row, column, layout, cell) for column, cell in zip(columns, cells, strict=True)]
        if lack := expected.lack(max((len(cell) for cell in cells), default=0)) if title == "Table 1" else "":
            notes.append(f"{' '.join(names)}: {lack}.")
        notes += [
            f"{' '.join(names)}, {column.place} {column.metric}: {note}."
            for column, cell in zip(columns, cells, strict=True)
            if (note := _undefined(cell)) and (column, note) not in common
        ]
    heads = [("", axis) for axis in shown] + [(column.place, metrics[column.metric].head) for column in columns]
    judged = ", ".join(
        f"{data} against {layout.truth_of(data)!r}" for data in dict.fromkeys(column.data for column in columns)
    )
    used = [cell for (row, column), cell in found.items() if column in columns]
    return Table(
        title, tuple(heads), tuple(rows), (f"Truth: {judged}.", _spread(used), *dict.fromkeys(notes)), tuple(tidy)
    )


def _of_every_row(found: Found, rows: Sequence[Row], columns: Sequence[Column]) -> list[tuple[Column, str]]:
    """The columns that have no number in any of several rows, for one reason, which is the data's."""
    said = [(column, {_undefined(found.get((row, column), [])) for row in rows}) for column in columns]
    return [(column, min(notes)) for column, notes in said if len(rows) > 1 and len(notes) == 1 and min(notes)]


def _undefined(found: Sequence[Record]) -> str:
    return next((record.note for record in found if math.isnan(record.value)), "")


def _tidy(row: Row, column: Column, layout: Layout, found: Sequence[Record]) -> dict[str, Value]:
    from fairl_bench.science.intervals import t_interval

    mean, sd = summary(found)
    try:
        low, high = t_interval([] if math.isnan(mean) else [record.value for record in _by_seed(found)])
    except Undefined:
        low = high = math.nan
    place = {**row._asdict(), "data": column.data, "slice": column.slice, "truth": layout.truth_of(column.data)}
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
