"""How varied texts are."""

from __future__ import annotations

import math
from collections.abc import Iterable


def distinct(texts: Iterable[str], n: int = 2) -> float:
    """The share of different ones among all runs of ``n`` words (distinct-n; Li et al. 2016, arXiv:1510.03055).

    Words are what space separates, in lower case.  More texts repeat more: compare equal numbers of them.  NaN where
    no text has ``n`` words.

    >>> distinct(["a b a b", "A B"])
    0.5
    """
    runs = [run for text in texts for run in _runs(text.lower().split(), n)]
    return len(set(runs)) / len(runs) if runs else math.nan


def _runs(words: list[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)
