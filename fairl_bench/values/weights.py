"""The names of the numbers about how much a reward pays for each objective, as evaluators give and tables read them."""

from __future__ import annotations

from typing import Final

WEIGHT: Final = "weight"
"""The recovered weight of an objective; with ``_low`` and ``_high`` the ends of its interval."""
PLANTED: Final = "planted_weight"
EXPLAINED: Final = "explained_by_objectives"
"""The share of a reward's variance within prompts that its objectives explain together; its truth is ``gold``."""
