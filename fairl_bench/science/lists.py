"""Lists of texts, made of pairs: what of a list is known to be worse than what."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import DataError
from fairl_bench.science.runs import RowPairs

LONGEST = 64  # texts of a list: its losses compare each with each

Rows = NDArray[np.int64]
Below = NDArray[np.bool_]


class Lists(NamedTuple):
    """``n`` lists of up to ``k`` texts, those above most others first; ``k`` is a power of two.

    What fills up a short list is above nothing and below nothing.
    """

    rows: Rows  # [k, n] of the vectors; a short list is filled up with its first text
    below: Below  # [k, k, n]: text j is known to be worse than text i
    length: Rows  # [n] texts of each list

    def __len__(self) -> int:
        return len(self.length)


def lists_of(pairs: RowPairs, prompts: Sequence[Hashable]) -> Lists:
    """The lists that pairs ``[n]`` with their prompts ``[n]`` make, in the order of each one's first pair.

    The texts of a list are those of one prompt that pairs connect; a text is worse than another if pairs say so,
    directly or by way of others (the transitive closure; Warshall 1962).  Texts that they do not order are tied, and so
    are those that they order in a circle.  Where two texts are compared again, that is another judgement and belongs to
    another list.  Raises `DataError` for a list of more than 64 texts.

    >>> lists = lists_of(RowPairs(np.array([5, 7, 7]), np.array([3, 5, 5])), ["", "", ""])
    >>> lists.rows.T.tolist()
    [[7, 5, 3, 7], [7, 5, 7, 7]]
    >>> lists.below[:, :, 0].sum(1).tolist(), lists.below[:, :, 1].sum(1).tolist()
    ([2, 1, 0, 0], [1, 0, 0, 0])
    """
    texts, of_side = np.unique(_named_texts(pairs, prompts), axis=1, return_inverse=True)
    sides = of_side.reshape(2, -1)  # [2, pairs] the texts' numbers
    list_of = _connected(sides, texts.shape[1])
    length = np.bincount(list_of, minlength=0)
    k = _filled(int(length.max(initial=0)))
    order = np.argsort(list_of, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(length) - length, length)
    rows, below = np.full((len(length), k), -1, np.int64), np.zeros((len(length), k, k), bool)
    rows[list_of, place] = texts[2]
    below[list_of[sides[0]], place[sides[0]], place[sides[1]]] = True
    below = _closed(below)
    best_first = np.argsort(np.where(rows < 0, 1, -below.sum(2)), axis=1, kind="stable")
    rows = np.take_along_axis(rows, best_first, 1)
    below = np.take_along_axis(np.take_along_axis(below, best_first[:, :, None], 1), best_first[:, None], 2)
    filled = np.where(rows < 0, rows[:, :1], rows)
    return Lists(np.ascontiguousarray(filled.T), np.ascontiguousarray(below.transpose(1, 2, 0)), length)


def _named_texts(pairs: RowPairs, prompts: Sequence[Hashable]) -> Rows:
    """Prompt, judgement and row of all preferred and then of all rejected texts ``[3, 2n]``: what makes a text one."""
    codes: dict[Hashable, int] = {}
    prompt = np.array([codes.setdefault(one, len(codes)) for one in prompts], np.int64)
    both = np.sort(np.stack(pairs), 0)  # whichever is preferred
    order = np.lexsort((*both, prompt))  # stable: pairs that are compared again stay in their order
    compared = np.stack([prompt, *both])[:, order]
    starts = np.flatnonzero(np.r_[True, (compared[:, 1:] != compared[:, :-1]).any(0)][: len(order)])
    judgement = np.empty_like(order)
    judgement[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return np.stack([np.tile(prompt, 2), np.tile(judgement, 2), np.concatenate(pairs)])


def _connected(sides: Rows, n: int) -> Rows:
    """The list of each of ``n`` texts, counted in the order of the lists' first pairs; ``sides [2, pairs]``."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(sides.shape[1], np.int8)
    component: Rows = connected_components(coo_array((ones, tuple(sides)), shape=(n, n)), directed=False)[1]
    first = np.unique(component[sides[0]], return_index=True)[1]
    number = np.empty_like(first)
    number[np.argsort(first)] = np.arange(len(first))
    return number[component]


def _filled(longest: int) -> int:
    """The power of two that lists of so many texts are filled up to.  Raises `DataError`."""
    if longest > LONGEST:
        raise DataError(
            f"the pairs make a list of {longest:,} texts, and a method of lists takes at most {LONGEST}: the texts of "
            "one prompt that pairs connect are one list; leave the method out, or give the pairs prompts that tell "
            "their lists apart"
        )
    return 1 << max(1, (longest - 1).bit_length())


def _closed(above: Below) -> Below:
    """What is worse than what ``[n, k, k]``, by way of other texts too; texts of one circle are not."""
    reached = above.copy()
    for by in range(above.shape[1]):
        reached |= reached[:, :, by, None] & reached[:, by, None, :]
    return reached & ~reached.transpose(0, 2, 1)
