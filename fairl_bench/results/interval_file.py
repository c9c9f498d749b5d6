"""The file of intervals and paired differences, ``intervals.parquet``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from fairl_bench.results.folder import readable
from fairl_bench.values.arrow import arrow_table, column_of
from fairl_bench.values.comparison import Comparison

if TYPE_CHECKING:
    import pyarrow as pa


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"str": pa.string(), "float": pa.float64(), "int": pa.int64()}
    return pa.schema([(column.name, types[str(column.type)]) for column in fields(Comparison)])


def table(rows: Iterable[Comparison], signature: str = "") -> pa.Table:
    """The table of ``intervals.parquet``; ``signature`` names what it was made from."""
    every = [vars(row) for row in rows]
    whole = arrow_table({field.name: column_of([row[field.name] for row in every], field.type) for field in _schema()})
    return whole.replace_schema_metadata({"signature": signature})


def rows(table: pa.Table, path: Path) -> list[Comparison]:
    """The comparisons of a table that was read from ``path``.  Raises `ResultsError` for columns of something else."""
    with readable(path):
        return [Comparison(**row) for row in table.to_pylist()]
