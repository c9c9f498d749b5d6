"""How much a reward pays for each of several objectives: weights that are recovered by regression, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.shares import Moments, fitted_square, resampled, slopes, within_prompts

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
    columns = list(range(objectives.shape[1]))
    whole = moments.weighted(np.ones((1, len(moments.texts))))
    _refuse_what_does_not_vary(whole, names)
    slope = slopes(whole, columns)
    sign = np.sign(slope[0])
    if not sign.any():
        raise Undefined("no objective moves the reward")
    value = _over_their_sizes(slope, sign)[0]
    of_prompts = slopes(moments.weighted(resampled(told, len(moments.texts), rng, resamples)), columns)[1:]
    variance, freedom = _over_their_sizes(of_prompts, sign).var(0, ddof=1), np.full(len(columns), math.inf)
    if refits is not None and len(refits) > 1:
        of_training = _over_their_sizes(_slopes_of(refits, objectives, prompt), sign).var(0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # a training that never varies adds nothing
            freedom = np.where(
                of_training > 0, (variance + of_training) ** 2 / of_training**2 * (len(refits) - 1), math.inf
            )
        variance = variance + of_training
    half = _quantile(freedom) * np.sqrt(variance)
    explained = float((fitted_square(whole, columns, slope) / whole.of_reward)[0])
    return Weights(value, np.maximum(value - half, -1), np.minimum(value + half, 1), explained)


def _refuse_what_does_not_vary(whole: Moments, names: Sequence[str]) -> None:
    """Raise `Undefined` for a reward or an objective that is equal within prompts, or objectives that are one."""
    if not whole.of_reward[0] > 0:
        raise Undefined("the reward is the same for all texts of each prompt")
    spread = np.diag(whole.of_concepts[0])
    if same := np.flatnonzero(spread <= 0).tolist():
        raise Undefined(f"objective {names[same[0]]!r} is the same for all texts of each prompt")
    norm = np.sqrt(spread)
    correlation = whole.of_concepts[0] / norm[:, None] / norm
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < _SAME:
        together = [names[i] for i in np.flatnonzero(np.abs(vectors[:, 0]) > 1e-3).tolist()]
        raise Undefined(f"the objectives {' and '.join(map(repr, together))} say the same of these texts")


def _slopes_of(rewards: Floats, objectives: Floats, prompt: Rows) -> Floats:
    """The slopes of several rewards ``[m, n]`` on the objectives ``[m, k]``."""
    columns, everything = list(range(objectives.shape[1])), np.zeros(len(objectives), np.int64)
    moments = [within_prompts(reward, objectives, prompt, everything) for reward in rewards]
    return np.stack([slopes(one, columns)[0] for one in moments])


def _over_their_sizes(slope: Floats, sign: Floats) -> Floats:
    """Slopes ``[m, k]`` divided by the sum of their sizes, by the signs ``[k]`` that these have as measured."""
    found: Floats = slope / (slope @ sign)[:, None]
    return found


def _quantile(freedom: Floats) -> Floats:
    """The 97.5 % quantile of Student's t ``[k]``."""
    from scipy.special import stdtrit

    found: Floats = stdtrit(np.minimum(freedom, 1e9), 0.975)
    return found
