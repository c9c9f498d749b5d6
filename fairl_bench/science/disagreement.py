"""Where two methods disagree: both right, one right, neither; McNemar's test, and three ways to count the gain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fairl_bench.errors import Undefined

FEW = 25  # discordant examples below which the chi-squared approximation is poor (McNemar 1947; Fagerland et al. 2013)


class Counts(NamedTuple):
    """How many examples both methods have right, only the first, only the second, and neither."""

    both: float
    first: float
    second: float
    neither: float

    @property
    def n(self) -> float:
        """The number of examples."""
        return sum(self)


class McNemar(NamedTuple):
    """McNemar's test of equal accuracy: chi-squared without and with the continuity correction, and p.

    ``p`` is the exact binomial one below `FEW` discordant examples, else that of the corrected chi-squared.
    """

    uncorrected: float
    corrected: float
    p: float
    exact: bool


def counts(first: ArrayLike, second: ArrayLike) -> Counts:
    """The four counts of two masks ``[n]`` of what is right.

    >>> counts([True, True, False, False], [True, False, True, False])
    Counts(both=1, first=1, second=1, neither=1)
    """
    one, two = np.asarray(first, bool), np.asarray(second, bool)
    return Counts(*(int(np.count_nonzero(mask)) for mask in (one & two, one & ~two, ~one & two, ~one & ~two)))


def mcnemar(found: Counts) -> McNemar:
    """McNemar's test (McNemar 1947); with no discordant example the statistics are 0 and p is 1.

    >>> mcnemar(Counts(7, 1, 3, 2))
    McNemar(uncorrected=1.0, corrected=0.25, p=0.625, exact=True)
    """
    from scipy.special import bdtr, chdtrc

    fewer, more = sorted((found.first, found.second))
    discordant = fewer + more
    if not discordant:
        return McNemar(0.0, 0.0, 1.0, True)
    plain, corrected = ((more - fewer - correction) ** 2 / discordant for correction in (0, 1))
    exact = discordant < FEW
    p = min(1.0, 2 * bdtr(fewer, discordant, 0.5)) if exact else chdtrc(1, corrected)
    return McNemar(plain, corrected, float(p), exact)


def difference_in_points(found: Counts) -> float:
    """Accuracy of the second less accuracy of the first, in percentage points.

    >>> round(difference_in_points(Counts(7245, 457, 1001, 1297)), 2)
    5.44
    """
    _need(found.n, "a difference in accuracy needs examples, got none")
    return 100 * (found.second - found.first) / found.n


def relative_gain(found: Counts) -> float:
    """How many more examples the second has right than the first, in percent of the first's.

    Not points of accuracy: what neither has right does not enter.

    >>> round(relative_gain(Counts(108, 24, 31, 0)), 2)
    5.3
    """
    _need(found.both + found.first, "a relative gain needs an example that the first method has right, got none")
    return 100 * ((found.both + found.second) / (found.both + found.first) - 1)


def cohens_g(found: Counts) -> float:
    """Effect size of McNemar's test, in [-0.5, 0.5]: share of the discordant that the second has right, less a half.

    >>> round(cohens_g(Counts(7245, 457, 1001, 1297)), 3)
    0.187
    """
    _need(found.first + found.second, "Cohen's g needs an example that one method alone has right, got none")
    return found.second / (found.first + found.second) - 0.5


def _need(number: float, reason: str) -> None:
    if not number:
        raise Undefined(reason)
