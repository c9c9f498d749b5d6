"""How well margins tell which text is preferred, at whatever scale they are."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit


def calibrated_loss(margin: ArrayLike, weight: ArrayLike | None = None) -> float:
    """The mean Bradley-Terry loss of margins ``[n]`` at the scale ``c >= 0`` at which it is lowest, in nats.

    ``min_c mean log(1 + exp(-c m))``: log 2 where the margins say nothing or the contrary, 0 where all are above zero,
    NaN where one is not finite.  It means the same for every method, since no loss and no temperature of its own is in
    it, and unlike the share of pairs that are ranked right it moves with every margin.  A ``weight [n]`` above 0 says
    how much each margin counts in the mean; a margin of weight 2 counts as two.

    >>> calibrated_loss([1.0, 2.0]), round(calibrated_loss([-1.0, -2.0]), 6)
    (0.0, 0.693147)
    >>> round(calibrated_loss([1.0, 1.0, 1.0, -1.0]), 6) == round(calibrated_loss([9.0, 9.0, 9.0, -9.0]), 6)
    True
    >>> round(calibrated_loss([1.0, -1.0], [3, 1]), 6) == round(calibrated_loss([1.0, 1.0, 1.0, -1.0]), 6)
    True
    """
    found = np.asarray(margin, np.float64)
    if not np.isfinite(found).all():
        return math.nan
    mean = partial(np.average, weights=weight)
    if not found.size or not mean(found) > 0:
        return math.log(2)
    if not (found < 0).any():  # the loss falls for ever as the scale grows
        return float(mean(found == 0)) * math.log(2)
    unit = found / np.abs(found).mean()

    def slope(scale: float) -> float:
        return -float(mean(unit * expit(-scale * unit)))

    if not slope(0.0) < 0:  # their mean is above zero by rounding alone
        return math.log(2)
    most = 1.0
    while slope(most) < 0:
        most *= 2
    scale = brentq(slope, 0.0, most, xtol=1e-9)
    return float(mean(np.logaddexp(0.0, -scale * unit)))
