"""The scale of a judge on what a base language model writes: its mean and standard deviation there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judging
from fairl_bench.science.agreement import is_constant
from fairl_bench.values.data import GOLD, Examples, Floats
from fairl_bench.values.language_models import Completions


class Scale(NamedTuple):
    """The mean and the standard deviation that become 0 and 1."""

    mean: float
    deviation: float

    def of(self, value: Floats) -> Floats:
        """Return values ``[n]`` on the standard scale."""
        standard: Floats = (value - self.mean) / self.deviation
        return standard


def standard_scale(judging: Judging, base: Examples, what: str) -> Scale:
    """Return the scale of a judge on a base's texts.  Raises `DataError` where it has none there."""
    value = judging(base)[GOLD].value
    if unknown := int((~np.isfinite(value)).sum()):
        lack = f"has no value for {unknown} of {len(value)} texts of the base"
        raise DataError(f"{what} {lack}; name a judge of any text")
    if is_constant(value):
        raise DataError(
            f"{what} gives all {len(value)} texts of the base the value {float(value.mean()):.4g}: it has no scale, and"
            " nothing can be learnt from it"
        )
    return Scale(float(value.mean()), float(value.std()))


def written_by_base(answer: Completions | Examples) -> Examples:
    """Return the texts of a base: the completions, or the rejected texts of pairs."""
    if isinstance(answer, Completions):
        return Examples(answer.text, answer.prompt, drawn=answer.drawn)
    return answer.take(np.flatnonzero(answer.role < 0))
