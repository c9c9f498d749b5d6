"""How much of a response each subset of regressors explains, and what each regressor adds on average.

To solve a regression for each of 2^k subsets would take as many decompositions.  Here each regressor in turn is taken
out of all that follow it (Gaussian elimination, as Furnival & Wilson 1974 do it for all subsets): the subsets without
it are there already, and those with it cost a few products of the columns that are left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TINY = 1e-10  # of a column's square, added to it: a column that is constant in a resample gets a slope of 0
_AT_ONCE = 2**17  # regressions: what they need stays in the cache of a processor


def ridged(gram: Floats) -> Floats:
    """Sums of products ``[..., k, k]`` with a tiny number added to the squares, so that regressions on them exist.

    >>> ridged(np.zeros((1, 1))).item() > 0
    True
    """
    square = np.maximum(np.einsum("...ii->...i", gram), np.finfo(np.float64).tiny)
    found: Floats = gram + _TINY * square[..., None] * np.eye(gram.shape[-1])
    return found


def shapley_weights(k: int) -> Floats:
    """The Shapley value of each of ``k`` players, as weights of the worth of every coalition ``[k, 2^k]``.

    Bit ``i`` of a coalition's number says whether player ``i`` is in it.

    >>> shapley_weights(2).tolist()
    [[-0.5, 0.5, -0.5, 0.5], [-0.5, -0.5, 0.5, 0.5]]
    """
    inside = np.arange(2**k) >> np.arange(k)[:, None] & 1  # [k, 2^k]
    others = inside.sum(0) - inside
    orders = [math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k) for size in range(k)]
    found: Floats = np.where(inside, 1, -1) * np.array([*orders, 0.0])[others]
    return found


class Gains(NamedTuple):
    """What each group of regressors adds to what is explained ``[draws, groups]``."""

    mean: Floats  # over all orders of entry, its Shapley value: they sum to what all explain
    alone: Floats  # as the only one
    beside: Floats  # as the last one, beside all others


def gains(fitted: Floats, held_out: Floats, groups: Sequence[Sequence[int]]) -> Gains:
    """What each group of columns adds to what a regression explains that is fitted to one set and predicts the other.

    ``fitted`` and ``held_out`` are sums of products ``[draws, k + 1, k + 1]`` of centred columns, the response last.
    """
    k = len(groups)
    subset, own = np.arange(2**k), 2 ** np.arange(k)[:, None]
    alone = (subset == own) * 1.0 - (subset == 0)
    beside = (subset == 2**k - 1) * 1.0 - (subset == 2**k - 1 - own)
    weights = np.concatenate([shapley_weights(k), alone, beside])
    chunk = max(1, _AT_ONCE >> k)
    parts = [slice(start, start + chunk) for start in range(0, len(fitted), chunk)]
    found = np.concatenate([(weights @ explained(fitted[part], held_out[part], groups)).T for part in parts])
    return Gains(found[:, :k], found[:, k : 2 * k], found[:, 2 * k :])


def explained(fitted: Floats, held_out: Floats, groups: Sequence[Sequence[int]]) -> Floats:
    """The sum of products of the response with what a regression on each subset predicts ``[2^groups, draws]``.

    The regression is fitted to one set and predicts the other; of a set that it is fitted to, this is the sum of
    squares that it explains.  Bit ``i`` of a subset's number says whether group ``i`` is in it; arguments as in
    `gains`.
    """
    order = [*(column for group in groups for column in group), fitted.shape[-1] - 1]
    room = [2 ** (number + (place > 0)) for number, group in enumerate(groups) for place in range(len(group))]
    gram = ridged(fitted[:, order[:-1]][:, :, order[:-1]])
    both = fitted[:, order[:-1], order[-1]]
    fit = [[_begun(gram[:, i, j], rows) for j in range(i, len(room))] for i, rows in enumerate(room)]
    for i, rows in enumerate(room):
        fit[i].append(_begun(both[:, i], rows))
    held = [_begun(held_out[:, i, order[-1]], rows) for i, rows in zip(order, [*room, 2 ** len(groups)], strict=True)]
    pivot = 0
    for number, group in enumerate(groups):
        without, joined = slice(0, 2**number), slice(2**number, 2 ** (number + 1))
        for place in range(len(group)):
            _take_out(fit[pivot:], held[pivot:], joined if place else without, joined)
            pivot += 1
    found: Floats = held_out[:, order[-1], order[-1]] - held[-1]
    return found


def _begun(product: Floats, rows: int) -> Floats:
    """The product of two columns in the empty subset, with room for other subsets ``[rows, draws]``."""
    found = np.empty((rows, len(product)))
    found[0] = product
    return found


def _take_out(fit: Sequence[Sequence[Floats]], held: Sequence[Floats], before: slice, after: slice) -> None:
    """Take the first column out of those that follow it, and write what is left of their products.

    ``fit[i][j]`` are the fitted products of the columns ``i`` and ``i + j``; ``held[i]`` those of a column with the
    response, held out.
    """
    square, *products = (product[before] for product in fit[0])
    slopes = [product / square for product in products]
    spare = np.empty_like(square)
    for i, slope in enumerate(slopes):
        for j, product in enumerate(products[i:]):
            if i + 1 < len(fit):  # the response explains nothing
                np.multiply(slope, product, out=spare)
                np.subtract(fit[i + 1][j][before], spare, out=fit[i + 1][j][after])
        np.multiply(slope, held[0][before], out=spare)
        np.subtract(held[i + 1][before], spare, out=held[i + 1][after])
