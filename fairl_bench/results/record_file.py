"""``records.parquet``: the tidy records of a run, one row a number."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairl_bench.results.folder import readable
from fairl_bench.values.arrow import arrow_table, column_of
from fairl_bench.values.records import COLUMNS, KEY, Record

if TYPE_CHECKING:
    import pyarrow as pa

Line = tuple[Any, ...]
"""The values of a record in the order of its fields; None for a number that is not defined."""
_DEFAULTS: Final = {field.name: field.default for field in fields(Record)}
_VALUE, _NOTE, _OTHER = (list(_DEFAULTS).index(name) for name in ("value", "note", "other"))


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"replicate": pa.int16(), "seed": pa.int16(), "value": pa.float64(), "n": pa.int64()}
    return pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])


def table(records: Iterable[Record]) -> pa.Table:
    """The rows of ``records.parquet``, sorted by key: equal records are equal files whatever the order of work."""
    every = [vars(record) for record in records]
    whole = arrow_table({field.name: column_of([row[field.name] for row in every], field.type) for field in _schema()})
    return whole.sort_by([(name, "ascending") for name in KEY])


def line(record: Record) -> Line:
    """The values of a record, to compare: a number that is not defined is None, and equal to another."""
    values = vars(record)
    return tuple(values.values()) if record.value == record.value else tuple({**values, "value": None}.values())


def lines(table: pa.Table, path: Path) -> list[Line]:
    """The lines of a table that was read from ``path``.  Raises `ResultsError` for columns of something else."""
    with readable(path):
        if unknown := set(table.column_names) - _DEFAULTS.keys():
            raise TypeError(f"a record has no {sorted(unknown)}")
        columns = [_column(table, name) for name in _DEFAULTS]
        every = list(zip(*columns, strict=True))
        if any(line[_VALUE] is None and not line[_NOTE] for line in every):
            raise ValueError("a number is not defined, and no note says why")
        return every


def _column(table: pa.Table, name: str) -> list[Any]:
    """The values of one column; those that it has without a word where there is no such column."""
    if name not in table.column_names:
        if _DEFAULTS[name] is MISSING:
            raise TypeError(f"a record needs its {name!r}")
        return [_DEFAULTS[name]] * table.num_rows
    values: list[Any] = table.column(name).to_pylist()
    return [value if value == value else None for value in values] if name == "value" else values


def record(line: Line) -> Record:
    """The record of one of `lines`, in a quarter of the time of its constructor: a folder has thousands."""
    made = object.__new__(Record)
    vars(made).update(zip(_DEFAULTS, line, strict=True))
    if line[_VALUE] is None:
        vars(made)["value"] = math.nan
    return made


def rows(table: pa.Table, path: Path) -> list[Record]:
    """The records of a table that was read from ``path``.  Raises `ResultsError` for columns of something else."""
    return list(map(record, lines(table, path)))


def of_two(line: Line) -> bool:
    """True where a line is of two runs."""
    return bool(line[_OTHER])
