"""The number of examples of a data set whose label is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Known(NamedTuple):
    """Of how many examples the label is known, and of how many in all.

    In a truth of numbers alone, which has no labels, the values are counted.
    """

    known: int
    whole: int
    of_values: bool = False


KnownByData = Mapping[tuple[str, str], frozenset[Known]]
"""What is known of a data set under a truth; several where models or replicates differ."""
