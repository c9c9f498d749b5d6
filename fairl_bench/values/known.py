"""The number of examples of a data set whose label is known."""

from __future__ import annotations

from collections.abc import Mapping

Known = Mapping[tuple[str, str], frozenset[tuple[int, int]]]
"""By data and truth, of how many examples of how many it is known; several where models or replicates differ.

Known is the label; in a truth of numbers alone, which has none, the value: the counts are then `OfValues`.
"""


class OfValues(frozenset[tuple[int, int]]):
    """Counts of values that are known, where there are no labels."""
