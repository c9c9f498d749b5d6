"""The rows and columns of tables, and the runs that a row should rest on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from fairl_bench.values.coordinates import Row, Setting
from fairl_bench.values.records import Record

SELECTION: Final = "selection"
"""The name in a variant of the rule by which its epochs were kept."""


class Column(NamedTuple):
    """A column of a table: a metric on a slice of some data."""

    data: str
    slice: str
    metric: str = ""

    @classmethod
    def of_place(cls, place: str) -> Column:
        """The data and the slice that a name in a table stands for; names of data hold no blank.

        >>> Column.of_place("pairs/test discordant")
        Column(data='pairs/test', slice='discordant', metric='')
        """
        data, _, part = place.partition(" ")
        return cls(data, part or "all")

    @property
    def place(self) -> str:
        """The name of its data and slice in a table."""
        return self.data if self.slice == "all" else f"{self.data} {self.slice}"


CellRecords = Mapping[tuple[Row, Column], Sequence[Record]]


class Runs(NamedTuple):
    """The runs that a row should rest on: how many, how many of them failed, and what tells them apart."""

    all: int
    failed: int = 0
    unit: str = "runs"  # seeds, where they differ by nothing else

    def lack(self, present: int) -> str:
        """The sentence about the runs that are missing; empty where none is.

        >>> Runs(5, failed=2, unit="seeds").lack(3), Runs(5, failed=2).lack(0), Runs(5).lack(4)
        ('2 of 5 seeds failed', '2 of 5 runs failed, 3 are not finished', '1 of 5 runs is not finished')
        """
        waiting = self.all - present - self.failed
        failed = f"{self.failed} of {self.all} {self.unit} failed" if self.failed else ""
        if waiting <= 0:
            return failed
        unfinished = f"{'is' if waiting == 1 else 'are'} not finished"
        return f"{failed}, {waiting} {unfinished}" if failed else f"{waiting} of {self.all} {self.unit} {unfinished}"


def shown_axes(rows: Iterable[Row]) -> list[str]:
    """The axes that a table names: the method, and what differs."""
    every = list(rows)
    return [axis for axis in Row._fields if axis == "method" or len({getattr(row, axis) for row in every}) > 1]


def differing(settings: Iterable[Setting]) -> list[str]:
    """The axes that settings differ in."""
    every = list(settings)
    return [axis for axis in Setting._fields if len({getattr(setting, axis) for setting in every}) > 1]


def named(place: Row | Setting, shown: Iterable[str]) -> list[str]:
    """The texts of these axes of a row or a setting."""
    return [point(place.variant) if axis == "variant" else getattr(place, axis) for axis in shown]


def point(variant: str) -> str:
    """A point of a product as a table shows it.

    >>> point('{"head.width":32,"methods.max-entropy.temperature":0.5}')
    'width=32 temperature=0.5'
    """
    return " ".join(f"{path.rpartition('.')[2]}={value}" for path, value in json.loads(variant or "{}").items())


def selection_of(variant: str) -> str:
    """The selection of a variant; empty where the suite has none.

    >>> selection_of('{"head.width":32,"selection":"last"}'), selection_of("")
    ('last', '')
    """
    selection = json.loads(variant or "{}").get(SELECTION, "")
    return selection if isinstance(selection, str) else ""


def summary(records: Sequence[Record]) -> tuple[float, float]:
    """Mean over all runs, and sample standard deviation (ddof = 1) over seeds, pooled within replicates; NaN: n/a."""
    values = [record.value for record in records]
    if not values or any(map(math.isnan, values)):
        return math.nan, math.nan
    worlds: dict[int, list[float]] = {}
    for record in records:
        worlds.setdefault(record.replicate, []).append(record.value)
    spreads = [np.var(world, ddof=1) for world in worlds.values() if len(world) > 1]
    return float(np.mean(values)), math.sqrt(np.mean(spreads)) if spreads else math.nan


def mean_and_spread(mean: float, spread: float) -> str:
    """Mean and spread as a cell shows them.

    >>> mean_and_spread(0.5, 0.01), mean_and_spread(0.5, math.nan), mean_and_spread(math.nan, math.nan)
    ('0.500 ± 0.010', '0.500', 'n/a')
    """
    if math.isnan(mean):
        return "n/a"
    return f"{mean:.3f}" + ("" if math.isnan(spread) else f" ± {spread:.3f}")
