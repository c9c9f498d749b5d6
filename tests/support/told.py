"""What language models could have said of texts, for the tests of methods that read likelihoods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairl_bench.values.likelihoods import Likelihoods


def likelihoods(
    total: Sequence[float] | np.ndarray,
    tokens: Sequence[int] | np.ndarray | int = 1,
    *,
    before: Sequence[float] | float = 0.0,
    after: Sequence[float] | float = 0.0,
    tokenised: Sequence[bool] | bool = False,
) -> Likelihoods:
    """Likelihoods of these sums, each spread evenly over its number of tokens."""
    sums = np.asarray(total, np.float64)
    n = len(sums)
    counts = np.broadcast_to(tokens, n)
    columns = (np.broadcast_to(column, n).astype(np.float64) for column in (before, after))
    return Likelihoods(
        sums,
        np.repeat(sums / counts.clip(1), counts).astype(np.float32),
        np.concatenate([[0], counts.cumsum()]).astype(np.int64),
        *columns,
        np.zeros(n, np.bool_),
        np.broadcast_to(tokenised, n).astype(np.bool_),
    )
