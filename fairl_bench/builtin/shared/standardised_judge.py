"""A judge on a standard scale: different rewards, given to an aligner, pull equally hard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds import Ask, Judge, Judging, nested, within
from fairl_bench.science.agreement import is_constant
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.language_models import Completions


class Standardised(Judge):
    """Another judge's ``gold``, scaled to mean 0 and standard deviation 1 on what a language model completes.

    RLHF depends on the ratio of the reward's scale to the weight of the KL: without this, a reward of twice the scale
    would buy its points with more KL.  A text is good where it is above the model's mean.
    """

    judges: Judge
    on: Ask

    def upstream(self) -> Mapping[str, Settings]:
        """Return the completions, and what the judge starts from."""
        return {"on": self.on, **nested("judges", self.judges)}

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Raise `DataError`: the completions come from another stage, so that it can only be an aligner's reward."""
        raise DataError(f"judge {self.use!r} can be the reward of an aligner only; name {self.judges.use!r} itself")

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return the judge with its mean and deviation.  Raises `DataError` where all completions are judged alike."""
        judging = self.judges.ready(within("judges", upstream))
        on: Completions = upstream["on"]
        value = judging(Examples(on.text, on.prompt))[GOLD].value
        mean, deviation = float(value.mean()), float(value.std())
        if is_constant(value):
            raise DataError(
                f"judge {self.judges.use!r} gives all {len(value)} completions the reward {mean:.4g}: it has no scale,"
                " and nothing can be learnt from it"
            )

        def standardised(examples: Examples) -> Mapping[str, Truth]:
            standard_value = (judging(examples)[GOLD].value - mean) / deviation
            return {GOLD: Truth(standard_value, np.where(standard_value > 0, 1, -1).astype(np.int8))}

        return standardised
