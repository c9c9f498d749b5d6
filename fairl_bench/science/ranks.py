"""Which methods differ, and which ranks they share where they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Pair = tuple[int, int]


def holm(p: ArrayLike) -> list[float]:
    """Holm's adjusted p-values, in the order given (Holm 1979); a NaN stays one, and is not counted.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    >>> holm([0.01, float("nan"), 0.04])
    [0.02, nan, 0.04]
    """
    found = np.asarray(p, np.float64)
    count = int(np.count_nonzero(~np.isnan(found)))
    order = np.argsort(found, kind="stable")[:count]  # NaN comes last
    adjusted = np.full(found.size, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(found[order] * np.arange(count, 0, -1)))
    return [float(one) for one in adjusted]


class Place(NamedTuple):
    """Where a method stands: its rank, 1 the best, and whether it is shown to differ from the best."""

    rank: int
    differs: bool


def places(
    values: Sequence[float], p: Mapping[Pair, float], alpha: float = 0.05, *, higher: bool = True
) -> list[Place]:
    """The place of each method: ranks never rise where values fall.

    ``p[i, j]``, ``i < j``, is the adjusted p of the difference of methods ``i`` and ``j``; one that is missing
    counts as 1.  Methods are taken by value.  Those from the best down to the first that is shown to be worse share its
    rank; that first one leads the next rank, which counts all that are before it (1, 1, 3), and so on.  A method below
    it may still not be shown to differ from the best, because it is noisier: it is no equal of the best.

    >>> [tuple(place) for place in places([0.9, 0.88, 0.7, 0.6], {(0, 2): 0.001, (2, 3): 0.5})]
    [(1, False), (1, False), (3, True), (3, False)]
    """

    def differ(i: int, j: int) -> bool:
        return p.get((min(i, j), max(i, j)), 1.0) <= alpha

    order = sorted(range(len(values)), key=lambda i: -values[i] if higher else values[i])
    found = [Place(0, False)] * len(values)
    leader, rank = order[0] if order else 0, 1
    for at, i in enumerate(order):
        if i != leader and differ(i, leader):
            leader, rank = i, at + 1
        found[i] = Place(rank, i != order[0] and differ(i, order[0]))
    return found
