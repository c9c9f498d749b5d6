"""The numbers of re-alignments by row, and what their tables share: heads, tidy rows, and notes on missing numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Group, Row
from fairl_bench.values.realigned import DATA, placed
from fairl_bench.values.records import Record
from fairl_bench.values.references import Methods, as_values
from fairl_bench.values.rows import Runs, named, shown_axes, summary
from fairl_bench.values.table import Value

SECOND: Final = "second"
"""The truth of a second judge, where a suite has one."""


class Number(NamedTuple):
    """The coordinates of the numbers of a column."""

    slice: str
    truth: str
    metric: str


class Column(NamedTuple):
    """A column: its numbers, and the two lines of its head."""

    number: Number
    top: str
    head: str


NumberRecords = Mapping[tuple[Row, Number], Sequence[Record]]


def by_number(records: Iterable[Record]) -> NumberRecords:
    """The records of each row and number."""
    records_of: dict[tuple[Row, Number], list[Record]] = {}
    for record in records:
        records_of.setdefault((record.row, Number(record.slice, record.truth, record.metric)), []).append(record)
    return records_of


def group_of(row: Row, number: Number) -> Group:
    """The group of comparisons that the number of a row belongs to."""
    return Group.of(row.setting, placed(number.slice), number.truth, number.metric)


def ends_of(comparisons: Iterable[Comparison]) -> dict[tuple[Group, str], tuple[float, float]]:
    """The interval of each method within its group."""
    return {
        (comparison.group, comparison.method): (comparison.low, comparison.high)
        for comparison in comparisons
        if not comparison.other
    }


def lacking(records_of: NumberRecords, runs: Mapping[Row, Runs], columns: Sequence[Column]) -> list[str]:
    """The notes on what is not known of each row and why, in as few sentences as there are reasons."""
    notes: dict[str, None] = {}
    for row, expected in runs.items():
        name = " ".join(named(row, shown_axes(runs)))
        cells = [records_of.get((row, column.number), []) for column in columns]
        if lack := expected.lack(max(map(len, cells), default=0)):
            notes[f"{name}: {lack}."] = None
        for cell, column in zip(cells, columns, strict=True):
            lost = [record for record in cell if math.isnan(record.value)]
            if lost:
                of = f" ({len(lost)} of {len(cell)} {expected.unit})" if len(cell) > 1 else ""
                where = f", {column.top}" if column.number.slice.startswith("kl:") else f", {column.top} {column.head}"
                notes[f"{name}{where}: {lost[0].note}{of}."] = None
    return list(notes)


def heads_of(shown: Sequence[str], columns: Sequence[Column]) -> tuple[tuple[str, ...], ...]:
    """The heads of a table: the axes that differ, then the columns."""
    return tuple([("", axis) for axis in shown] + [(column.top, column.head) for column in columns])


def tidy_row(row: Row, column: Column, cell: Sequence[Record], methods: Methods) -> dict[str, Value]:
    """The values of one number of a row as the files of a table have them."""
    mean, sd = summary(cell)
    place = {**row._asdict(), **as_values(row, methods), "data": DATA, **column.number._asdict()}
    return {**place, "mean": mean, "sd": sd, "runs": len(cell)}
