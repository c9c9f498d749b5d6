"""How much likelier a text is as the best of n draws than as one draw, estimated from other draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def log_ratio(value: Floats, draws: Floats, n: int) -> Floats:
    """The log-ratio of the best of ``n`` draws and one draw, of texts with these values ``[texts]``, in nats.

    The best of n is the draw of the highest value, any of those that share it.  With F the distribution of one draw's
    value, a text of value r is ``[F(r)^n - F(r-)^n] / [F(r) - F(r-)]`` times as likely to be the best: the numerator is
    the probability that r is the highest value, the denominator that of r in one draw, and among texts of one value
    both distributions are the same (Beirami et al. 2024, arXiv:2401.01879, have it for texts of different values).

    F is estimated from the values of other draws for the same prompt, ``draws [m]``, and the text itself, which has
    value r: ``F(r) = (draws up to r + 1) / (m + 1)``, ``F(r-) = (draws below r) / (m + 1)``.  So the estimate lies
    between ``-(n - 1) log(m + 1)`` and ``log n``, and never falls where the value rises.  Where no two values are
    equal, it is on average too low by about ``(n - 1) / 2m``, the same for all texts but the lowest few in m, so that a
    difference of two texts is right.  Of a lowest value that a share f of all draws has, it is too high by about
    ``(n - 1) (1 - f) / 2mf``.

    >>> log_ratio(np.array([0.0, 1.0]), np.array([0.0, 1.0, 1.0]), 2).round(3).tolist()
    [-0.693, 0.223]
    """
    ordered, m = np.sort(draws), len(draws)
    below = np.searchsorted(ordered, value, side="left") / (m + 1)
    up_to = (np.searchsorted(ordered, value, side="right") + 1) / (m + 1)
    share = below / up_to  # at most m / (m + 1)
    # [a^n - b^n] / [a - b] = a^(n - 1) [1 - (b / a)^n] / [1 - b / a]: a^n alone is 0 for a large n
    ratio: Floats = (n - 1) * np.log(up_to) + np.log1p(-(share**n)) - np.log1p(-share)
    return ratio
