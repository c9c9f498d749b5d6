"""How a reward goes with a concept, group by group: the mean reward of texts that have little of it, more, and most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.shares import resampled

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
MOST: Final = 10
"""Groups of texts that one concept has at most."""
_TEXTS = 20  # that a group should have: fewer texts make fewer groups
_CLUSTERS = 5  # a resample of fewer is too rough for an interval


class DoseResponse(NamedTuple):
    """The mean reward of groups of texts ``[groups]`` that have more and more of one concept.

    Rewards are centred within prompts and in standard deviations within prompts; ``low`` and ``high`` are the 95 %
    interval of their mean, NaN for a group whose texts answer fewer than five prompts.
    """

    least: Floats  # of the concept in the group
    most: Floats
    concept: Floats  # its mean in the group
    texts: Rows
    reward: Floats
    low: Floats
    high: Floats


def dose_responses(
    reward: Floats,
    concepts: Mapping[str, Floats],
    prompt: Rows,
    rng: np.random.Generator,
    *,
    resamples: int = 1000,
    cluster: Rows | None = None,
) -> dict[str, DoseResponse]:
    """The mean of ``reward [n]`` by quantile of each concept ``[n]``, over texts that share their prompt with others.

    ``prompt [n]`` are codes from 0.  Intervals are percentiles of resamples of prompts, or of whole ``cluster [n]`` of
    them; the scale is resampled with the means.  A concept of which all those texts have the same has no groups.
    Raises `Undefined` where the reward does not vary within prompts.
    """
    several = np.bincount(prompt)[prompt] > 1 if len(prompt) else np.zeros(0, np.bool_)
    centred = _centred(reward, prompt)[several]
    if not (centred != 0).any():
        raise Undefined("a dose-response needs a reward that varies within prompts, got one that is equal in each")
    units, codes = np.unique((prompt if cluster is None else cluster)[several], return_inverse=True)
    draws = resampled(np.arange(len(units)), len(units), rng, resamples)
    # an unbiased variance: each prompt's mean was fitted, and a prompt's texts share what that costs
    free = 1 - 1 / np.bincount(prompt)[prompt[several]]
    variance = draws @ np.bincount(codes, centred**2) / (draws @ np.bincount(codes, free))
    scale = np.sqrt(np.where(variance > 0, variance, math.nan))
    found = {}
    for name, values in concepts.items():
        group = quantile_groups(values[several])
        if group.any():
            found[name] = _dose(centred, values[several], group, codes, draws, scale)
    return found


def quantile_groups(values: Floats, most: int = MOST) -> Rows:
    """The group of each of ``n`` values ``[n]``, codes from 0 in their order: at most ``most`` of about equal size.

    Equal values are in one group.  Zeros are a group of their own where they are at least ``1 / most`` of all, unless
    there may be two groups only, and values below and above.  Where there are fewer than 20 texts for each of so many
    groups, there are fewer groups.

    >>> quantile_groups(np.array([0, 0, 0, 0, 1, 2, 3, 9.0]), 2).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    >>> quantile_groups(np.arange(80.0), 4).tolist() == [0] * 20 + [1] * 20 + [2] * 20 + [3] * 20
    True
    """
    n = len(values)
    groups = min(most, max(2, n // _TEXTS))
    zero = values == 0
    between = (values < 0).any() and (values > 0).any()
    if zero.sum() * groups < n or (between and most < 3):
        zero[:] = False
    group, begin = np.zeros(n, np.int64), 0
    for part in (values < 0, zero, values > 0) if zero.any() else (np.ones(n, np.bool_),):
        if part.any():
            group[part] = begin + _parts(values[part], max(1, int(part.sum() * groups / n)))
            begin = int(group[part].max()) + 1
    return group


def _parts(values: Floats, groups: int) -> Rows:
    """The group of each value, by where the middle of those that equal it stands among all."""
    _, code, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    part = np.floor(groups * middle / len(values)).astype(np.int64)
    return np.unique(part, return_inverse=True)[1][code].astype(np.int64)  # numbered without gaps


def _centred(reward: Floats, prompt: Rows) -> Floats:
    """The reward less the mean of its prompt; rounding is 0."""
    texts = np.bincount(prompt)
    centred: Floats = reward - (np.bincount(prompt, reward) / np.maximum(texts, 1))[prompt]
    if np.abs(centred).max(initial=0) <= 1e-12 * np.abs(reward).max(initial=0):
        centred[:] = 0
    return centred


def _dose(centred: Floats, values: Floats, group: Rows, cluster: Rows, draws: Floats, scale: Floats) -> DoseResponse:
    """The groups of one concept; ``draws [1 + resamples, clusters]``, whose first counts each cluster once."""
    groups, clusters = int(group.max()) + 1, draws.shape[1]
    sums, texts = np.zeros((clusters, groups)), np.zeros((clusters, groups))
    np.add.at(sums, (cluster, group), centred)
    np.add.at(texts, (cluster, group), 1)
    counted = draws @ texts
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counted > 0, (draws @ sums) / counted, math.nan) / scale[:, None]
    known = (texts > 0).sum(0) >= _CLUSTERS
    ends = np.full((2, groups), math.nan)
    ends[:, known] = np.nanquantile(means[1:, known], [0.025, 0.975], axis=0)
    inside = [values[group == code] for code in range(groups)]
    least, most, concept = np.array([[one.min(), one.max(), one.mean()] for one in inside]).T
    low, high = ends
    return DoseResponse(least, most, concept, texts.sum(0).astype(np.int64), means[0], low, high)
