"""The names of the numbers about how much a reward pays for each objective, as evaluators give and tables read them."""

from __future__ import annotations

from typing import Final, NamedTuple

WEIGHT: Final = "weight"
"""The recovered weight of an objective; with ``_low`` and ``_high`` the ends of its interval."""
PLANTED: Final = "planted_weight"
EXPLAINED: Final = "explained_by_objectives"
"""The share of a reward's variance within prompts that its objectives explain together; its truth is ``gold``."""
_ROUNDING = 1e-6  # weights are at most 1 in size: the interval of the true reward is one point, up to float32


class Weight(NamedTuple):
    """What one reward pays for one objective: as planted, and as recovered, with its interval."""

    planted: float
    recovered: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the planted weight is in the interval; False where there is none.

        >>> Weight(0.6, 0.6, 0.6, 0.6 - 1e-8).inside, Weight(0.6, 0.5, 0.4, 0.55).inside
        (True, False)
        """
        return self.low - _ROUNDING <= self.planted <= self.high + _ROUNDING
