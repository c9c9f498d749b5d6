"""The tidy row: one number with its coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from fairl_bench.errors import Undefined
from fairl_bench.values.coordinates import AXES, Coordinates

NO_TRUTH: Final = ""
"""The truth of a number that needs none: it stands for every truth that a table asks for."""


class Measure(NamedTuple):
    """A number of an evaluator on one data set, without the cell it belongs to."""

    data: str  # pairs/test, or a test set
    truth: str  # preferred, gold, or empty
    metric: str
    value: float
    n: int
    note: str = ""
    slice: str = "all"


class Evidence(NamedTuple):
    """The rows that measures rest on, by column, for intervals and readers: kept as a table beside the numbers.

    An evaluator that gives several tables names all but one of them.
    """

    columns: Mapping[str, Sequence[str | float | int | bool]]
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Record(Coordinates):
    """A row of ``records.parquet``: a number with its coordinates."""

    suite: str
    metric: str
    other: str = ""  # the second method, or seed, of a number of two runs
    value: float  # NaN needs a note
    n: int
    note: str = ""
    stage: str = ""

    def __post_init__(self) -> None:
        if math.isnan(self.value) and not self.note:
            raise ValueError(f"{self.metric} on {self.data} is NaN without a note that says why")

    @classmethod
    def at(
        cls,
        place: Coordinates,
        suite: str,
        metric: str,
        value: float,
        n: int,
        *,
        other: str = "",
        note: str = "",
        stage: str = "",
    ) -> Record:
        """The record of a number at these coordinates."""
        return Record(**place.axes(), suite=suite, metric=metric, other=other, value=value, n=n, note=note, stage=stage)

    @property
    def key(self) -> tuple[object, ...]:
        """The key that no two records of a run share."""
        return tuple(getattr(self, name) for name in KEY)


KEY: Final = ("suite", *AXES, "metric", "other")
COLUMNS: Final = (*KEY, "value", "n", "note", "stage")
"""The columns of ``records.parquet``, in their order."""


def measured(data: str, truth: str, metric: str, n: int, function: Callable[..., float], /, *args: object) -> Measure:
    """The measure of ``function(*args)``: NaN with the reason where it is `Undefined`."""
    try:
        return Measure(data, truth, metric, float(function(*args)), n)
    except Undefined as reason:
        return Measure(data, truth, metric, math.nan, n, str(reason))
