"""How great a share must be to be named, with the prompts and the concepts that there are."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from functools import cache, partial
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairl_bench.science.shares import Halves, slopes, variance

Floats = NDArray[np.float64]
NAMED_FROM: Final = 0.05
"""The share of a reward's variance that a concept must explain to be named."""
_TRIED: Final = tuple(percent / 100 for percent in range(5, 100))


def detectable_share(halves: Halves, column: int, reach: float, power: float = 0.8) -> float:
    """The smallest share of a concept that would be named with this probability, in steps of 1 %; at most 1.

    It is the share of a concept that has the values of this column and goes along with no other one.  ``reach`` is how
    many standard errors a bound lies away (`Shares.reach`).
    """
    error = cache(partial(planted_error, halves, column))
    named = _first(NAMED_FROM, lambda share: share - reach * error(share))
    return _first(named, lambda share: share - NormalDist().inv_cdf(power) * error(share))


def _first(wanted: float, of: Callable[[float], float]) -> float:
    """The first of the shares that are tried of which a number that grows with it is what is wanted; 1 if none is."""
    found = bisect_left(_TRIED, wanted, key=of)
    return _TRIED[found] if found < len(_TRIED) else 1.0


def planted_error(halves: Halves, column: int, share: float) -> float:
    """The standard error of a column's share, if it explained this much of the reward.

    What it explains by itself is taken out of the reward, and as much of it is put in as the share says.  Half of what
    the others explain is taken out too where slopes are fitted, and not where shares are of the whole: over all orders
    of entry, another concept is there before this one in half.
    """
    first = halves.whole[:1]
    half = slopes(first, range(first.shape[-1] - 1))[0] / 2
    half[column] = 0
    square, both, whole = (halves.whole[0, i, j] for i, j in ((column, column), (column, -1), (-1, -1)))
    planted = math.sqrt(share / (1 - share) * (whole - both**2 / square) / square)

    def with_reward(products: Floats) -> Floats:
        found: Floats = products[:, column, -1] - products[:, column, :-1] @ half
        return found

    added = planted - with_reward(first)[0] / square
    explained = np.zeros(len(halves.whole))
    for ours, theirs in halves.ways:
        one, other = (with_reward(products) + added * products[:, column, column] for products in (ours, theirs))
        explained += one * other * (1 / variance(ours[:, column, column]) + 1 / variance(theirs[:, column, column]))
    moved = planted - both / square
    reward = halves.whole[:, -1, -1] + moved * (
        2 * halves.whole[:, column, -1] + moved * halves.whole[:, column, column]
    )
    return float((explained / len(halves.ways) / variance(reward))[1:].std(ddof=1))
