"""How close the reward is to the true one: STARC and related distances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.errors import DataError
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metric
from fairl_bench.science import resampling
from fairl_bench.science.fidelity import by_value
from fairl_bench.values.data import GOLD, Scored
from fairl_bench.values.records import Measure, measured
from fairl_bench.values.truths import TruthName


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

    truth: TruthName | Annotated[tuple[TruthName, ...], Field(min_length=1)] = Field(
        GOLD, description="the true reward, or several: of a blend [gold, gold:NAME, ...]"
    )

    def truths(self) -> frozenset[str]:
        """Return the true rewards."""
        return frozenset({self.truth} if isinstance(self.truth, str) else self.truth)

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """Return six numbers a data set and truth."""
        for name in self.data:
            for of in sorted(self.truths()):
                truth = scored[name].examples.truths.get(of)
                if truth is None:
                    raise DataError(f"data {name!r} has no truth {of!r}; give its source a 'gold:'")
                known = np.flatnonzero(np.isfinite(truth.value))
                reward, true = scored[name].reward[known], truth.value[known]
                prompts = [scored[name].examples.prompt[row] for row in known]
                for metric, function in by_value(reward, true, prompts).items():
                    yield measured(name, of, metric, len(known), function)
