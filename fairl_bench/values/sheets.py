"""Scores joined with what is known of their examples, one sheet a data set, and the numbers of single runs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from fairl_bench.values.coordinates import CellName, Coordinates, Run, World
from fairl_bench.values.data import DISCORDANT, Examples, Floats, Rows
from fairl_bench.values.records import NO_TRUTH, Record
from fairl_bench.values.rows import Column

THRESHOLD: Final = "threshold"
"""The metric above which the reward of a run calls a text good."""


@dataclass(frozen=True)
class Sheet:
    """One data set of one model in one replicate: its examples, and the rewards of each run in the same order."""

    suite: str
    model: str
    replicate: int
    data: str
    examples: Examples
    rewards: Mapping[Run, Floats]

    @property
    def world(self) -> World:
        """The world of its examples."""
        return World(self.model, self.replicate)

    def at(self, run: Run, truth: str = "", part: str = "all") -> Coordinates:
        """The coordinates of the numbers of one of its runs."""
        return Coordinates.of(self.world, run, self.data, truth, part)

    def clusters(self) -> Rows:
        """The codes of what is resampled together ``[n]``: those of `Examples.clusters`."""
        return self.examples.clusters()

    def discordant(self) -> Sheet:
        """The sheet of the slice of its discordant pairs, as data of its own: ``pairs/test discordant``."""
        rows = self.examples.discordant()
        rewards = {run: reward[rows] for run, reward in self.rewards.items()}
        place = Column(self.data, DISCORDANT).place
        return replace(self, data=place, examples=self.examples.take(rows), rewards=rewards)

    def sample(self) -> str:
        """A digest of the examples: a test set that is a file is the same in every replicate."""
        whole = hashlib.sha256(repr((self.data, len(self.examples))).encode())
        for text in (*self.examples.text, *self.examples.group):
            whole.update(f"{text}\0".encode("utf-8", "surrogatepass"))
        return whole.hexdigest()


def with_slices(sheets: Iterable[Sheet], asked: Container[str]) -> list[Sheet]:
    """These sheets, and after them those of their discordant pairs whose name is asked for and that hold any."""
    whole = list(sheets)
    parts = (sheet.discordant() for sheet in whole if Column(sheet.data, DISCORDANT).place in asked)
    return [*whole, *(part for part in parts if len(part.examples))]


class Place(NamedTuple):
    """The coordinates of a number of all examples; the head is no part of them, since a method has one."""

    cell: CellName
    data: str
    truth: str
    metric: str


class Values(NamedTuple):
    """The numbers of single runs, by their place."""

    of: Mapping[Place, float]

    @classmethod
    def read(cls, records: Iterable[Record]) -> Values:
        """The numbers of all examples, and of discordant pairs as of data of their own."""
        every = (row for row in records if row.slice in ("all", DISCORDANT) and not row.other)
        places = ((row, Column(row.data, row.slice).place) for row in every)
        return cls({Place(row.cell, place, row.truth, row.metric): row.value for row, place in places})

    def get(self, sheet: Sheet, run: Run, truth: str, metric: str) -> float | None:
        """The number of a run; None where there is none, as where its evaluator failed.

        Where there is none against this truth, it is the one on record without a truth, if any.
        """
        cell = CellName(sheet.model, run.encoder, run.method, run.variant, sheet.replicate, run.seed)
        places = (Place(cell, sheet.data, against, metric) for against in (truth, NO_TRUTH))
        return next((self.of[place] for place in places if place in self.of), None)

    def threshold(self, sheet: Sheet, run: Run, truth: str) -> float | None:
        """The reward above which a run calls a text good; None where no evaluator gives one, or it is undefined."""
        threshold = self.get(sheet, run, truth, THRESHOLD)
        return None if threshold is None or math.isnan(threshold) else threshold
