"""Scores joined with what is known of their examples, one sheet a data set, and the numbers of single runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairl_bench.data import Examples, Floats, Rows
from fairl_bench.records import Record


class Run(NamedTuple):
    """One reward of one world: the coordinates of a score file."""

    encoder: str
    head: str
    method: str
    variant: str
    seed: int | None  # None: holds for every seed


@dataclass(frozen=True)
class Sheet:
    """One data set of one model in one replicate: its examples, and what each run scores them, in one order."""

    suite: str
    model: str
    replicate: int
    data: str
    examples: Examples
    rewards: Mapping[Run, Floats]

    def clusters(self) -> Rows:
        """What is resampled together ``[n]``, codes from 0: a group, else a prompt, else a pair, else one example."""
        found = self.examples
        names = [
            f"g{group}" if group else f"p{prompt}" if prompt else f"c{pair}" if pair >= 0 else i
            for i, (group, prompt, pair) in enumerate(zip(found.group, found.prompt, found.pair.tolist(), strict=True))
        ]
        codes: dict[object, int] = {}
        return np.array([codes.setdefault(name, len(codes)) for name in names], np.int64)

    def sample(self) -> str:
        """Equal for sheets of equal examples: a test set that is a file is the same in every replicate."""
        whole = hashlib.sha256(repr((self.data, len(self.examples))).encode())
        for text in (*self.examples.text, *self.examples.group):
            whole.update(f"{text}\0".encode("utf-8", "surrogatepass"))
        return whole.hexdigest()


_Place = tuple[
    str, str, str, str, int, int | None, str, str
]  # model, encoder, method, variant, replicate, seed, data, truth


class Values(NamedTuple):
    """The records of single numbers, by place."""

    of: Mapping[tuple[_Place, str], float]

    @classmethod
    def read(cls, records: Iterable[Record]) -> Values:
        """The numbers of all examples."""
        whole = (row for row in records if row.slice == "all" and not row.other)
        return cls({(_place_of(row), row.metric): row.value for row in whole})

    def get(self, sheet: Sheet, run: Run, truth: str, metric: str) -> float | None:
        """The number of a run; None where there is none, as where its evaluator failed."""
        where = (sheet.model, run.encoder, run.method, run.variant, sheet.replicate, run.seed, sheet.data, truth)
        return self.of.get((where, metric))


def _place_of(row: Record) -> _Place:
    return row.model, row.encoder, row.method, row.variant, row.replicate, row.seed, row.data, row.truth
