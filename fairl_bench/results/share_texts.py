"""How shares of a reward are written, so that their bounds do not hide the side of the threshold that they are on."""

from __future__ import annotations

import math
from typing import Final

from fairl_bench.science.concepts import Interval
from fairl_bench.science.detectable import NAMED_FROM

_NEAR: Final = 0.5  # percent


def percent_end(share: float) -> str:
    """An end of an interval of a share, in percent; with a decimal near 5 %, where rounding would hide its side.

    >>> [percent_end(share) for share in (0.0485, 0.0499, 0.05, 0.054, 0.056, 0.12, math.nan)]
    ['4.8', '4.9', '5.0', '5.4', '6', '12', 'n/a']
    """
    percent = 100 * share
    if math.isnan(percent):
        return "n/a"
    if abs(percent - 100 * NAMED_FROM) > _NEAR:
        return f"{round(percent)}"
    return f"{math.floor(10 * percent + 1e-9) / 10:.1f}"  # 4.99 is not yet 5


def percent_interval(share: Interval) -> str:
    """A share with its bounds.

    >>> percent_interval(Interval(0.08, 0.0485, 0.11))
    '8 % [4.8, 11]'
    """
    return f"{round(100 * share.value)} % [{percent_end(share.low)}, {percent_end(share.high)}]"
