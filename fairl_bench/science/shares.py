"""How much of a reward each of several concepts explains: shares of its variance within prompts, which add up to one.

The shares are Shapley values of the explained variance (Lindeman, Merenda & Gold 1980; Grömping 2007), as Lipovetsky &
Conklin 2001 derive them: the mean gain of a concept over all orders in which concepts may enter a regression.  Here the
regression is fitted on one half of the prompts and its explained variance is measured on the other, so that a concept
which explains nothing has a share around 0, and not above it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Undefined

Floats = NDArray[np.float64]
MOST = 12
"""Concepts, or groups of them, that can enter: twice as many regressions for each further one."""
_ROUNDING = 1e-12  # of the largest value: a column that differs by less within prompts is constant there
_TINY = 1e-10  # of a column's mean square, added to it: a column that is constant in a resample gets a slope of 0


class Shares(NamedTuple):
    """The shares of groups of concepts ``[groups]``; with ``unexplained`` they sum to 1.

    ``draws [resamples, groups + 1]`` are the same numbers of resampled prompts, the unexplained share last.
    """

    explained: Floats
    unexplained: float
    draws: Floats

    def simultaneous(self, confidence: float = 0.95) -> Floats:
        """The lower and the upper bound of each explained share ``[2, groups]``, which hold for all of them at once.

        The width is the quantile of the greatest standardised deviation over the groups (max-t; Westfall & Young 1993).
        """
        draws = self.draws[:, :-1]
        error = draws.std(0, ddof=1)
        away = np.abs(draws - draws.mean(0)) / np.where(error > 0, error, math.inf)
        half = np.quantile(away.max(1, initial=0.0), confidence) * error
        return np.stack([self.explained - half, self.explained + half])

    def of_unexplained(self, confidence: float = 0.95) -> tuple[float, float]:
        """The interval of the unexplained share, from the quantiles of its resamples."""
        low, high = np.quantile(self.draws[:, -1], [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)


def shares(
    reward: Floats,
    concepts: Floats,
    prompt: NDArray[np.int64],
    groups: Sequence[Sequence[int]],
    rng: np.random.Generator,
    resamples: int = 1000,
    cluster: NDArray[np.int64] | None = None,
) -> Shares:
    """The share of the within-prompt variance of ``reward [n]`` that each group of ``concepts [n, k]`` explains.

    ``prompt [n]`` are codes from 0; ``groups`` name the columns of each group.  The prompts are divided into two halves
    at random; each half is explained by the regression of the other, and the two are averaged.  Resamples draw prompts
    within the halves.  Prompts of one ``cluster [n]`` (codes from 0; by default each prompt is one) stay together in
    both.  Raises `Undefined` where the reward does not vary within prompts, or fewer than four clusters have a prompt
    with two texts, and `ValueError` for more than `MOST` groups.
    """
    if len(groups) > MOST:
        raise ValueError(f"at most {MOST} groups of concepts can enter, got {len(groups)}; join or leave out some")
    moments = within_prompts(reward, concepts, prompt, cluster)
    told = np.flatnonzero(moments.texts)
    if len(told) < 4:
        raise Undefined(f"shares need four prompts with at least two texts, got {len(told)}")
    halves = np.array_split(rng.permutation(told), 2)
    weights = [resampled(half, len(moments.texts), rng, resamples) for half in halves]
    first, second = (moments.weighted(weight) for weight in weights)
    if not (first.of_reward[0] > 0 and second.of_reward[0] > 0):
        raise Undefined("shares need a reward that varies within prompts, got one that is equal in each")
    both = (_shapley(fitted, held_out, groups) for fitted, held_out in ((first, second), (second, first)))
    found = np.mean(list(both), 0)  # [1 + resamples, groups]
    whole = np.concatenate([found, 1 - found.sum(1, keepdims=True)], 1)
    return Shares(found[0], float(whole[0, -1]), whole[1:])


class Moments(NamedTuple):
    """Sums of products of what is centred within prompts, for each of several sets of prompts ``[sets]``.

    ``texts`` counts those that share their prompt with another text: the others say nothing.
    """

    of_concepts: Floats  # [sets, k, k]
    of_both: Floats  # [sets, k]
    of_reward: Floats  # [sets]
    texts: NDArray[np.int64]  # [sets]

    def weighted(self, weights: Floats) -> Moments:
        """The sums over sets, each counted as often as ``weights [resamples, sets]`` say."""
        concepts, both, reward = (np.tensordot(weights, column, 1) for column in self[:3])
        return Moments(concepts, both, reward, (weights @ self.texts).astype(np.int64))


def within_prompts(
    reward: Floats, concepts: Floats, prompt: NDArray[np.int64], cluster: NDArray[np.int64] | None = None
) -> Moments:
    """The sums of products of each cluster of prompts, by default of each prompt.

    What differs within no prompt by more than rounding is 0 there.
    """
    n = int(prompt.max(initial=-1)) + 1
    texts = np.bincount(prompt, minlength=n)
    table = np.column_stack([concepts, reward]).astype(np.float64)
    mean = np.stack([np.bincount(prompt, column, n) for column in table.T], 1) / np.maximum(texts, 1)[:, None]
    centred = table - mean[prompt]
    centred[:, np.abs(centred).max(0, initial=0) <= _ROUNDING * np.abs(table).max(0, initial=0)] = 0
    cluster = prompt if cluster is None else cluster
    sets = int(cluster.max(initial=-1)) + 1
    products = np.zeros((sets, table.shape[1], table.shape[1]))
    np.add.at(products, cluster, centred[:, :, None] * centred[:, None, :])
    told = np.bincount(cluster[texts[prompt] > 1], minlength=sets)
    return Moments(products[:, :-1, :-1], products[:, :-1, -1], products[:, -1, -1], told)


def resampled(units: NDArray[np.int64], n: int, rng: np.random.Generator, resamples: int) -> Floats:
    """How often each of ``n`` is drawn: each of the ``units`` once, then resamples of them ``[1 + resamples, n]``."""
    weights = np.zeros((1 + resamples, n))
    weights[0, units] = 1
    if len(units):
        drawn = units[rng.integers(len(units), size=(resamples, len(units)))]
        np.add.at(weights, (np.arange(1, 1 + resamples)[:, None], drawn), 1)
    return weights


def _shapley(fitted: Moments, held_out: Moments, groups: Sequence[Sequence[int]]) -> Floats:
    """The Shapley value of each group ``[sets, groups]``, of the variance that is explained in what is held out."""
    explained = np.stack([_explained(fitted, held_out, columns) for columns in _subsets(groups)], 1)
    masks, k = np.arange(2 ** len(groups)), len(groups)
    sizes = np.array([mask.bit_count() for mask in masks.tolist()])
    weight = np.array([math.factorial(size) * math.factorial(k - size - 1) / math.factorial(k) for size in range(k)])
    values = []
    for group in range(k):
        without = masks[masks >> group & 1 == 0]
        gain = explained[:, without | 1 << group] - explained[:, without]
        values.append(gain @ weight[sizes[without]])
    return np.stack(values, 1) if values else np.empty((len(explained), 0))


def _subsets(groups: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The columns of each subset of the groups; bit ``i`` of its number says whether group ``i`` is in it."""
    for mask in range(2 ** len(groups)):
        yield [column for i, columns in enumerate(groups) if mask >> i & 1 for column in columns]


def _explained(fitted: Moments, held_out: Moments, columns: Sequence[int]) -> Floats:
    """The share of the held-out variance that a regression on these columns explains ``[sets]``; it may be negative."""
    if not columns:
        return np.zeros(len(fitted.of_reward))
    slope = slopes(fitted, columns)
    square = fitted_square(held_out, columns, slope)
    found: Floats = (2 * (slope * held_out.of_both[:, columns]).sum(1) - square) / held_out.of_reward
    return found


def slopes(moments: Moments, columns: Sequence[int]) -> Floats:
    """The unpenalised least-squares slopes of the reward on these columns ``[sets, columns]``."""
    gram = moments.of_concepts[:, columns][:, :, columns]
    ridge = _TINY * np.maximum(np.einsum("sii->si", gram), np.finfo(np.float64).tiny)
    found: Floats = np.linalg.solve(gram + ridge[:, :, None] * np.eye(len(columns)), moments.of_both[:, columns, None])
    return found[..., 0]


def fitted_square(moments: Moments, columns: Sequence[int], slope: Floats) -> Floats:
    """The sum of squares of what slopes ``[sets, columns]`` predict ``[sets]``."""
    found: Floats = np.einsum("si,sij,sj->s", slope, moments.of_concepts[:, columns][:, :, columns], slope)
    return found


def grouped(correlation: Floats, above: float = 0.8) -> list[list[int]]:
    """The concepts that go together: linked where their correlation ``[k, k]`` is above this in size.

    >>> grouped(np.array([[1, 0.9, 0], [0.9, 1, 0.1], [0, 0.1, 1]]))
    [[0, 1], [2]]
    """
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(np.abs(correlation) > above, directed=False)
    return [np.flatnonzero(label == code).tolist() for code in dict.fromkeys(label.tolist())]
