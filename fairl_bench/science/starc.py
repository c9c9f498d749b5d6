"""STARC, the distance between two rewards once shift and scale are taken out, and the paper's Eq. 10, which is not one.

Rewards are `[n]`, one value an example, in the examples' common order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.agreement import is_constant, is_rounding, pearson, two_rewards


def starc(reward: ArrayLike, truth: ArrayLike, norm: int = 1) -> float:
    """STARC (the paper's Eq. 4), in [0, 2]: `‖s − s*‖` with `s = (r − mean r)/‖r − mean r‖`.

    `norm` is 1 (the paper's) or 2 (then it is `√(2 − 2ρ)`), the same for both. A constant reward standardises to
    zero, as in Skalse et al. 2024: constant against varying is 1, two constants are 0. "Constant" allows the last bits
    of a float32, or of a float64 where no float32 holds the numbers (`agreement.is_rounding`). `Undefined` below two
    examples. Against a truth, see `from_truth`.

    Two unrelated Gaussian rewards are √2 apart in either norm. Other unrelated rewards are so only in the l2 norm:
    two unrelated fair ±1 labels are 1 apart in l1.

    >>> starc([0, 1], [5, 9]), starc([0, 1], [9, 5]), starc([0, 1], [3, 3])
    (0.0, 2.0, 1.0)
    """
    first, second = two_rewards(reward, truth)
    return _distance(
        _standardised(first - first.mean(), np.ptp(first), first, norm),
        _standardised(second - second.mean(), np.ptp(second), second, norm),
        norm,
    )


def from_truth(reward: ArrayLike, truth: ArrayLike, prompt: ArrayLike | None = None) -> float:
    """STARC of a reward from the true one, in [0, 2]; with codes of prompts, `starc_per_prompt`.

    `Undefined` where the truth is constant, over all examples or within every prompt: it then says of no text that it
    is better than another, and no reward is nearer to it than another. A constant reward is 1 from any other truth.
    """
    true = two_rewards(reward, truth)[1]
    if prompt is None:
        if is_constant(true):
            raise Undefined(f"STARC needs a truth that varies, got {true.size} values equal to {true[0]:g}")
        return starc(reward, truth)
    distance = starc_per_prompt(reward, truth, prompt)
    group = np.unique(np.asarray(prompt), return_inverse=True)[1]
    if is_rounding(_spread_within(true, group), true):
        raise Undefined("per-prompt STARC needs a truth that varies within a prompt, got one that is equal in each")
    return distance


def prompt_codes(prompts: Sequence[str]) -> NDArray[np.int64]:
    """An integer for each different prompt `[n]`; an empty prompt is no prompt, so that each such text stands alone.

    `Undefined` where no text has a prompt.

    >>> prompt_codes(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    if not any(prompts):
        raise Undefined("the data has no prompts")
    names = [prompt or f"\0{i}" for i, prompt in enumerate(prompts)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def starc_per_prompt(reward: ArrayLike, truth: ArrayLike, prompt: ArrayLike, norm: int = 1) -> float:
    """STARC, in [0, 2], with each reward centred within its prompt instead of over all examples.

    `prompt` is an integer code an example `[n]`. In a contextual bandit (γ = 0) the value-adjusted canonicalisation
    of Skalse et al. 2024 takes out every `f(prompt)`, which no choice between completions depends on; Eq. 4 takes out
    only one constant. The scale is still one for all prompts. Prompts that occur once carry nothing and are left out;
    `Undefined` when no prompt occurs twice. Constants and `norm` as in `starc`.

    >>> starc_per_prompt([0, 1, 7, 8], [0, 1, 0, 1], [0, 0, 1, 1])
    0.0
    """
    first, second = two_rewards(reward, truth)
    code = np.asarray(prompt)
    if code.shape != first.shape or code.dtype.kind not in "iu":
        raise ValueError(
            f"prompt must be an integer code for each of {first.size} examples, got {code.dtype} of shape {code.shape}"
        )
    _, group, count = np.unique(code, return_inverse=True, return_counts=True)
    shared = count[group] > 1
    if not shared.any():
        raise Undefined(f"per-prompt STARC needs a prompt that occurs twice, got {code.size} that occur once each")
    group, first, second = group[shared], first[shared], second[shared]
    return _distance(
        _standardised(_centred_within(first, group), _spread_within(first, group), first, norm),
        _standardised(_centred_within(second, group), _spread_within(second, group), second, norm),
        norm,
    )


def affine_residual(reward: ArrayLike, truth: ArrayLike) -> float:
    """What no positive affine map of the truth explains of the reward: `Var(r)·(1 − max(ρ, 0)²)`, reward units².

    The paper's Eq. 10 (appendix C), `inf over a > 0, b of mean (r − a·r* − b)²`, in closed form with the population
    variance. The paper calls it STARC; it is not: halving the reward quarters it, swapping the two changes it, and a
    constant reward scores a perfect 0. Never compare it between methods whose rewards differ in scale. A constant
    truth explains nothing: `Var(r)`. `Undefined` below two examples.

    >>> affine_residual([0, 2, 4], [4, 2, 0]) == affine_residual([0, 2, 4], [1, 1, 1]) == 8 / 3
    True
    """
    first, second = two_rewards(reward, truth)
    explained = 0.0 if is_constant(first) or is_constant(second) else max(pearson(first, second), 0.0) ** 2
    return float(first.var() * (1.0 - explained))


def _centred_within(values: NDArray[np.float64], group: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return each value minus the mean of its group; `group` holds codes from 0."""
    total, count = np.bincount(group, weights=values), np.bincount(group)
    # a code whose examples were left out has no values, and no example asks for its mean
    return values - (total / np.maximum(count, 1))[group]


def _spread_within(values: NDArray[np.float64], group: NDArray[np.intp]) -> float:
    """Return the largest spread (max − min) within a group: exactly 0 for equal values, whose mean may be rounded."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    ranked = values[order]
    return float((np.maximum.reduceat(ranked, starts) - np.minimum.reduceat(ranked, starts)).max())


def _standardised(
    centred: NDArray[np.float64], spread: float, values: NDArray[np.float64], norm: int
) -> NDArray[np.float64]:
    """Return `centred` at length 1, or zero where the `spread` is nothing but the rounding of `values`."""
    if norm not in (1, 2):
        raise ValueError(f"norm must be 1 or 2, got {norm}")
    if is_rounding(float(spread), values):
        return np.zeros_like(centred)
    centred = centred / np.abs(centred).max()  # squares of 1e200 overflow, of 1e-200 vanish
    return centred / np.linalg.norm(centred, norm)


def _distance(first: NDArray[np.float64], second: NDArray[np.float64], norm: int) -> float:
    return float(np.linalg.norm(first - second, norm))
