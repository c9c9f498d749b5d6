"""The kinds of part, one verb each.  A plugin subclasses one of these and registers the class under a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from fairl_bench.component import Component
from fairl_bench.data import Examples, Floats, Head, Inputs, Pairs, Reward, Scored, Task, Truth, Vectors
from fairl_bench.records import Measure

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.science.failures import Signal


class Judge(Component, ABC):
    """The ground truth of a text: a classifier, a known rule, human labels."""

    kind = "judge"

    @abstractmethod
    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """The truth ``gold`` of every example, and ``subtype:NAME`` where the judge tells subtypes apart."""


class Source(Component, ABC):
    """Where preference pairs come from."""

    kind = "source"
    drawn: ClassVar[bool] = False
    """Whether another replicate gives other pairs (a drawn world) or the same ones (a file)."""

    gold: Judge | None = Field(None, description="judges every completion; none: the truth 'gold' is not known")
    embed: Literal["completion", "prompt+completion"] = Field("completion", description="what an encoder reads")
    identical: Literal["refuse", "drop"] = Field("refuse", description="pairs whose two texts are equal")
    flip: float = Field(0.0, ge=0, le=1, description="share of the pairs whose preference is turned around, as noise")

    def size(self) -> int | None:
        """How many pairs there will be, if that can be told without making them."""
        return None

    @abstractmethod
    def pairs(self, rng: np.random.Generator) -> Pairs:
        """The pairs.  ``rng`` is the replicate's own; a source that draws nothing ignores it."""


class TestSet(Component, ABC):
    """Texts with a known truth to evaluate on."""

    kind = "testset"
    __test__ = False  # not a test class, whatever its name says to pytest
    drawn: ClassVar[bool] = False

    def size(self) -> int | None:
        """How many texts there will be, if that can be told without making them."""
        return None

    @abstractmethod
    def examples(self, rng: np.random.Generator) -> Examples:
        """The examples with their truths."""


class Encoder(Component, ABC):
    """Texts to frozen embeddings."""

    kind = "encoder"
    fitted: ClassVar[bool] = False
    """Whether it learns from the training texts first; if not, ``corpus`` is empty."""

    @abstractmethod
    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """One row a text ``[n, d]`` float32.  ``corpus`` holds the training texts of a `fitted` encoder."""


class Method(Component, ABC):
    """Pairs to reward: an IRL algorithm.  For one that is a loss on margins, subclass `PairwiseMethod`."""

    kind = "method"
    seeded: ClassVar[bool] = True
    """Whether another seed gives another reward; if not, one run stands for all seeds."""

    @abstractmethod
    def fit(self, task: Task) -> Reward:
        """The reward learnt from ``task.train``; randomness from `fairl_bench.stream` with the task's two numbers."""

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """The reward of each text ``[n]``.  By default the arrays are a head on the vectors."""
        from fairl_bench.science.heads import score

        return score(reward.arrays, inputs.vectors)

    def head(self, suite_head: Head) -> str:
        """The shape of what is fitted, for the records: the suite's head unless the method has its own."""
        return suite_head.use

    def truths(self) -> frozenset[str]:
        """The truths that it must know of the training pairs; a method that learns from preferences needs none."""
        return frozenset()

    def stack(self) -> Hashable:
        """Runs of equal value here, and of equal data and settings, are fitted by one `fit_many`; None: alone."""
        return None

    @classmethod
    def fit_many(cls, runs: Sequence[tuple[Self, Task]]) -> list[Reward]:
        """The reward of each run; override to share work between them."""
        return [method.fit(task) for method, task in runs]


class Schedule(Component, ABC):
    """A number that changes with the rounds of a training."""

    kind = "schedule"

    @abstractmethod
    def at(self, turn: int, rounds: int) -> float:
        """The value in round ``turn`` (from 0) of ``rounds``."""


class Detector(Component, ABC):
    """Which pairs are failures now."""

    kind = "detector"
    by_step: ClassVar[bool] = True
    """Whether a batch is enough for it; if not, failures are mined by round, from all pairs."""

    @abstractmethod
    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]`` of the pairs that are failures, from what the reward says of them now."""

    def score(self, signal: Signal) -> Tensor:
        """How surely each pair is a failure ``[..., n]``, higher is surer; by default the negative margin."""
        return -signal.margin

    def truths(self) -> frozenset[str]:
        """The truths that it must know of the training pairs."""
        return frozenset()


class Evaluator(Component, ABC):
    """Scores and truth to numbers."""

    kind = "evaluator"
    metrics: ClassVar[tuple[str, ...]] = ()
    """The names of its numbers, so that a misspelt one in a report is refused; empty: not told."""

    data: tuple[str, ...] = Field(min_length=1, description="pairs/train, pairs/validation, pairs/test or a test set")

    @abstractmethod
    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """The numbers.  ``scored`` holds each of `needs` by name."""

    def needs(self) -> frozenset[str]:
        """The names of the data it reads: those it evaluates and, say, the one that sets its threshold."""
        return frozenset(self.data)

    def truths(self) -> frozenset[str]:
        """The truths it reads, so that a suite is checked before anything runs."""
        return frozenset()

    def measured(self) -> frozenset[str]:
        """The truths that its numbers are measured against; by default all of `truths`."""
        return self.truths()

    def truths_of(self, data: str) -> frozenset[str]:
        """The truths it reads of one of the data that it `needs`; by default all of `truths`."""
        return self.truths()


KINDS: dict[str, type[Component]] = {
    kind.kind: kind for kind in (Source, TestSet, Judge, Encoder, Method, Detector, Schedule, Evaluator)
}
