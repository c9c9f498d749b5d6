"""Intervals of a metric and of a difference of two: Student's t over units, and the two-level bootstrap.

A *unit* is what was drawn at the top level: a replicate (a world and a split), or a training seed where there is one
replicate.  A *sample* is a set of examples; units that are judged on the same examples share one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from fairl_bench.errors import Undefined

Floats = NDArray[np.float64]

# Two or three units say next to nothing of their own spread, and the tails of t with 1 degree of freedom would call
# everything a tie.  The price, where units differ more than examples, is in docs/statistics.md.
LEAST_FREEDOM = 3
# Fewer resamples beyond zero say no tail probability; Student's t does.
REACH = 20


class Estimate(NamedTuple):
    """A number with its interval, and ``p`` of the hypothesis that it is zero (two-sided)."""

    value: float
    low: float
    high: float
    p: float


class Units(NamedTuple):
    """One method's metric as it was measured and resampled, by unit; of two, their difference.

    ``point [units]``, ``draws [resamples, units]`` and ``left [groups, units]`` (one group of examples left out);
    ``sample [units]`` says which set of examples a unit was judged on.
    """

    point: Floats
    draws: Floats
    left: Floats
    sample: NDArray[np.int64]

    def minus(self, other: Units) -> Units:
        """The paired difference; both must have the same units."""
        draws, left = _apart(self.draws, other.draws), _apart(self.left, other.left)
        return Units(self.point - other.point, draws, left, self.sample)


def _apart(one: Floats, other: Floats) -> Floats:
    """The difference, zero where it is nothing but the rounding of float32: equal methods are to be equal."""
    gap: Floats = one - other
    gap[np.abs(gap) <= 2e-6 * np.abs(one)] = 0.0
    return gap


def t_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of ``values [n]``; `Undefined` below two.

    >>> [round(end, 3) for end in t_interval([1, 2, 3])]
    [-0.484, 4.484]
    """
    found = np.asarray(values, np.float64)
    if found.size < 2:
        raise Undefined(f"an interval over runs needs at least 2, got {found.size}")
    half = stdtrit(found.size - 1, (1 + confidence) / 2) * found.std(ddof=1) / math.sqrt(found.size)
    return float(found.mean() - half), float(found.mean() + half)


def t_test(values: ArrayLike) -> float:
    """Two-sided p of Student's t for a mean of zero; `Undefined` below two values.

    >>> round(t_test([1.0, 2.0, 3.0]), 4)
    0.0742
    """
    found = np.asarray(values, np.float64)
    if found.size < 2:
        raise Undefined(f"a test over runs needs at least 2, got {found.size}")
    error = found.std(ddof=1) / math.sqrt(found.size)
    return _tail(float(found.mean()), float(error), found.size - 1)


def two_level(units: Units, rng: np.random.Generator, confidence: float = 0.95) -> Estimate:
    """The mean over units with its two-level bootstrap BCa interval, and the p that this interval inverts to.

    Lower level: clusters of examples, resampled (`resampling.resampled`).  Upper level: the mean of so few units is not
    resampled but drawn from Student's t around the one found, since two to ten values drawn with replacement spread too
    little (Davison & Hinkley 1997, 3.8).  Without any noise of examples this is Student's t interval over
    units; with a single unit it is the bootstrap of its examples.  BCa: Efron 1987; the acceleration comes from the
    jackknife of examples, and units, taken as symmetric, only dilute it.  Where fewer than `REACH` resamples lie beyond
    zero, p is that of Student's t with Satterthwaite's degrees of freedom.

    Raises `Undefined` where the metric or more than a twentieth of its resamples have no value.
    """
    if not np.isfinite(units.point).all():
        raise Undefined("the metric is undefined in a unit")
    value, n = float(units.point.mean()), units.point.size
    examples = units.draws.mean(1)
    lost = np.count_nonzero(~np.isfinite(examples))
    if lost > examples.size / 20:
        raise Undefined(f"the metric is undefined in {lost} of {examples.size} resamples")
    examples = examples[np.isfinite(examples)]
    between = float(units.point.var(ddof=1) / n) if n > 1 else 0.0
    freedom = max(n - 1, LEAST_FREEDOM)
    draws = np.sort(examples + rng.standard_t(freedom, examples.size) * math.sqrt(between))
    z0 = float(ndtri(_share_below(draws, value)))
    acceleration = _acceleration(units, between)
    tails = (1 - confidence) / 2
    low, high = (_quantile(draws, z0, acceleration, end) for end in (tails, 1 - tails))
    within = float(examples.var())
    error = math.sqrt(between + within)
    beyond = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    if beyond < REACH and error > 0:
        satterthwaite = freedom * ((between + within) / between) ** 2 if between > 0 else math.inf
        return Estimate(value, low, high, _tail(value, error, satterthwaite))
    return Estimate(value, low, high, _inverted(draws, z0, acceleration))


class Summary(NamedTuple):
    """What is known of several values: their mean, sample standard deviation and number; of one, the mean alone."""

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
    quantile = ndtri((1 + confidence) / 2) if math.isinf(freedom) else stdtrit(freedom, (1 + confidence) / 2)
    half = float(quantile) * error
    return Estimate(value, value - half, value + half, _tail(value, error, freedom))


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
    """Share of sorted draws below the value, ties counting half, kept off 0 and 1 by half a draw."""
    tolerance = 1e-6 * max(abs(value), 1e-12)  # draws are float32: a tie is a tie up to rounding
    below = np.searchsorted(ordered, value - tolerance, "left") + np.searchsorted(ordered, value + tolerance, "right")
    return float(np.clip(below / 2, 0.5, ordered.size - 0.5) / ordered.size)


def _acceleration(units: Units, between: float) -> float:
    """BCa's acceleration, from the influence of each group of examples on the mean over units."""
    influence = []
    for sample in np.unique(units.sample):
        left = units.left[:, units.sample == sample].sum(1) / units.point.size
        left = left[np.isfinite(left)]
        influence.append(math.sqrt(max(left.size - 1, 0) / max(left.size, 1)) * (left.mean() - left))
    each = np.concatenate(influence)
    spread = float((each**2).sum()) + between
    return float((each**3).sum() / (6 * spread**1.5)) if spread > 0 else 0.0


def _quantile(ordered: Floats, z0: float, acceleration: float, share: float) -> float:
    z = z0 + float(ndtri(share))
    stretch = 1 - acceleration * z
    # beyond the pole of the correction there is nothing but the outermost resample
    corrected = float(ndtr(z0 + z / stretch)) if stretch > 0 else float(z > 0)
    return float(np.quantile(ordered, corrected))


def _inverted(ordered: Floats, z0: float, acceleration: float) -> float:
    """The p at which an end of the BCa interval is zero."""
    w = float(ndtri(_share_below(ordered, 0.0))) - z0
    stretch = 1 + acceleration * w
    z = (w / stretch if stretch > 0 else math.copysign(math.inf, w)) - z0
    return float(min(1.0, 2 * min(ndtr(z), ndtr(-z))))


def _tail(value: float, error: float, freedom: float) -> float:
    """Two-sided p of Student's t; with no error, 1 at zero and 0 elsewhere."""
    if not error:
        return float(value == 0)
    z = -abs(value / error)
    return float(2 * (ndtr(z) if math.isinf(freedom) else stdtr(freedom, z)))
