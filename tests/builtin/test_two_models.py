"""The log-ratio of two models of which one alone counts the ends of texts."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from fairl_bench.builtin.methods.log_ratio import LogRatio
from fairl_bench.values.likelihoods import Likelihoods

TOKENS = ([-1.0, -2.0, -4.0], [-1.0, -1.0], [-3.0])
ENDED = [True, False, True]


def told(counted: bool) -> Likelihoods:
    """Three texts, whose first and last have ended; the end is -4 and -3."""
    tokens = [one[:-1] if ended and not counted else one for one, ended in zip(TOKENS, ENDED, strict=True)]
    each = [np.array(one, np.float32) for one in tokens]
    offsets = np.cumsum([0, *map(len, tokens)]).astype(np.int64)
    total = np.array([sum(one) for one in tokens])
    ended = np.array(ENDED) & counted
    return Likelihoods(total, np.concatenate(each), offsets, np.zeros(3), np.zeros(3), ended, ~ended)


@pytest.mark.parametrize("normalise", ["sum", "token"])
def test_an_end_that_one_model_alone_counts_does_not_count(normalise: Literal["sum", "token"]) -> None:
    method = LogRatio(normalise=normalise)
    here, served = told(counted=True), told(counted=False)
    for base, expert in ((here, served), (served, here)):
        assert method.ratio(base, expert).tolist() == [0, 0, 0]


def test_ends_that_both_count_count() -> None:
    here = told(counted=True)
    other = Likelihoods(
        here.total * 2, here.token * 2, here.offsets, here.before, here.after, here.ended, here.tokenised
    )
    assert LogRatio().ratio(here, other).tolist() == [-7, -2, -3]
