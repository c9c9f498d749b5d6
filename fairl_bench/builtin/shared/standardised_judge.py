"""A judge on a standard scale: different rewards, given to an aligner, pull equally hard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fairl_bench.builtin.shared.standard_scale import standard_scale, written_by_base
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.kinds.lm import Ask
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.values.data import GOLD, Examples, Truth


class Standardised(Judge):
    """Another judge's ``gold``, scaled to mean 0 and standard deviation 1 on what a language model completes.

    RLHF depends on the ratio of the reward's scale to the weight of the KL: without this, a reward of twice the scale
    would buy its points with more KL.  A text is good where it is above the model's mean.
    """

    judges: Judge
    on: Ask

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # as its judge does
        """Whether the judge does."""
        return self.judges.reads_prompts

    def upstream(self) -> Mapping[str, Settings]:
        """Return the completions, and what the judge starts from."""
        return {"on": self.on, **nested("judges", self.judges)}

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Raise `DataError`: the completions come from another stage, so that it can only be an aligner's reward."""
        raise DataError(f"judge {self.use!r} can be the reward of an aligner only; name {self.judges.use!r} itself")

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return the judge with its mean and deviation.  Raises `DataError` where all completions are judged alike."""
        judging = self.judges.ready(within("judges", upstream))
        scale = standard_scale(judging, written_by_base(upstream["on"]), f"judge {self.judges.use!r}")

        def standardised(examples: Examples) -> Mapping[str, Truth]:
            standard_value = scale.of(judging(examples)[GOLD].value)
            return {GOLD: Truth(standard_value, np.where(standard_value > 0, 1, -1).astype(np.int8))}

        return standardised
