"""What a comparison of this size can show, from the interval that it has."""

from __future__ import annotations

import math

from scipy.special import ndtr, ndtri


def standard_error(low: float, high: float, confidence: float = 0.95) -> float:
    """The standard error of which an interval is the normal one.

    >>> round(standard_error(-1.96, 1.96), 3)
    1.0
    """
    return (high - low) / (2 * float(ndtri((1 + confidence) / 2)))


def power(effect: float, error: float, alpha: float = 0.05) -> float:
    """The probability that a two-sided test at ``alpha`` finds an effect of this size, in its own direction.

    Normal; NaN where an argument is, 1 without any error.

    >>> round(power(2.8016, 1.0), 3), power(0.0, 1.0), power(1.0, 0.0)
    (0.8, 0.025, 1.0)
    """
    if math.isnan(effect) or math.isnan(error):
        return math.nan
    if not error:
        return float(effect != 0)
    return float(round(ndtr(abs(effect) / error - ndtri(1 - alpha / 2)), 15))


def detectable(error: float, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The effect that a two-sided test at ``alpha`` finds with this power.

    >>> round(detectable(1.0), 4)
    2.8016
    """
    return float(ndtri(1 - alpha / 2) + ndtri(wanted)) * error


def shifted_p(value: float, error: float) -> float:
    """Two-sided p of a normal value of this standard error against zero; with no error, 1 at zero and 0 elsewhere.

    >>> round(shifted_p(1.959964, 1.0), 4), shifted_p(0.0, 0.0)
    (0.05, 1.0)
    """
    if not error:
        return float(value == 0)
    return float(2 * ndtr(-abs(value / error)))
