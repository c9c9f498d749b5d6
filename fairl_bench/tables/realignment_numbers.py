"""The numbers of re-alignments by row, and what their tables share: heads, tidy rows, and what is not known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Group, Row
from fairl_bench.values.realigned import DATA, placed
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs, named, shown_axes, summary
from fairl_bench.values.table import Value

SECOND: Final = "second"
"""The truth of a second judge, where a suite has one."""


class Number(NamedTuple):
    """What a column of numbers is of."""

    slice: str
    truth: str
    metric: str


class Column(NamedTuple):
    """One column: its numbers, and the two lines of its head."""

    number: Number
    top: str
    head: str


Found = Mapping[tuple[Row, Number], Sequence[Record]]


def by_number(records: Iterable[Record]) -> Found:
    """The records of each row and number."""
    found: dict[tuple[Row, Number], list[Record]] = {}
    for record in records:
        found.setdefault((record.row, Number(record.slice, record.truth, record.metric)), []).append(record)
    return found


def group_of(row: Row, number: Number) -> Group:
    """What the number of a row is compared with."""
    return Group.of(row.setting, placed(number.slice), number.truth, number.metric)


def ends_of(comparisons: Iterable[Comparison]) -> dict[tuple[Group, str], tuple[float, float]]:
    """The interval of each method within its group."""
    return {(one.group, one.method): (one.low, one.high) for one in comparisons if not one.other}


def lacking(found: Found, runs: Mapping[Row, Runs], columns: Sequence[Column]) -> list[str]:
    """What is not known of a row, and why, in as few sentences as there are reasons."""
    notes: dict[str, None] = {}
    for row, expected in runs.items():
        name = " ".join(named(row, shown_axes(runs)))
        cells = [found.get((row, column.number), []) for column in columns]
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


def tidy_row(row: Row, column: Column, cell: Sequence[Record]) -> dict[str, Value]:
    """What the files of a table have of one number of a row."""
    mean, sd = summary(cell)
    return {**row._asdict(), "data": DATA, **column.number._asdict(), "mean": mean, "sd": sd, "runs": len(cell)}
