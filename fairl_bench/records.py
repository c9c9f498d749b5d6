"""The tidy row: one number with the coordinates that say where it came from, and the file that holds them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.errors import Undefined
from fairl_bench.results_folder import parquet, readable

if TYPE_CHECKING:
    import pyarrow as pa


class Measure(NamedTuple):
    """What an evaluator says: a number of one data set, without the cell it belongs to."""

    data: str  # pairs/test, or a test set
    truth: str  # preferred, gold, or empty
    metric: str
    value: float
    n: int
    note: str = ""
    slice: str = "all"


class Evidence(NamedTuple):
    """The rows that measures rest on, by column, for intervals and readers: kept as a table beside the numbers."""

    columns: Mapping[str, Sequence[str | float | int | bool]]


@dataclass(frozen=True)
class Record:
    """A row of ``records.parquet``; the key is every column above ``value``."""

    suite: str
    model: str
    encoder: str
    head: str
    method: str
    variant: str
    replicate: int
    seed: int | None  # None: holds for every seed
    dataset: str  # pairs, or a test set
    split: str  # train, validation, test; empty for a test set
    slice: str
    truth: str
    metric: str
    other: str
    value: float  # NaN needs a note
    n: int
    note: str
    stage: str

    def __post_init__(self) -> None:
        if math.isnan(self.value) and not self.note:
            raise ValueError(f"{self.metric} on {self.data} is NaN without a note that says why")

    @property
    def data(self) -> str:
        """The name that suites use: ``pairs/test``, or the test set's."""
        return f"{self.dataset}/{self.split}" if self.split else self.dataset


def measured(data: str, truth: str, metric: str, n: int, function: Callable[..., float], /, *args: object) -> Measure:
    """The measure of ``function(*args)``: NaN with the reason where it is `Undefined`."""
    try:
        return Measure(data, truth, metric, float(function(*args)), n)
    except Undefined as reason:
        return Measure(data, truth, metric, math.nan, n, str(reason))


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"replicate": pa.int16(), "seed": pa.int16(), "value": pa.float64(), "n": pa.int64()}
    return pa.schema([(column.name, types.get(column.name, pa.string())) for column in fields(Record)])


def write(path: Path, records: Iterable[Record]) -> None:
    """Write ``records.parquet``, sorted by key, so that equal records are equal files whatever the order of work."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([vars(record) for record in records], schema=_schema())
    keys = [(column.name, "ascending") for column in fields(Record)[:14]]
    pq.write_table(table.sort_by(keys), path)


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
