"""The file of intervals and paired differences, ``intervals.parquet``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from fairl_bench.comparison import Comparison
from fairl_bench.results.folder import parquet, readable

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "intervals.parquet"


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"str": pa.string(), "float": pa.float64(), "int": pa.int64()}
    return pa.schema([(column.name, types[str(column.type)]) for column in fields(Comparison)])


def write(path: Path, rows: Iterable[Comparison], signature: str = "") -> None:
    """Write ``intervals.parquet``; ``signature`` says what it was made from."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([vars(row) for row in rows], schema=_schema())
    pq.write_table(table.replace_schema_metadata({"signature": signature}), path)


def read(path: Path) -> list[Comparison]:
    """The comparisons of a file as it is.  Raises `ResultsError` for one that is broken."""
    with readable(path):
        return rows(parquet(path.read_bytes(), path), path)


def rows(table: pa.Table, path: Path) -> list[Comparison]:
    """The comparisons of a table that was read from ``path``.  Raises `ResultsError` for columns of something else."""
    with readable(path):
        return [Comparison(**row) for row in table.to_pylist()]
