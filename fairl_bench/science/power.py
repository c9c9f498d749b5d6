"""What a comparison of a given size can show, and Student's tests of a difference against a margin."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

MOST = 1e7  # degrees of freedom: more are the normal distribution, and scipy wants a number


def power(effect: float, error: float, freedom: float = math.inf, alpha: float = 0.05) -> float:
    """Return the probability that a two-sided t test at ``alpha`` finds an effect of this size, with the right sign.

    NaN where an argument is; without any error 1 for an effect and 0 for none.

    >>> round(power(2.8016, 1.0), 3), power(0.0, 1.0), power(1.0, 0.0)
    (0.8, 0.025, 1.0)
    """
    if any(map(math.isnan, (effect, error, freedom))):
        return math.nan
    if not error:
        return float(effect != 0)
    degrees = min(freedom, MOST)
    limit = float(scipy.special.stdtrit(degrees, 1 - alpha / 2))
    return round(float(1 - scipy.special.nctdtr(degrees, abs(effect) / error, limit)), 12)


def detectable(error: float, freedom: float = math.inf, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The effect that a two-sided t test at ``alpha`` finds with this power, by two quantiles of t.

    >>> round(detectable(1.0), 3), round(detectable(1.0, 5.0), 2)
    (2.802, 3.49)
    """
    degrees = min(freedom, MOST)
    return float(scipy.special.stdtrit(degrees, 1 - alpha / 2) + scipy.special.stdtrit(degrees, wanted)) * error


def two_sided(value: ArrayLike, error: ArrayLike, freedom: ArrayLike, margin: ArrayLike = 0.0) -> Floats:
    """Two-sided p of Student's t for a difference of ``margin``; with no error 1 where it is that, and 0 elsewhere.

    NaN of a NaN.

    >>> two_sided([0.0, 1.0, 0.0, math.nan], [1.0, 0.0, 0.0, 1.0], 3.0).tolist()
    [1.0, 0.0, 1.0, nan]
    >>> round(float(two_sided(1.96, 1.0, math.inf)), 3), float(two_sided(0.5, 0.0, 4.0, margin=0.5))
    (0.05, 1.0)
    """
    away, spread = np.broadcast_arrays(np.abs(np.subtract(value, margin)), np.asarray(error, np.float64))
    ratio = np.divide(away, spread, out=np.where(away == 0, 0.0, np.inf), where=spread != 0)
    ratio = np.where(np.isnan(away) | np.isnan(spread), np.nan, ratio)
    return np.asarray(2 * scipy.special.stdtr(np.minimum(freedom, MOST), -ratio), np.float64)


def p_of_equivalence(value: float, error: float, freedom: float, margin: float) -> float:
    """p of two one-sided t tests (Schuirmann 1987): small where the difference lies within ``±margin``.

    >>> round(p_of_equivalence(0.0, 1.0, math.inf, 1.6449), 3), p_of_equivalence(2.0, 0.0, 4.0, 1.0)
    (0.05, 1.0)
    """
    if any(map(math.isnan, (value, error, freedom))):
        return math.nan
    beyond = abs(value) - margin
    if not error:
        return float(beyond >= 0)
    return float(scipy.special.stdtr(min(freedom, MOST), beyond / error))
