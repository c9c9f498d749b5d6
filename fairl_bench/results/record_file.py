"""``records.parquet``: the tidy records of a run, one row a number."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fairl_bench.results.folder import readable
from fairl_bench.values.records import COLUMNS, KEY, Record

if TYPE_CHECKING:
    import pyarrow as pa


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"replicate": pa.int16(), "seed": pa.int16(), "value": pa.float64(), "n": pa.int64()}
    return pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])


def table(records: Iterable[Record]) -> pa.Table:
    """The rows of ``records.parquet``, sorted by key: equal records are equal files whatever the order of work."""
    import pyarrow as pa

    whole = pa.Table.from_pylist([vars(record) for record in records], schema=_schema())
    return whole.sort_by([(name, "ascending") for name in KEY])


def content(record: Record) -> tuple[object, ...]:
    """The values of a record, to compare: a number that is not defined is equal to another."""
    values = vars(record)
    return tuple(values.values()) if record.value == record.value else tuple({**values, "value": None}.values())


def rows(table: pa.Table, path: Path) -> list[Record]:
    """The records of a table that was read from ``path``.  Raises `ResultsError` for columns of something else."""
    with readable(path):
        return [Record(**row) for row in table.to_pylist()]
