"""How much a recovered reward pays for each objective of a blend."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from fairl_bench.component import Name, Settings
from fairl_bench.errors import DataError, SuiteError, Undefined
from fairl_bench.kinds.evaluator import Evaluator, Recovered
from fairl_bench.kinds.upstream import Refits
from fairl_bench.metrics import Metric
from fairl_bench.science.streams import stream
from fairl_bench.values.contents import ENDS
from fairl_bench.values.data import GOLD, Floats, Scored
from fairl_bench.values.records import Measure
from fairl_bench.values.truths import objective_truth
from fairl_bench.values.weights import EXPLAINED, PLANTED, WEIGHT


class Objectives(Evaluator):
    """The weight of each objective in a recovered reward, beside the planted one.

    Recovered weights are the slopes of the reward's differences within prompts on those of the objectives, by least
    squares, divided by the sum of their sizes.  An interval holds for other prompts and, by ``refits``, for other
    training pairs; what an alignment leaves out of its reward, it cannot know.
    """

    sliced: ClassVar[bool] = False
    metrics: ClassVar[tuple[Metric, ...]] = (
        *(Metric(WEIGHT + end, bounds=(-1, 1)) for end in ENDS),
        Metric(PLANTED, bounds=(-1, 1)),
        Metric(EXPLAINED, bounds=(0, 1)),
    )

    refits: int = Field(
        20,
        ge=0,
        description="trainings on resampled pairs, for the intervals; 0: these hold for this one training alone",
    )
    resamples: int = Field(1000, ge=100, description="resamples of prompts, for the intervals")
    planted: dict[Name, float] = Field(
        default_factory=dict, description="the weight of each objective; none: those of the source's 'gold'"
    )

    def of(self, cell: Recovered) -> Self:
        """Return the evaluator with the weights of the source.  Raises `SuiteError` where its truth is no blend."""
        if self.planted:
            return self
        objectives = cell.source.objectives()
        if not objectives:
            raise SuiteError(
                f"evaluate: {self.use!r} needs a 'gold' of several objectives, and that of model {cell.name!r} is "
                "none; make it a 'blend'"
            )
        return self.model_copy(update={"planted": {name: one.weight for name, one in objectives.items()}})

    def truths(self) -> frozenset[str]:
        """Return the truth of each objective, where they are known."""
        return frozenset(map(objective_truth, self.planted))

    def measured(self) -> frozenset[str]:
        """Return the truths that numbers are given of, where they are known."""
        return self.truths() | {GOLD} if self.planted else frozenset()

    def upstream(self) -> Mapping[str, Settings]:
        """Return the request for rewards of other training pairs."""
        return {"refits": Refits(n=self.refits)} if self.refits else {}

    def evaluate(
        self, scored: Mapping[str, Scored], *, refits: Mapping[str, Floats] | None = None
    ) -> Iterator[Measure]:
        """Return four numbers an objective and data set, and one more a data set."""
        if not self.planted:
            raise DataError(f"evaluator {self.use!r} knows no objective; name the weight of each as 'planted'")
        total = sum(map(abs, self.planted.values()))
        for data in self.data:
            values = {name: self._values(scored[data], data, name) for name in self.planted}
            yield from self._of_data(data, scored[data], values, (refits or {}).get(data))
            for name, weight in self.planted.items():
                yield Measure(data, objective_truth(name), PLANTED, weight / total, len(scored[data].reward))

    def _values(self, scored: Scored, data: str, name: str) -> Floats:
        of = objective_truth(name)
        truth = scored.examples.truths.get(of)
        if truth is None:
            raise DataError(f"data {data!r} has no truth {of!r}; give it a 'gold:' with that part, or leave it out")
        return truth.value

    def _of_data(
        self, data: str, scored: Scored, values: Mapping[str, Floats], refits: Floats | None
    ) -> Iterator[Measure]:
        from fairl_bench.science.concepts import told_prompts
        from fairl_bench.science.objective_weights import objective_weights

        table = np.stack(list(values.values()), 1)
        known = np.flatnonzero(np.isfinite(table).all(1))
        examples = scored.examples.take(known)
        try:
            found = objective_weights(
                scored.reward[known],
                table[known],
                told_prompts(examples.prompt, examples.pair),
                stream("objectives", 0),
                names=list(values),
                refits=None if refits is None else refits[:, known],
                resamples=self.resamples,
                cluster=examples.clusters(),
            )
        except Undefined as reason:
            for name in values:
                for end in ENDS:
                    yield Measure(data, objective_truth(name), WEIGHT + end, math.nan, len(known), str(reason))
            yield Measure(data, GOLD, EXPLAINED, math.nan, len(known), str(reason))
            return
        for i, name in enumerate(values):
            for end, value in zip(ENDS, found[:3], strict=True):
                yield Measure(data, objective_truth(name), WEIGHT + end, float(value[i]), len(known))
        yield Measure(data, GOLD, EXPLAINED, found.explained, len(known))
