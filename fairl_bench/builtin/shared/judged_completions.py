"""Completions of a language model with what a judge says of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.kinds import Judge, Judging
from fairl_bench.values.data import GOLD, Examples, Floats
from fairl_bench.values.language_models import Completions


class JudgedCompletions(NamedTuple):
    """Completions with a judge's values and labels, each ``[n]``."""

    completions: Completions
    value: Floats
    badness: Floats
    bad: NDArray[np.bool_]

    def take(self, mask: NDArray[np.bool_]) -> JudgedCompletions:
        """Return the completions where the mask ``[n]`` holds."""
        rows = np.flatnonzero(mask)
        return JudgedCompletions(self.completions.take(rows), self.value[rows], self.badness[rows], self.bad[rows])


def judged(judge: Judge, judging: Judging, completions: Completions) -> JudgedCompletions:
    """Return completions with what a judge, which is ready as ``judging``, says of them."""
    truth = judging(Examples(completions.text, completions.prompt))[GOLD]
    return JudgedCompletions(completions, truth.value, judge.badness(truth.value), truth.label < 0)
