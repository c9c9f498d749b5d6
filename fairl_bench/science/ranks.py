"""Which methods differ, and the ranks that they share where they do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

Pair = tuple[int, int]


def holm(p: ArrayLike) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979).

    Our own four lines: statsmodels' collect garbage at each call, which takes longer than all the resampling.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found = np.asarray(p, np.float64)
    order = np.argsort(found, kind="stable")
    adjusted = np.empty(found.size)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(found[order] * np.arange(found.size, 0, -1)))
    return [float(one) for one in adjusted]


def ranks(values: Sequence[float], p: Mapping[Pair, float], alpha: float = 0.05, *, higher: bool = True) -> list[int]:
    """The rank of each method, 1 the best: those that do not differ from the best share its rank.

    ``p[i, j]``, ``i < j``, is the adjusted p of the difference of methods ``i`` and ``j``; one that is missing
    counts as 1.  Of those left over the best leads the next rank, which counts all that are before it (1, 1, 3).

    >>> ranks([0.9, 0.88, 0.7], {(0, 1): 0.4, (0, 2): 0.001, (1, 2): 0.001})
    [1, 1, 3]
    """
    key: Callable[[int], float] = lambda i: -values[i] if higher else values[i]  # noqa: E731
    left, found = sorted(range(len(values)), key=key), [0] * len(values)
    while left:
        best = left[0]
        same = [i for i in left if i == best or p.get((min(i, best), max(i, best)), 1.0) > alpha]
        for i in same:
            found[i] = len(values) - len(left) + 1
        left = [i for i in left if i not in same]
    return found
