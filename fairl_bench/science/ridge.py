"""Ridge regression by one eigendecomposition, with the penalty that generalised cross-validation chooses."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import FairlError

Array = NDArray[np.float64]

PENALTIES: Final[Array] = np.logspace(-8, 2, 81)
"""The grid of penalties, in units of the largest eigenvalue: from almost none to one that leaves 1 % of a slope."""
_CONSTANT: Final = 1e-12  # of the largest number in a column: less spread than this is rounding
_RANK: Final = 1e-12  # of the largest eigenvalue: below it is rounding


class Ridge(NamedTuple):
    """The linear function ``x @ weight + bias``, and how it was found."""

    weight: Array  # [d]
    bias: float
    penalty: float  # alpha of |y - Xw|^2 + alpha |w|^2, on standardised columns
    freedom: float  # the trace of the hat matrix of the columns: the number of free slopes that the penalty leaves


def ridge(x: Array, y: Array, group: NDArray[np.int64] | None = None, penalties: Array = PENALTIES) -> Ridge:
    """Return the ridge regression of ``y [n]`` on ``x [n, d]``, with an intercept for each group ``[n]``.

    Intercepts are not penalised: both sides are centred within the groups, all rows being one without ``group``.  Then
    each column is divided by the root of its mean square, so that the penalty means the same for all; one that is
    constant within every group gets the weight 0.  The ``bias`` makes the mean over all rows right.

    ``penalties`` are in units of the largest eigenvalue of the standardised ``X'X``, rising.  The one with the lowest
    `gcv` is taken, the larger one of equals (Golub, Heath & Wahba 1979, Technometrics 21:215).  Raises `FairlError`
    where each row is a group by itself: then the intercepts explain everything.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    group = np.zeros(len(y), np.int64) if group is None else np.unique(group, return_inverse=True)[1]
    freedom = len(y) - int(group.max(initial=-1) + 1)
    if freedom < 1:
        raise FairlError(f"a regression needs two rows of one group, got {len(y)} rows of as many groups")
    rows, target = _within(x, group), _within(y[:, None], group)[:, 0]
    scale = np.sqrt((rows**2).mean(0))
    constant = scale <= _CONSTANT * np.abs(x).max(0)
    rows[:, constant], scale[constant] = 0, 1
    rows /= scale
    found = Spectrum.of(rows, target, freedom)
    grid = penalties * (found.value[-1] if len(found.value) else 1.0)
    scores = gcv(found, grid)
    penalty = float(grid[len(grid) - 1 - np.argmin(scores[::-1])])
    weight = np.where(constant, 0.0, found.slopes(penalty) / scale)
    bias = float(y.mean() - x.mean(0) @ weight)
    return Ridge(weight, bias, penalty, float((found.value / (found.value + penalty)).sum()))


class Spectrum(NamedTuple):
    """A regression of ``y [n]`` on ``X [n, d] = U diag(value)^(1/2) V'`` of rank ``r``, both centred."""

    value: Array  # [r] the eigenvalues of X'X, rising
    axes: Array  # [d, r] V
    along: Array  # [r] U'y
    beyond: float  # |y - UU'y|^2: what no slopes explain
    freedom: int  # rows less intercepts

    @classmethod
    def of(cls, x: Array, y: Array, freedom: int) -> Self:
        """Return it by the eigenvectors of ``X'X`` or ``XX'``, whichever is smaller."""
        tall = x.shape[0] >= x.shape[1]
        value, vector = np.linalg.eigh(x.T @ x if tall else x @ x.T)
        kept = value > _RANK * max(value[-1], 0.0) if len(value) else np.zeros(0, bool)
        value, vector = value[kept], vector[:, kept]
        root = np.sqrt(value)
        axes = vector if tall else x.T @ vector / root
        along = vector.T @ (x.T @ y) / root if tall else vector.T @ y
        rest = y - x @ (axes @ (along / root))
        return cls(value, axes, along, float(rest @ rest), freedom)

    def slopes(self, penalty: float) -> Array:
        """Return the slopes ``(X'X + penalty I)^-1 X'y [d]``."""
        slopes: Array = self.axes @ (np.sqrt(self.value) * self.along / (self.value + penalty))
        return slopes


def gcv(found: Spectrum, penalties: Array) -> Array:
    """Return the generalised cross-validation score of each penalty ``[k]``: lower is better.

    ``m |y - Ay|^2 / (m - tr A)^2`` for the hat matrix ``A`` of a penalty and the ``m`` rows less intercepts.
    """
    shrunk = penalties[:, None] / (found.value + penalties[:, None])  # [k, r] what each axis loses
    residual = found.beyond + shrunk**2 @ found.along**2
    left = found.freedom - len(found.value) + shrunk.sum(1)
    scores: Array = found.freedom * residual / left**2
    return scores


def _within(values: Array, group: NDArray[np.int64]) -> Array:
    """Return the columns ``[n, k]`` less their means within each group."""
    sums = np.zeros((int(group.max()) + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return values - (sums / np.bincount(group)[:, None])[group]
