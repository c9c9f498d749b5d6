r"""Differences of methods that were measured in the same blocks: replicates (worlds), or training seeds.

``values[i, b]`` is method ``i`` in block ``b``.  A block raises or lowers all methods alike; what is left, the
interaction of method and block, is the error of a difference.  Each pair of methods has its own error, and few blocks
tell little of it: from `LEAST_BLOCKS` blocks and `LEAST_METHODS` methods on, each pair's variance is shrunk towards
what all pairs have in common (Smyth 2004, "Linear models and empirical Bayes methods", section 4), which adds degrees
of freedom.  Below, each pair is tested by a plain Student's t, which keeps its level and finds next to nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from fairl_bench.science.power import MOST

Floats = NDArray[np.float64]

LEAST_BLOCKS = 5
"""Fewer blocks tell too little of what the pairs have in common: equal methods would differ too often."""
LEAST_METHODS = 4


class Differences(NamedTuple):
    """The differences of methods ``i < j`` in the order of `itertools.combinations`, each ``[pairs]``.

    ``error`` is the standard error of ``value`` and ``freedom`` its degrees of freedom; NaN where fewer than two blocks
    have both methods, or where the two differ by the same amount in every block, so that no spread is known.  Two
    methods that are equal in every block have the error 0.
    """

    value: Floats
    error: Floats
    freedom: Floats


class Prior(NamedTuple):
    """What variances have in common: ``variance`` with the weight of ``freedom`` degrees of freedom (may be inf)."""

    variance: float
    freedom: float


def differences(values: ArrayLike, examples: ArrayLike = 0.0) -> Differences:
    """The differences of all pairs of methods in ``values [methods, blocks]``; NaN where a block lacks a method.

    ``examples [pairs]`` is the variance of each mean difference by what all blocks share, such as one set of examples
    that every training seed is judged on.  It is added to the error and, because it is known no better than the blocks
    show it to be, gives no degrees of freedom.
    """
    found = np.asarray(values, np.float64)
    first, second = np.triu_indices(len(found), 1)
    apart = found[first] - found[second]  # [pairs, blocks]
    known = np.isfinite(apart)
    n = known.sum(1)
    value = np.divide(np.where(known, apart, 0.0).sum(1), n, out=np.full(len(n), np.nan), where=n > 0)
    degrees = np.maximum(n - 1, 1).astype(np.float64)
    variance = (np.where(known, apart - value[:, None], 0.0) ** 2).sum(1) / degrees
    rounding = _ROUNDING * np.nanmax(np.abs(found), initial=0.0)
    value[np.abs(value) <= rounding] = 0.0
    spread = (n > 1) & (np.sqrt(variance) > rounding)
    freedom = degrees.copy()
    blocks, own = int(known.any(0).sum()), _own(value, n, spread, len(found))
    told = spread & own[first] & own[second]
    if blocks >= LEAST_BLOCKS and own.sum() >= LEAST_METHODS and told.sum() > 2:
        prior = common(variance[told], degrees[told])
        variance[spread], freedom[spread] = shrunk(variance[spread], degrees[spread], prior)
        freedom = np.minimum(freedom, (own.sum() - 1.0) * (blocks - 1))
    error = np.sqrt(np.where(spread, variance, 0.0) / np.maximum(n, 1) + examples)
    unknown = (n < 2) | (~spread & (value != 0))
    return Differences(value, np.where(unknown, np.nan, error), np.where(unknown, np.nan, freedom))


def _own(value: Floats, n: NDArray[np.int64], spread: NDArray[np.bool_], methods: int) -> NDArray[np.bool_]:
    """Return a mask of the methods that differ from every earlier one: a copy says nothing new about spreads."""
    second = np.triu_indices(methods, 1)[1]
    own = np.ones(methods, bool)
    own[second[(n > 0) & ~spread & (value == 0)]] = False
    return own


_ROUNDING = 1e-12  # of the values: differences of sums in float64 that are equal on paper


def common(variance: Floats, degrees: Floats) -> Prior:
    """What sample variances ``[n]`` of these degrees of freedom have in common, by moments of their logarithms.

    Smyth 2004, equations 6.1 to 6.4.  Variances that spread no more than chance does have an infinite weight in common.
    """
    half = degrees / 2
    logs = np.log(variance) - scipy.special.digamma(half) + np.log(half)
    mean, excess = float(logs.mean()), float(logs.var(ddof=1) - scipy.special.polygamma(1, half).mean())
    if excess <= 0:
        return Prior(math.exp(mean), math.inf)
    freedom = 2 * trigamma_inverse(excess)
    return Prior(math.exp(mean + float(scipy.special.digamma(freedom / 2)) - math.log(freedom / 2)), freedom)


def shrunk(variance: Floats, degrees: Floats, prior: Prior) -> tuple[Floats, Floats]:
    """Each variance's posterior mean under the prior, and its degrees of freedom ``d0 + d``.

    >>> [float(one[0]) for one in shrunk(np.array([4.0]), np.array([2.0]), Prior(1.0, 4.0))]
    [2.0, 6.0]
    """
    if math.isinf(prior.freedom):
        return np.full_like(variance, prior.variance), np.full_like(degrees, math.inf)
    total = prior.freedom + degrees
    return (prior.freedom * prior.variance + degrees * variance) / total, total


def trigamma_inverse(value: float) -> float:
    """The x > 0 at which the trigamma function has this value > 0, by Newton's steps (Smyth 2004, appendix).

    >>> round(trigamma_inverse(math.pi**2 / 6), 9)
    1.0
    """
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(scipy.special.polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(scipy.special.polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x


def half_width(error: float, freedom: float, confidence: float = 0.95) -> float:
    """Half of Student's t interval.

    >>> round(half_width(1.0, math.inf), 2), round(half_width(1.0, 1.0), 2)
    (1.96, 12.71)
    """
    return float(scipy.special.stdtrit(min(freedom, MOST), (1 + confidence) / 2)) * error
