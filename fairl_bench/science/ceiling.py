r"""How far a method comes from a coin toss to the ceiling: the share ``(a - 1/2) / (c - 1/2)`` of pair accuracies.

``a`` is the method's pair accuracy and ``c`` that of the log-ratio of the two language models, which no reward of
prompt and text exceeds in expectation.  Both are means over the same worlds, or over the same pairs, so they rise and
fall together.  The interval is Fieller's (1954, "Some problems in interval estimation", section 4): all shares ``s``
for which a test does not reject that ``(a - 1/2) - s (c - 1/2)`` is zero.  In a finite sample a share may exceed 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.intervals import Estimate
from fairl_bench.science.moderated import half_width

Floats = NDArray[np.float64]

COIN = 0.5
"""The pair accuracy of a coin."""


class Errors(NamedTuple):
    """What one cause of error makes of two mean pair accuracies: their variances and their covariance."""

    accuracy: float = 0.0  # of the method's mean
    ceiling: float = 0.0  # of the ceiling's mean
    both: float = 0.0
    freedom: float = math.inf  # degrees of freedom

    @classmethod
    def of_units(cls, accuracy: ArrayLike, ceiling: ArrayLike) -> Self:
        """Those of the means over units, such as worlds, in which both are known: ``[units]`` each, at least two."""
        one, other = np.asarray(accuracy, np.float64), np.asarray(ceiling, np.float64)
        mine, its, both = (found / one.size for found in _moments(one, other, one.size - 1))
        return cls(mine, its, both, one.size - 1.0)

    @classmethod
    def of_draws(cls, accuracy: ArrayLike, ceiling: ArrayLike) -> Self:
        """Those of numbers that were computed again under the same resamples of the pairs: ``[resamples]`` each."""
        one, other = np.asarray(accuracy, np.float64), np.asarray(ceiling, np.float64)
        return cls(*_moments(one, other, one.size))

    def times(self, factor: float) -> Self:
        """The same variances and covariance, each multiplied."""
        return self._replace(accuracy=factor * self.accuracy, ceiling=factor * self.ceiling, both=factor * self.both)


def _moments(one: Floats, other: Floats, n: int) -> tuple[float, float, float]:
    """The two variances and the covariance, as sums divided by ``n``."""
    mine, its = one - one.mean(), other - other.mean()
    # sums of products alike, so that a number and itself have exactly equal moments
    return float((mine * mine).sum() / n), float((its * its).sum() / n), float((mine * its).sum() / n)


def share(accuracy: float, ceiling: float, causes: Sequence[Errors] = (), level: float = 0.95) -> Estimate:
    """The share of the way from ½ to the ``ceiling`` that a mean ``accuracy`` reaches, with Fieller's interval.

    Each of the independent ``causes`` of error reaches as far as Student's t at its own degrees of freedom: with one
    cause that is Fieller's interval, with several it is cautious.  No p is told.  The share of the ceiling itself is
    exactly 1.

    Raises `Undefined` where the ceiling is not shown to lie above ½: then any share would be as good.

    >>> found = share(0.6, 0.75, [Errors(accuracy=1e-4, ceiling=1e-4, both=5e-5)])
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.4, 0.331, 0.468)
    """
    above, below = accuracy - COIN, ceiling - COIN
    total = _sum(causes)
    reach = _sum([cause.times(half_width(1.0, cause.freedom, level) ** 2) for cause in causes])
    if not below > math.sqrt(reach.ceiling):
        known = math.isfinite(total.freedom)
        degrees = f" with {total.freedom:g} degree{'' if total.freedom == 1 else 's'} of freedom" if known else ""
        raise Undefined(
            f"the ceiling, {ceiling:.3f}, is not shown to lie above ½ "
            f"(its standard error is {math.sqrt(total.ceiling):.3f}{degrees})"
        )
    value = above / below
    # the interval is where  square * s^2 - 2 * mixed * s + plain <= 0
    square, mixed, plain = below**2 - reach.ceiling, above * below - reach.both, above**2 - reach.accuracy
    root = math.sqrt(max(mixed**2 - square * plain, 0.0))  # at s = value the sum is at most 0, so there are roots
    error = math.sqrt(max(total.accuracy - 2 * value * total.both + value**2 * total.ceiling, 0.0)) / below
    return Estimate(value, (mixed - root) / square, (mixed + root) / square, math.nan, error, total.freedom)


def _sum(causes: Sequence[Errors]) -> Errors:
    """The errors of all causes together, with the fewest degrees of freedom among them."""
    return Errors(
        math.fsum(cause.accuracy for cause in causes),
        math.fsum(cause.ceiling for cause in causes),
        math.fsum(cause.both for cause in causes),
        min((cause.freedom for cause in causes), default=math.inf),
    )


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
    return share(float(one.mean()), float(other.mean()), [Errors.of_units(one, other)], level)
