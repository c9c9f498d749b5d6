"""How much a reward pays for each of several objectives: weights that are recovered by regression, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.shares import resampled, slopes, within_prompts

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
_SAME = 1e-9  # the least eigenvalue of a correlation matrix: below, an objective is a sum of others


class Weights(NamedTuple):
    """The weights of ``k`` objectives ``[k]``, whose sizes add up to 1, with the ends of their 95 % intervals."""

    value: Floats
    low: Floats
    high: Floats
    explained: float  # share of the reward's variance within prompts that the objectives explain together


def objective_weights(
    reward: Floats,
    objectives: Floats,
    prompt: Rows,
    rng: np.random.Generator,
    *,
    names: Sequence[str],
    refits: Floats | None = None,
    resamples: int = 1000,
    cluster: Rows | None = None,
) -> Weights:
    """The weights of ``objectives [n, k]`` in a ``reward [n]``: least-squares slopes within prompts over their sizes.

    ``prompt [n]`` are codes from 0.  An interval is the value ± t standard errors, cut off at -1 and 1.  The error is
    that of resampled prompts, or of whole clusters of them (``cluster [n]``, codes from 0); with ``refits [m, n]``, the
    rewards of trainings on resampled pairs, the variance of their weights is added: only then does the interval stand
    for what the training would find with other pairs.  Degrees of freedom are Satterthwaite's.  Resamples keep the
    signs of the sizes, for with |.| the weight of an objective beside one that is not paid for could never reach 1.
    Raises `Undefined` where the reward or an objective does not vary within prompts, where two objectives are one
    there, and where fewer than four clusters have a prompt with two texts.
    """
    moments = within_prompts(reward, objectives, prompt, cluster)
    told = np.flatnonzero(moments.texts)
    if len(told) < 4:
        raise Undefined(f"weights need four prompts with at least two texts, got {len(told)}")
    draws = moments.weighted(resampled(told, len(moments.texts), rng, resamples))  # [1 + resamples, k + 1, k + 1]
    _refuse_what_does_not_vary(draws[0], names)
    slope = _slopes(draws)
    sign = np.sign(slope[0])
    if not sign.any():
        raise Undefined("no objective moves the reward")
    value, of_prompts = np.split(_over_their_sizes(slope, sign), [1])
    variance, freedom = of_prompts.var(0, ddof=1), np.full(len(sign), math.inf)
    if refits is not None and len(refits) > 1:
        whole = np.zeros(len(prompt), np.int64)
        products = np.concatenate([within_prompts(one, objectives, prompt, whole).products for one in refits])
        of_training = _over_their_sizes(_slopes(products), sign).var(0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # a training that never varies adds nothing
            ratio = (variance + of_training) ** 2 / of_training**2
        freedom = np.where(of_training > 0, ratio * (len(refits) - 1), math.inf)
        variance = variance + of_training
    half = _quantile(freedom) * np.sqrt(variance)
    explained = float(slope[0] @ draws[0, :-1, -1] / draws[0, -1, -1])
    return Weights(value[0], np.maximum(value[0] - half, -1), np.minimum(value[0] + half, 1), explained)


def _refuse_what_does_not_vary(products: Floats, names: Sequence[str]) -> None:
    """Raise `Undefined` for a reward or an objective that is equal within prompts, or objectives that are one."""
    if not products[-1, -1] > 0:
        raise Undefined("the reward is the same for all texts of each prompt")
    spread = np.diag(products)[:-1]
    if same := np.flatnonzero(spread <= 0).tolist():
        raise Undefined(f"objective {names[same[0]]!r} is the same for all texts of each prompt")
    norm = np.sqrt(spread)
    values, vectors = np.linalg.eigh(products[:-1, :-1] / norm[:, None] / norm)
    if values[0] < _SAME:
        together = [names[i] for i in np.flatnonzero(np.abs(vectors[:, 0]) > 1e-3).tolist()]
        raise Undefined(f"the objectives {' and '.join(map(repr, together))} say the same of these texts")


def _slopes(products: Floats) -> Floats:
    """The slopes of the reward on all objectives ``[draws, k]``."""
    return slopes(products, range(products.shape[-1] - 1))


def _over_their_sizes(slope: Floats, sign: Floats) -> Floats:
    """Slopes ``[m, k]`` divided by the sum of their sizes, by the signs ``[k]`` that these have as measured."""
    found: Floats = slope / (slope @ sign)[:, None]
    return found


def _quantile(freedom: Floats) -> Floats:
    """The 97.5 % quantile of Student's t ``[k]``."""
    from scipy.special import stdtrit

    found: Floats = stdtrit(np.minimum(freedom, 1e9), 0.975)
    return found
