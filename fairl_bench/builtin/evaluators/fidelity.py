"""How close the reward is to the true one: STARC and its relatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from fairl_bench.data import GOLD, Floats, Rows, Scored
from fairl_bench.errors import DataError, Undefined
from fairl_bench.kinds import Evaluator
from fairl_bench.records import Measure, measured
from fairl_bench.science import agreement, starc


class Fidelity(Evaluator):
    """STARC (Eq. 4), STARC per prompt, Eq. 10's affine residual, EPIC, Spearman and Kendall against the true reward."""

    metrics: ClassVar[tuple[str, ...]] = (
        "starc",
        "starc_per_prompt",
        "affine_residual",
        "epic",
        "spearman",
        "kendall",
    )

    truth: Literal["preferred", "gold"] = Field(GOLD, description="the true reward")

    def truths(self) -> frozenset[str]:
        """The true reward."""
        return frozenset({self.truth})

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        """Six numbers a data set."""
        for name in self.data:
            truth = scored[name].examples.truths.get(self.truth)
            if truth is None:
                raise DataError(f"data {name!r} has no truth {self.truth!r}; give its source a 'gold:'")
            known = np.flatnonzero(np.isfinite(truth.value))
            reward, true = scored[name].reward[known], truth.value[known]
            say = partial(measured, name, self.truth)
            yield say("starc", len(known), starc.starc, reward, true)
            yield say("starc_per_prompt", len(known), _per_prompt, reward, true, scored[name], known)
            yield say("affine_residual", len(known), starc.affine_residual, reward, true)
            yield say("epic", len(known), agreement.epic, reward, true)
            yield say("spearman", len(known), agreement.spearman, reward, true)
            yield say("kendall", len(known), agreement.kendall, reward, true)


def _per_prompt(reward: Floats, true: Floats, scored: Scored, known: Rows) -> float:
    prompts = [scored.examples.prompt[i] for i in known]
    if not any(prompts):
        raise Undefined("the data has no prompts")
    # an empty prompt is no prompt: each such text stands alone
    codes = np.unique([prompt or f"\0{i}" for i, prompt in enumerate(prompts)], return_inverse=True)[1]
    return starc.starc_per_prompt(reward, true, codes)
