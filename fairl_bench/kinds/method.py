"""Pairs to rewards: methods, and the detectors and schedules that they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from fairl_bench.component import Component
from fairl_bench.kinds.source import Source
from fairl_bench.values.data import GOLD, PREFERRED, Floats
from fairl_bench.values.resources import Needs
from fairl_bench.values.training import Head, Inputs, Reward, Task

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.science.failures import Signal


Given = Literal["texts", "both models", "one model", "truth", "scored elsewhere"]
"""What a method is given: pairs of texts alone, the language models that wrote them, or the true reward.

What stands behind scores from elsewhere is not known.
"""


class Method(Component, ABC):
    """Pairs to reward: an IRL algorithm.  For one that is a loss on margins, subclass `PairwiseMethod`."""

    kind = "method"
    seeded: ClassVar[bool] = True
    """True where another seed gives another reward; if not, one run stands for all seeds."""
    reads_vectors: ClassVar[bool] = True
    """True where a score needs the texts' vectors; if not, `score` may get vectors of no dimension."""
    reads_prompts: ClassVar[bool] = False
    """True where a score depends on the text's prompt; if not, `Inputs.prompt` is empty."""
    reads_validation: ClassVar[bool] = False
    """True where the validation pairs choose its epoch, as ``training.stop`` says; then there must be some."""
    reads_upstream: ClassVar[bool] = True
    """True where a score needs what `upstream` asks for; if not, `fit` alone is given it."""
    given: ClassVar[Given] = "texts"
    """What it knows of the models beside their pairs, for the tables."""
    reference: ClassVar[bool] = False
    """True for a reference row: it stands above the methods, and is neither ranked nor compared."""
    learns: ClassVar[bool] = True
    """False where its reward does not depend on the training pairs."""
    per_prompt: ClassVar[bool] = False
    """True for a reward that is known up to a number for each prompt, so that it says nothing between prompts."""

    resources: Needs = None

    @abstractmethod
    def fit(self, task: Task) -> Reward:
        """The reward learnt from ``task.train``; randomness from `fairl_bench.stream` with the task's two numbers."""

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """The reward of each text ``[n]``.  By default the arrays are a head on the vectors."""
        from fairl_bench.science.heads import score

        return score(reward.arrays, inputs.vectors)

    def of(self, source: Source) -> Self:
        """The method for the pairs of one source, with what it takes from there, such as its language models.

        By default it is the same for all.  Raises `DataError` where the source does not know what it needs.
        """
        return self

    def bounds(self, source: Source) -> bool:
        """True where no reward of prompt and text tells two draws apart more often in expectation, one of each model.

        That is true of the log-ratio of the source's own two models alone.  Whether the source's pairs are such draws,
        `Source.unbounded` says.
        """
        return False

    def head(self, suite_head: Head) -> str:
        """The shape of what is fitted, for the records: the suite's head unless the method has its own."""
        return suite_head.use

    def truths(self) -> frozenset[str]:
        """The truths that it must know of the training pairs; a method that learns from preferences needs none."""
        return frozenset()

    def stack(self) -> Hashable:
        """A value that is equal for runs that one `fit_many` fits, given equal data and settings; None: alone."""
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
    """A rule that decides which pairs are failures now."""

    kind = "detector"
    by_step: ClassVar[bool] = True
    """True where a batch is enough for it; if not, failures are mined by round, from all pairs."""

    @abstractmethod
    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]`` of the pairs that are failures, from what the reward says of them now."""

    def score(self, signal: Signal) -> Tensor:
        """The certainty that each pair is a failure ``[..., n]``, higher is surer; by default the negative margin."""
        return -signal.margin

    def truths(self) -> frozenset[str]:
        """The truths that it must know of the training pairs."""
        return frozenset()


def truth_of_labels(part: Method | Detector) -> str:
    """The truth whose labels a part is given: the one that it asks for, and ``gold`` where it asks for none.

    A suite in which a part asks for several is refused (`fairl_bench.suite.references`).
    """
    return min(part.truths() - {PREFERRED}, default=GOLD)
