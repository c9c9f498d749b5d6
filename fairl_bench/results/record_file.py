"""``records.parquet``: the tidy records of a run, one row a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from fairl_bench.records import COLUMNS, KEY, Record
from fairl_bench.results.folder import parquet, readable

if TYPE_CHECKING:
    import pyarrow as pa


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"replicate": pa.int16(), "seed": pa.int16(), "value": pa.float64(), "n": pa.int64()}
    return pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])


def write(path: Path, records: Iterable[Record]) -> None:
    """Write ``records.parquet``, sorted by key, so that equal records are equal files whatever the order of work."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([vars(record) for record in records], schema=_schema())
    pq.write_table(table.sort_by([(name, "ascending") for name in KEY]), path)


def says(path: Path, records: Sequence[Record]) -> bool:
    """Whether a file holds these records already, and no others."""
    return path.exists() and Counter(map(_told, read(path))) == Counter(map(_told, records))


def _told(record: Record) -> tuple[object, ...]:
    """What a record says, to compare: a number that is not defined is equal to another."""
    told = vars(record)
    return tuple(told.values()) if record.value == record.value else tuple({**told, "value": None}.values())


def read(path: Path) -> list[Record]:
    """The records of a file as it is.  Raises `ResultsError` for one that is broken."""
    with readable(path):
        return list(_read(path.read_bytes(), path))


@lru_cache(maxsize=2)  # a run looks at its records several times, and making them takes longer than reading them
def _read(content: bytes, path: Path) -> tuple[Record, ...]:
    return tuple(rows(parquet(content, path), path))


def rows(table: pa.Table, path: Path) -> list[Record]:
    """The records of a table that was read from ``path``.  Raises `ResultsError` for columns of something else."""
    with readable(path):
        return [Record(**row) for row in table.to_pylist()]
