"""Intervals of a metric: Student's t over runs, kept inside the metric's bounds, and the bootstrap of examples."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.power import two_sided

Floats = NDArray[np.float64]

# Fewer resamples beyond zero say no tail probability; the normal distribution does.
REACH = 20


class Estimate(NamedTuple):
    """A number with its interval, and ``p`` of the hypothesis that it is zero (two-sided)."""

    value: float
    low: float
    high: float
    p: float
    error: float = math.nan  # the standard error
    freedom: float = math.inf  # its degrees of freedom


Bounds = tuple[float, float]
"""The least and the greatest value that a metric can have."""


def bounded(value: float, half: float, bounds: Bounds | None) -> tuple[float, float]:
    """The interval ``value ± half``, bent so that it stays inside the bounds: symmetric in the logit between them.

    Between -1 and 1 the logit is Fisher's z.  Without bounds, or on one of them, it is not bent; a value on a bound
    has an interval from there, as long as the bounds let it be.

    >>> [round(end, 3) for end in bounded(0.9, 0.15, (0.0, 1.0))]
    [0.63, 0.979]
    >>> bounded(0.9, 0.15, None) == (0.75, 1.05)
    True
    """
    if bounds is None or not math.isfinite(half):
        return value - half, value + half
    low, high = bounds
    if not low < value < high:
        return max(low, value - half), min(high, value + half)
    width = high - low
    share = (value - low) / width
    stretch = half / width / (share * (1 - share))  # the slope of the logit
    middle = math.log(share / (1 - share))
    return low + width * float(scipy.special.expit(middle - stretch)), low + width * float(
        scipy.special.expit(middle + stretch)
    )


def t_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of ``values [n]``; `Undefined` below two.

    >>> [round(end, 3) for end in t_interval([1, 2, 3])]
    [-0.484, 4.484]
    """
    found = np.asarray(values, np.float64)
    if found.size < 2:
        raise Undefined(f"an interval over runs needs at least 2, got {found.size}")
    half = scipy.special.stdtrit(found.size - 1, (1 + confidence) / 2) * found.std(ddof=1) / math.sqrt(found.size)
    return float(found.mean() - half), float(found.mean() + half)


def bootstrap(value: float, draws: Floats, left: Floats, confidence: float = 0.95) -> Estimate:
    """A number of one run with its BCa interval over resampled examples, and the p that this interval inverts to.

    ``draws [resamples]`` is the number of each resample, ``left [groups]`` with one group of examples left out.  The
    bias is corrected by the share of draws below the value, the skew by the jackknife (Efron 1987).  Where fewer than
    `REACH` resamples lie beyond zero, p is the normal one.

    Raises `Undefined` where more than a twentieth of the resamples have no value.
    """
    ordered = np.sort(defined(draws))
    z0 = float(scipy.special.ndtri(_share_below(ordered, value)))
    acceleration = _acceleration(left[np.isfinite(left)])
    tails = (1 - confidence) / 2
    low, high = (_quantile(ordered, z0, acceleration, end) for end in (tails, 1 - tails))
    error = float(ordered.std())
    beyond = min(np.count_nonzero(ordered <= 0), np.count_nonzero(ordered >= 0))
    normal = beyond < REACH and error > 0
    p = float(2 * scipy.special.ndtr(-abs(value / error))) if normal else _inverted(ordered, z0, acceleration)
    return Estimate(value, low, high, p, error)


def defined(draws: Floats) -> Floats:
    """Return the resamples that have a value.  Raises `Undefined` where more than a twentieth have none."""
    lost = np.count_nonzero(~np.isfinite(draws))
    if lost > draws.size / 20:
        raise Undefined(f"the metric is undefined in {lost} of {draws.size} resamples")
    return draws[np.isfinite(draws)]


class Summary(NamedTuple):
    """A summary of several values: mean, sample standard deviation and number; of a single value, the mean alone."""

    mean: float
    sd: float = 0.0
    n: int = 1


def welch(one: Summary, other: Summary, confidence: float = 0.95) -> Estimate:
    """The difference of two means with Welch's interval and p; a summary of one value is taken as exact.

    `Undefined` where both are of one value.  (Welch 1947.)
    """
    errors = [found.sd**2 / found.n if found.n > 1 else 0.0 for found in (one, other)]
    if one.n < 2 and other.n < 2:
        raise Undefined("an interval of a difference needs several values of at least one side")
    value, error = one.mean - other.mean, math.sqrt(sum(errors))
    parts = [part**2 / (found.n - 1) for part, found in zip(errors, (one, other), strict=True) if found.n > 1]
    freedom = error**4 / sum(parts) if sum(parts) else math.inf
    quantile = (
        scipy.special.ndtri((1 + confidence) / 2)
        if math.isinf(freedom)
        else scipy.special.stdtrit(freedom, (1 + confidence) / 2)
    )
    half = float(quantile) * error
    return Estimate(value, value - half, value + half, float(two_sided(value, error, freedom)), error, freedom)


def cohens_d(differences: ArrayLike) -> float:
    """Cohen's d of paired differences over units, mean over standard deviation (ddof = 1); `Undefined` below two.

    >>> cohens_d([1, 2, 3])
    2.0
    """
    found = np.asarray(differences, np.float64)
    if found.size < 2 or not found.std(ddof=1):
        raise Undefined(f"an effect size needs at least 2 differences that differ, got {found.size}")
    return float(found.mean() / found.std(ddof=1))


def _share_below(ordered: Floats, value: float) -> float:
    """Return the share of sorted draws below the value, ties counting half, at least half a draw from 0 and 1."""
    tolerance = 1e-6 * max(abs(value), 1e-12)  # draws are float32: a tie is a tie up to rounding
    below = np.searchsorted(ordered, value - tolerance, "left") + np.searchsorted(ordered, value + tolerance, "right")
    return float(np.clip(below / 2, 0.5, ordered.size - 0.5) / ordered.size)


def _acceleration(left: Floats) -> float:
    """Return BCa's acceleration, from the influence of each group of examples."""
    influence = left.mean() - left
    spread = float((influence**2).sum())
    return float((influence**3).sum() / (6 * spread**1.5)) if spread > 0 else 0.0


def _quantile(ordered: Floats, z0: float, acceleration: float, share: float) -> float:
    z = z0 + float(scipy.special.ndtri(share))
    stretch = 1 - acceleration * z
    # beyond the pole of the correction there is nothing but the outermost resample
    corrected = float(scipy.special.ndtr(z0 + z / stretch)) if stretch > 0 else float(z > 0)
    return float(np.quantile(ordered, corrected))


def _inverted(ordered: Floats, z0: float, acceleration: float) -> float:
    """Return the p at which an end of the BCa interval is zero."""
    w = float(scipy.special.ndtri(_share_below(ordered, 0.0))) - z0
    stretch = 1 + acceleration * w
    z = (w / stretch if stretch > 0 else math.copysign(math.inf, w)) - z0
    return float(min(1.0, 2 * min(scipy.special.ndtr(z), scipy.special.ndtr(-z))))
