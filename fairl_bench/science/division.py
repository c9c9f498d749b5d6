"""Dividing grouped items into parts of given sizes, so that no text is in two of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]


def codes(names: Iterable[str | int]) -> Whole:
    """Equal names as equal numbers, from 0 in the order of their first appearance."""
    known: dict[str | int, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)


def divide(group: Whole, shares: Mapping[int, float], rest: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """The part of each item ``[n]``: whole groups go to one part after the other, until each has its share.

    ``shares`` has the share of the items by part, in order; what is left goes to the part ``rest``.
    """
    size = np.bincount(group)
    order = rng.permutation(len(size))[::-1]
    part_of_group = np.full(len(size), rest, np.int8)
    for part, share in shares.items():
        taken = _taken(size[order], share * len(group))
        part_of_group[order[taken]] = part
        order = order[~taken]
    divided: NDArray[np.int8] = part_of_group[group]
    return divided


def _taken(size: Whole, wanted: float) -> NDArray[np.bool_]:
    """Which groups to take, one after the other: each whose half still fits into what is wanted."""
    count, taken = 0, np.zeros(len(size), np.bool_)
    for i, members in enumerate(size.tolist()):
        if count + members / 2 <= wanted:
            taken[i] = True
            count += members
    return taken


def sharing(part: NDArray[np.int8], texts: Whole, parts: Sequence[int]) -> NDArray[np.bool_]:
    """Which items share a text with an item of a part that stands earlier in ``parts``, and is kept itself ``[n]``.

    ``texts [n, 2]`` are the codes of each item's two texts.
    """
    shared = np.zeros(len(part), np.bool_)
    seen = np.zeros(int(texts.max(initial=-1)) + 1, np.bool_)
    for before, after in pairwise(parts):
        seen[texts[(part == before) & ~shared].ravel()] = True
        shared |= (part == after) & seen[texts].any(1)
    return shared
