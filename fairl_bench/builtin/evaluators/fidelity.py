"""How close the reward is to the true one: STARC and related distances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from fairl_bench.errors import DataError
from fairl_bench.kinds import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.science import resampling
from fairl_bench.science.fidelity import by_value
from fairl_bench.values.data import GOLD, Scored
from fairl_bench.values.records import Measure, measured


class Fidelity(Evaluator):
    """STARC (Eq. 4), STARC per prompt, Eq. 10's affine residual, EPIC, Spearman and Kendall against the true reward."""

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("starc", "lower", "STARC", (0, 2), resampled=(resampling.STARC,)),
        Metric("starc_per_prompt", "lower", "STARC per prompt", (0, 2)),
        Metric("affine_residual", "lower", resampled=(resampling.AFFINE_RESIDUAL,)),
        Metric("epic", "lower", "EPIC", (0, 1), resampled=(resampling.EPIC,)),
        Metric("spearman", "higher", bounds=(-1, 1)),
        Metric("kendall", "higher", bounds=(-1, 1)),
    )

    truth: Literal["preferred", "gold"] = Field(GOLD, description="the true reward")

    def truths(self) -> frozenset[str]:
        """Return the true reward."""
        return frozenset({self.truth})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """Return six numbers a data set."""
        for name in self.data:
            truth = scored[name].examples.truths.get(self.truth)
            if truth is None:
                raise DataError(f"data {name!r} has no truth {self.truth!r}; give its source a 'gold:'")
            known = np.flatnonzero(np.isfinite(truth.value))
            reward, true = scored[name].reward[known], truth.value[known]
            prompts = [scored[name].examples.prompt[row] for row in known]
            for metric, function in by_value(reward, true, prompts).items():
                yield measured(name, self.truth, metric, len(known), function)
