"""Names as a sentence lists them, and the ends of an interval of shares."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

_THRESHOLD: Final = 5.0  # in percent: a concept is named from this bound on, and ruled out below it


def listed(names: Iterable[str], most: int | None = None) -> str:
    """Names in a sentence; of more than ``most`` the first ones, and how many more there are.

    >>> listed("a"), listed("ab"), listed("abcd", 4), listed("abcdef", 4)
    ('a', 'a and b', 'a, b, c and d', 'a, b, c and 3 more')
    """
    every = list(names)
    if most is not None and len(every) > most:
        every = [*every[: most - 1], f"{len(every) - most + 1} more"]
    *first, last = every or [""]
    return f"{', '.join(first)} and {last}" if first else last


def percent_end(share: float) -> str:
    """An end of an interval of a share, in percent; with a decimal near 5 %, where rounding would hide its side.

    >>> [percent_end(share) for share in (0.0485, 0.0499, 0.05, 0.054, 0.056, 0.12, math.nan)]
    ['4.8', '4.9', '5.0', '5.4', '6', '12', 'n/a']
    """
    percent = 100 * share
    if math.isnan(percent):
        return "n/a"
    if abs(percent - _THRESHOLD) > 0.5:
        return f"{round(percent)}"
    return f"{math.floor(10 * percent + 1e-9) / 10:.1f}"  # 4.99 is not yet 5
