"""How far two rewards agree: correlations, EPIC, and how steady a margin is.

Also the checks on reward vectors that the other metrics share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairl_bench.errors import NotFinite, Undefined

# About eight float32 epsilons. A head's rewards are float32, and a collapsed one leaves exactly this: one value plus
# the last bits of a matrix product, whose correlation or direction would be a number about rounding.
CONSTANT_SPREAD = 1e-6
_WHOLE = 2.0**53  # from here on every float64 is a whole number
_DOUBLE = 8 * float(np.finfo(np.float64).eps)  # the same of numbers that no float32 holds


def vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return `values` as float64 `[n]`, n ≥ 1.  Raises `Undefined` when empty, `NotFinite` at NaN or infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one axis, got shape {array.shape}")
    if array.size == 0:
        raise Undefined(f"{name} needs at least one value, got 0")
    bad = np.count_nonzero(~np.isfinite(array))
    if bad:
        raise NotFinite(f"{name} must be finite, got {bad} NaN or infinite of {array.size} values")
    return array


def two_rewards(reward: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both rewards as float64 `[n]` over the same examples, n ≥ 2.  Raises `Undefined` below two."""
    first, second = vector(reward, "reward"), vector(truth, "truth")
    if first.size != second.size:
        raise ValueError(f"reward and truth must have one value an example, got {first.size} and {second.size}")
    if first.size < 2:
        raise Undefined(f"comparing two rewards needs at least 2 examples, got {first.size}")
    return first, second


def standardised(reward: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rewards ``[n]`` with mean 0 and standard deviation 1; zeros where they are constant."""
    spread = float(reward.std())
    return (reward - reward.mean()) / spread if spread > 0 else np.zeros_like(reward)


def is_constant(values: NDArray[np.float64]) -> bool:
    """Return whether the spread (max − min) is nothing but rounding.

    >>> is_constant(np.array([3.0, 3.0])), is_constant(1e8 + 0.01 * np.array([0.0, 1.0]))
    (True, False)
    """
    return is_rounding(float(np.ptp(values)), values)


def is_rounding(spread: float, values: NDArray[np.float64]) -> bool:
    """Return whether a spread of this size among `values` is only their rounding, about eight epsilons of the largest.

    The epsilon is that of float32 where every value is one, else that of float64: 1e8 + 0.01 r varies, though a float32
    would hold none of it. Whole numbers are counts or grades, and exact.
    """
    largest = float(np.abs(values).max())
    if spread > CONSTANT_SPREAD * largest:
        return False
    if largest < _WHOLE and (values == np.round(values)).all():
        return spread == 0
    return spread <= _DOUBLE * largest or _are_float32(values)


def _are_float32(values: NDArray[np.float64]) -> bool:
    """Return whether every value is a float32, or the shortest decimal that reads back as one."""
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    exact = short == values
    return bool(exact.all() or (short[~exact].astype(str).astype(np.float64) == values[~exact]).all())


def pearson(reward: ArrayLike, truth: ArrayLike) -> float:
    """Pearson's ρ, in [−1, 1]; `Undefined` when either is constant.

    >>> round(pearson([0, 1, 2], [0, 0, 1]), 4)
    0.866
    """
    first, second = _varying(reward, truth, "a correlation")
    return float(np.clip(_unit(first) @ _unit(second), -1.0, 1.0))


def epic(reward: ArrayLike, truth: ArrayLike) -> float:
    """EPIC's Pearson distance `√((1 − ρ)/2)`, in [0, 1]; `Undefined` when either is constant.

    Gleave et al. 2021, section 4, in a contextual bandit with no canonicalisation beyond the mean. Computed as
    half the distance between the standardised rewards: the same number, without the cancellation of 1 − ρ near ρ = 1.
    """
    first, second = _varying(reward, truth, "EPIC")
    return float(np.linalg.norm(_unit(first) - _unit(second)) / 2)


def spearman(reward: ArrayLike, truth: ArrayLike) -> float:
    """Spearman's ρ, in [−1, 1], ties at their mean rank; `Undefined` when either is constant."""
    from scipy.stats import spearmanr

    return float(spearmanr(*_varying(reward, truth, "a rank correlation")).statistic)


def kendall(reward: ArrayLike, truth: ArrayLike) -> float:
    """Kendall's τ-b, in [−1, 1], corrected for ties; `Undefined` when either is constant."""
    from scipy.stats import kendalltau

    return float(kendalltau(*_varying(reward, truth, "a rank correlation")).statistic)


def margin_snr(margin: ArrayLike) -> float:
    """Mean over standard deviation (ddof = 1) of the margins `[n]`; unchanged when the reward is scaled.

    `Undefined` below two margins and when they are all equal, up to a millionth.

    >>> margin_snr([1, 2, 3])
    2.0
    """
    margins = vector(margin, "margin")
    if margins.size < 2:
        raise Undefined(f"margin_snr needs at least 2 margins, got {margins.size}")
    if np.ptp(margins) <= CONSTANT_SPREAD * np.abs(margins).max():  # an offset of the reward is in no margin
        raise Undefined(f"margin_snr needs margins that differ, got {margins.size} equal to {margins[0]:g}")
    return float(margins.mean() / margins.std(ddof=1))


def _varying(reward: ArrayLike, truth: ArrayLike, measure: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both rewards.  Raises `Undefined` where one is constant."""
    first, second = two_rewards(reward, truth)
    for name, values in (("reward", first), ("truth", second)):
        if is_constant(values):
            raise Undefined(
                f"{measure} needs a {name} that varies, got {values.size} values equal to {values[0]:g} up to rounding"
            )
    return first, second


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values centred and scaled to l2 length 1."""
    centred: NDArray[np.float64] = values - values.mean()
    centred /= np.abs(centred).max()  # squares of 1e200 overflow, of 1e-200 vanish
    centred /= np.linalg.norm(centred)
    return centred
