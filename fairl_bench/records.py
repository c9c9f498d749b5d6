"""The tidy row: one number with the coordinates that say where it came from, and the file that holds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.errors import Undefined

if TYPE_CHECKING:
    pass


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
