r"""How far a method comes from a coin toss to the ceiling: the share ``(a - 1/2) / (c - 1/2)`` of pair accuracies.

``a`` is the method's pair accuracy and ``c`` that of the log-ratio of the two language models, which no reward of
prompt and text exceeds in expectation.  Both are means over the same worlds, or over the same pairs, so they rise and
fall together.  The interval is Fieller's (1954, "Some problems in interval estimation", section 4): all shares ``s``
for which a t test does not reject that ``(a - 1/2) - s (c - 1/2)`` is zero.  In a finite sample a share may exceed 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.intervals import Estimate
from fairl_bench.science.moderated import half_width
from fairl_bench.science.power import two_sided

Floats = NDArray[np.float64]

COIN = 0.5
"""The pair accuracy of a coin."""


class Errors(NamedTuple):
    """The variances of two mean pair accuracies, and their covariance."""

    accuracy: float = 0.0  # of the method's mean
    ceiling: float = 0.0  # of the ceiling's mean
    both: float = 0.0

    def __add__(self, other: object) -> Self:
        """The errors of two independent causes together."""
        if not isinstance(other, Errors):
            return NotImplemented
        return type(self)(*(mine + its for mine, its in zip(self, other, strict=True)))

    @classmethod
    def of_units(cls, accuracy: ArrayLike, ceiling: ArrayLike) -> Self:
        """Those of the means over units, such as worlds, in which both are known: ``[units]`` each, at least two."""
        one, other = np.asarray(accuracy, np.float64), np.asarray(ceiling, np.float64)
        return cls(*(found / one.size for found in _moments(one, other, one.size - 1)))

    @classmethod
    def of_draws(cls, accuracy: ArrayLike, ceiling: ArrayLike) -> Self:
        """Those of numbers that were computed again under the same resamples of the pairs: ``[resamples]`` each."""
        one, other = np.asarray(accuracy, np.float64), np.asarray(ceiling, np.float64)
        return cls(*_moments(one, other, one.size))


def _moments(one: Floats, other: Floats, n: int) -> tuple[float, float, float]:
    """The two variances and the covariance, as sums divided by ``n``."""
    mine, its = one - one.mean(), other - other.mean()
    # sums of products alike, so that a number and itself have exactly equal moments
    return float((mine * mine).sum() / n), float((its * its).sum() / n), float((mine * its).sum() / n)


def share(accuracy: float, ceiling: float, errors: Errors, freedom: float = math.inf, level: float = 0.95) -> Estimate:
    """The share of the way from ½ to the ``ceiling`` that a mean ``accuracy`` reaches, with Fieller's interval.

    ``freedom`` are the degrees of freedom of ``errors``; ``p`` is that of the share 0, a coin's.  The share of the
    ceiling itself is exactly 1.

    Raises `Undefined` where the ceiling is not shown to lie above ½: then any share would be as good.

    >>> found = share(0.6, 0.75, Errors(accuracy=1e-4, ceiling=1e-4, both=5e-5))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.4, 0.331, 0.468)
    """
    above, below = accuracy - COIN, ceiling - COIN
    quantile = half_width(1.0, freedom, level)
    if not below > quantile * math.sqrt(errors.ceiling):
        degrees = f" with {freedom:g} degree{'' if freedom == 1 else 's'} of freedom" if math.isfinite(freedom) else ""
        raise Undefined(
            f"the ceiling, {ceiling:.3f}, is not shown to lie above ½ "
            f"(its standard error is {math.sqrt(errors.ceiling):.3f}{degrees})"
        )
    value = above / below
    # the interval is where  square * s^2 - 2 * mixed * s + plain <= 0
    square = below**2 - quantile**2 * errors.ceiling
    mixed = above * below - quantile**2 * errors.both
    plain = above**2 - quantile**2 * errors.accuracy
    root = math.sqrt(max(mixed**2 - square * plain, 0.0))  # at s = value the sum is at most 0, so there are roots
    error = math.sqrt(max(errors.accuracy - 2 * value * errors.both + value**2 * errors.ceiling, 0.0)) / below
    p = float(two_sided(above, math.sqrt(errors.accuracy), freedom))
    return Estimate(value, (mixed - root) / square, (mixed + root) / square, p, error, freedom)


def share_over_units(accuracy: ArrayLike, ceiling: ArrayLike, level: float = 0.95) -> Estimate:
    """The `share` of two means over the same units ``[units]``, such as worlds: a ratio of means, no mean of ratios.

    Raises `Undefined` below two units, and where the ceiling is not shown to lie above ½.

    >>> round(share_over_units([0.70, 0.71, 0.69], [0.78, 0.79, 0.77]).value, 3)
    0.714
    """
    one, other = np.asarray(accuracy, np.float64), np.asarray(ceiling, np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"the accuracy and the ceiling need the same units, got {one.shape} and {other.shape}")
    if one.size < 2:
        raise Undefined(f"an interval over units needs at least 2, got {one.size}")
    return share(float(one.mean()), float(other.mean()), Errors.of_units(one, other), one.size - 1.0, level)
