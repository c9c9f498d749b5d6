"""Tokens and likelihoods of any texts, for tests that must hold for all of them."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from fairl_bench.values.drawn_tokens import DrawnTokens, offsets_of
from fairl_bench.values.likelihoods import Likelihoods

LOGS = st.floats(-100, 0) | st.just(math.nan)


@st.composite
def drawn_tokens(draw: st.DrawFn, n: int | None = None) -> DrawnTokens:
    """The tokens of some texts, or of ``n``: some unknown, some ended, some without any token."""
    n = draw(st.integers(0, 6)) if n is None else n
    vocabulary = tuple(draw(st.sampled_from(["", "one", "another"])) for _ in range(n))
    tokens = [draw(st.lists(st.integers(0, 2**31 - 1), max_size=4)) if name else [] for name in vocabulary]
    return DrawnTokens(
        np.array([token for one in tokens for token in one], np.int32),
        offsets_of([len(one) for one in tokens]),
        np.array([draw(st.booleans()) for _ in range(n)], np.bool_),
        vocabulary,
        np.array([draw(LOGS) for _ in range(n)], np.float64),
    )


@st.composite
def likelihoods(draw: st.DrawFn, n: int | None = None) -> Likelihoods:
    """The likelihoods of some texts, or of ``n``; states behind a server are NaN, and what tokens spell not known.

    Some say something of whole texts.
    """
    n = draw(st.integers(0, 6)) if n is None else n
    token = [draw(st.lists(st.floats(-50, 0, width=32), max_size=4)) for _ in range(n)]
    before, after = (np.array([draw(LOGS) for _ in range(n)], np.float64) for _ in range(2))
    ended, tokenised = (np.array([draw(st.booleans()) for _ in range(n)], np.bool_) for _ in range(2))
    spelled = np.array([at for one in token for at in range(len(one))], np.int32)
    whole = np.array([draw(st.floats(-3, 3)) for _ in range(n)], np.float64) if draw(st.booleans()) else None
    return Likelihoods(
        np.array([math.fsum(one) for one in token], np.float64) + (0.0 if whole is None else whole),
        np.array([value for one in token for value in one], np.float32),
        offsets_of([len(one) for one in token]),
        *(before, after, ended, tokenised),
        spelled if draw(st.booleans()) else None,
        whole,
    )
