"""Finished work as plain values that load on demand, from which results are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np

from fairl_bench.component import Spec
from fairl_bench.values.coordinates import Coordinates, Row, World
from fairl_bench.values.data import DROPPED, SPLITS, Examples, Split
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.training import Reward

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
Embedded = Literal["completion", "prompt+completion"]
"""The texts of an example that an encoder reads."""


@dataclass(frozen=True)
class Stored(Generic[T]):
    """The answer of one stage: its key, whether it is there, and a function that loads it."""

    key: str
    there: bool
    load: Callable[[], T]


@dataclass(frozen=True)
class FinishedWorld:
    """The data of one model in one replicate."""

    place: World
    split: Stored[Split]
    texts: Mapping[str, Stored[Examples]]  # by data set, the pairs first
    wanted: bool  # whether the run was asked for it

    @property
    def finished(self) -> bool:
        """True where its pairs and their split are there."""
        return self.texts["pairs"].there and self.split.there

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all its stages, that of the split first."""
        return (self.split.key, *(texts.key for texts in self.texts.values()))

    @property
    def keys_there(self) -> tuple[str, ...]:
        """The same without texts that are not there."""
        return (self.split.key, *(texts.key for texts in self.texts.values() if texts.there))

    def examples(self, dataset: str) -> tuple[Examples, list[str]]:
        """The examples of a data set, and the part of the split that each is in; empty where it is in none."""
        examples = self.texts[dataset].load()
        if dataset != "pairs":
            return examples, [""] * len(examples)
        names = {**dict(enumerate(SPLITS)), DROPPED: ""}
        return examples, [names[code] for code in self.split.load().part[examples.pair].tolist()]


@dataclass(frozen=True)
class FinishedModel:
    """A language model that an encoder starts from, or that a method reads."""

    path: str  # where the store has it, or would
    there: Callable[[], bool]
    folder: Callable[[], Path]  # where its files lie
    digests: Callable[[], Mapping[str, str] | None]  # by file, empty without any; None where they lie elsewhere


@dataclass(frozen=True)
class FinishedReward:
    """The parts of a recovered reward, for its use outside of the run."""

    key: str
    there: bool
    place: Coordinates
    method: Spec
    encoder: Spec
    embed: Embedded
    head: Mapping[str, Any]
    models: Mapping[str, FinishedModel]  # what the encoder starts from, by role
    method_models: Mapping[str, FinishedModel]  # what the method's score reads, by role
    corpus: tuple[str, ...]  # equal where the training texts are
    training_texts: Callable[[], Sequence[str]]
    arrays: Callable[[], tuple[Path, str]]  # the file of what the method learnt, and its SHA-256
    facts: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True)
class FinishedCell:
    """The finished parts of one cell."""

    place: Coordinates
    world: FinishedWorld
    reward: Stored[Reward]
    scores: Stored[Mapping[str, np.ndarray]]
    measures: Mapping[str, str]  # by the key of its numbers, the name of their evaluator
    slices: tuple[str, ...]  # the keys of its numbers on the failures of a baseline
    records: Callable[[], list[Record]]
    evidence: Callable[[], Mapping[str, Sequence[Stored[pa.Table]]]]  # what its measures rest on, by table
    saved: Callable[[], FinishedReward | None]  # None where its encoder or method needs what cannot be kept
    wanted: bool  # whether the run was asked for it

    @property
    def answers(self) -> tuple[str, ...]:
        """The keys of all stages that its records may come from."""
        return (self.reward.key, *self.measures, *self.slices)


@dataclass(frozen=True)
class FinishedRun:
    """The finished parts of a run, whether it has ended or was interrupted."""

    worlds: Sequence[FinishedWorld]
    cells: Sequence[FinishedCell]
    whole: bool  # whether every cell was asked for, so that what is of none is to go
    rows: Mapping[Row, Runs]
    stages: Callable[[], Sequence[Mapping[str, Any]]]  # what there is to say of each finished stage
    failed: Mapping[str, str]  # by key
    logs: Mapping[str, str]
    skipped: Mapping[str, str]
    damaged: Sequence[str]
    lost: Sequence[Mapping[str, Any]]  # attempts that ended with their process
    warnings: Sequence[str]
    unsaved: Sequence[str] = ()  # why rewards that need more than language models are not saved
