"""What tells the preferred text of a pair from the rejected one, concept by concept, read from the pairs themselves.

A reward that is learnt from pairs credits what goes along with the reason for a choice: where the shorter text is
always preferred and short texts are politer, such a reward pays for politeness as well, even beside length.  Its shares
are then those of a reward that was chosen for both.  The pairs tell the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.shares import Moments, halved

Floats = NDArray[np.float64]
_RIDGE: Final = 1e-8  # of a column's square: a concept whose differences are all of one size is its own sign


def told_beside(
    gaps: Floats,
    cluster: NDArray[np.int64],
    draws: Floats,
    groups: Sequence[Sequence[int]],
    rng: np.random.Generator,
) -> Floats | None:
    """What each group of concepts adds to all others in telling which text of a pair is preferred ``[draws, groups]``.

    ``gaps [pairs, k]`` are the preferred text's values less those of the rejected one, ``cluster [pairs]`` the set of
    prompts of each pair and ``draws [draws, sets]`` how often each set is drawn, the sets as they are first.  The
    preference is regressed on each concept's difference and on the sign of that difference, fitted to one half of the
    sets and measured on the other.  What is added is told as a part of what all concepts tell.  None where all concepts
    together do not tell the two sides apart.
    """
    columns = np.column_stack([gaps, np.sign(gaps), np.ones(len(gaps))])
    products = np.zeros((draws.shape[1], columns.shape[1], columns.shape[1]))
    np.add.at(products, cluster, columns[:, :, None] * columns[:, None, :])
    moments = Moments(products, np.bincount(cluster, minlength=draws.shape[1]))
    try:
        halves = halved(moments, draws, rng)
    except Undefined:
        return None
    k = gaps.shape[1]
    both = [np.array([*group, *(k + column for column in group)]) for group in groups]
    told, added = np.zeros(len(draws)), np.zeros((len(draws), len(groups)))
    for way in halves.ways:
        for fitted, held_out in (way, way[::-1]):
            inverse = np.linalg.inv(_ridged(fitted[:, :-1, :-1]))
            slopes, held = np.einsum("dij,dj->di", inverse, fitted[:, :-1, -1]), held_out[:, :-1, -1]
            told += np.einsum("di,di->d", slopes, held)
            for at, of in enumerate(both):  # without a group the other slopes take over what it told with them
                moved = np.linalg.solve(inverse[:, of][:, :, of], slopes[:, of, None])
                added[:, at] += np.einsum("di,dij,dj->d", held, inverse[:, :, of], moved[..., 0])
    if not np.quantile(told[1:], 0.025) > 0:
        return None
    return np.asarray(added / np.where(told > 0, told, np.nan)[:, None])


def _ridged(gram: Floats) -> Floats:
    square = np.maximum(np.einsum("dii->di", gram), np.finfo(np.float64).tiny ** 0.5)
    found: Floats = gram + _RIDGE * square[..., None] * np.eye(gram.shape[-1])
    return found
