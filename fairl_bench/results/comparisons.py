"""Intervals of each method and paired differences of each two, as tidy rows, and the file that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from fairl_bench.coordinates import Group, Row
from fairl_bench.results.folder import parquet, readable

if TYPE_CHECKING:
    import pyarrow as pa

ALPHA = 0.05  # of intervals and ranks
FILE = "intervals.parquet"


@dataclass(frozen=True, kw_only=True)
class Comparison(Group):
    """A row of ``intervals.parquet``: one method's metric, or with ``other`` its difference from another's, paired."""

    method: str
    other: str  # empty: the method's own metric
    value: float  # the mean over units; of two methods: method less other
    low: float  # the 95 % interval
    high: float
    p: float  # of a difference of zero; NaN for one method's own
    p_holm: float  # the same, adjusted for all pairs of methods of this model, encoder, variant, data, truth and metric
    error: float  # the standard error that the interval and p rest on
    freedom: float  # its degrees of freedom; inf: examples alone were resampled
    effect: float  # Cohen's d of the difference over units
    n: int  # examples
    units: int
    unit: str  # replicate, seed, or empty where one run stands for all
    resamples: int  # of the examples, whose noise is a part of the error; 0: it is in what replicates differ by
    note: str

    @property
    def group(self) -> Group:
        """What is compared with one another."""
        return Group.of(self.setting, self.data, self.truth, self.metric)

    @property
    def row(self) -> Row:
        """The row of a table that it is of."""
        return self.setting.row(self.method)


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
