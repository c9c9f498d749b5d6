"""Completions of a language model with what a judge says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import NotFinite
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.values.data import GOLD, Examples, Floats, Truth
from fairl_bench.values.language_models import Completions

Judged = Callable[[Sequence[str], Sequence[str]], Truth]
"""Prompts and completions to the truth ``gold`` of each."""
Rewarding = Callable[[Sequence[str], Sequence[str]], Floats]
"""Prompts and completions to one finite reward each."""


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


def gold_of(judging: Judging, use: str, prompts: Sequence[str], completions: Sequence[str]) -> Truth:
    """Return a judge's ``gold`` of each completion ``[n]``.  Raises `NotFinite` for a value that is NaN or infinite."""
    truth = judging(Examples(tuple(completions), tuple(prompts)))[GOLD]
    values = np.asarray(truth.value, np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise NotFinite(
            f"judge {use!r} rewards the completion {completions[bad[0]]!r} with {values[bad[0]]}, which nothing"
            " can be learnt from; bound its values or mend it"
        )
    return truth._replace(value=values)
