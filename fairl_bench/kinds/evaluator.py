"""Scores and truths to numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final, NamedTuple, Self

from pydantic import Field

from fairl_bench.component import Component, RunTime
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.source import Source
from fairl_bench.metrics import Metric
from fairl_bench.values.data import Scored
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.resources import Needs

RECOVERED_REWARD: Final = "recovered reward"
"""The role of the judge that stands for the reward of a cell; its fields are those that a plan knows of a reward."""


class Recovered(NamedTuple):
    """A reward that a suite recovers, for an evaluator that asks more of it than scores."""

    source: Source
    reward: Judge  # of any text: its truth ``gold`` is the reward
    seed: int | None
    name: str


class Evaluator(Component, ABC):
    """Scores and truth to numbers."""

    kind = "evaluator"
    metrics: ClassVar[tuple[Metric, ...]] = ()
    """The declaration of each number that it gives; a property where names depend on its fields."""
    reads_reward: ClassVar[bool] = True
    """False where its numbers are about texts alone: measured once a world, on record with the world's first run."""

    sliced: ClassVar[bool] = True
    """False where its numbers mean nothing on pairs that are chosen by how a baseline ranks them."""

    data: tuple[str, ...] = Field(min_length=1, description="pairs/train, pairs/validation, pairs/test or a test set")
    models: Annotated[tuple[str, ...], RunTime] = Field((), description="the models that it evaluates; none: all")
    resources: Needs = None

    @abstractmethod
    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure | Evidence]:
        """The numbers, and tables of the rows they rest on.  ``scored`` holds each of `needs` by name.

        What `upstream` asks for comes as keyword arguments, by role; of likelihoods a mapping from each of `needs` to
        its `Likelihoods`.
        """

    def of(self, cell: Recovered) -> Self:
        """The evaluator for one recovered reward, with what it takes from there; by default the same for all."""
        return self

    def evaluates(self, model: str) -> bool:
        """True where it evaluates this model."""
        return not self.models or model in self.models

    @classmethod
    def takes(cls) -> bool:
        """True where `of` takes anything."""
        return cls.of is not Evaluator.of

    def judges(self) -> Mapping[str, Judge]:
        """The judges that it asks about each text of its data, by the name of the truth that it then finds there.

        What a judge says of a data set, its truth ``gold``, is a stage of its own: the same for every reward.
        """
        return {}

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

    def not_measured(self) -> Mapping[str, str]:
        """Why its fields leave some of its `metrics` undefined, by the metric's name; by default none is."""
        return {}
