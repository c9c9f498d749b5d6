"""How much of a reward each of several concepts explains: shares of its variance within prompts, which add up to one.

The shares are Shapley values of the explained variance (Lindeman, Merenda & Gold 1980; Grömping 2007), as Lipovetsky &
Conklin 2001 derive them: the mean gain of a concept over all orders in which concepts may enter a regression.  What a
regression explains is the mean product of the reward with what it predicts.  Here it is fitted on one half of the
prompts and predicts the other half, so that a concept which explains nothing has a share around 0, and not above it.

Of a regression that is fitted to the same prompts, that product is R².  One minus the squared error of the held-out
half, by the variance, would be R² there as well; across halves the two differ.  The product is unbiased for the R² of
all prompts there could be (so are cross-fitted quadratic forms: Walther et al. 2016; Kline, Saggio & Sølvsten 2020).
The other form counts against a concept what the fit misses, and squares it: of 200 pairs of ParaDetox with eight
concepts that explain half of the reward it has 67 % unexplained and bounds ten times as wide
(docs/reference/concepts.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import Undefined
from fairl_bench.science.subsets import gains, ridged

Floats = NDArray[np.float64]
MOST = 12
"""Concepts, or groups of them, that can enter: twice as many regressions for each further one."""
HALVINGS = 4
"""Divisions into two halves that are averaged: chance has less of a say, and more concepts can be ruled out."""
_ROUNDING = 1e-12  # of the largest value: a column that differs by less within prompts is constant there


class Shares(NamedTuple):
    """The shares of groups of concepts, each ``[1 + resamples, groups]``: those of all prompts first."""

    explained: Floats
    alone: Floats  # what the group explains as the only one
    beside: Floats  # what it adds to all others

    @property
    def unexplained(self) -> Floats:
        """The rest ``[1 + resamples]``: with the explained shares it is 1."""
        rest: Floats = 1 - self.explained.sum(1)
        return rest

    def error(self) -> Floats:
        """The standard error of each explained share ``[groups]``."""
        found: Floats = self.explained[1:].std(0, ddof=1)
        return found

    def reach(self, confidence: float = 0.95) -> float:
        """How many standard errors the simultaneous bounds lie away from the shares.

        The quantile of the greatest standardised deviation over the groups (max-t; Westfall & Young 1993).
        """
        draws, error = self.explained[1:], self.error()
        away = np.abs(draws - draws.mean(0)) / np.where(error > 0, error, np.inf)
        return float(np.quantile(away.max(1, initial=0.0), confidence))

    def simultaneous(self, confidence: float = 0.95) -> Floats:
        """The lower and the upper bound of each explained share ``[2, groups]``, which hold for all of them at once."""
        half = self.reach(confidence) * self.error()
        return np.stack([self.explained[0] - half, self.explained[0] + half])


def percentiles(draws: Floats, confidence: float = 0.95) -> Floats:
    """Numbers of all prompts, and the bounds that each has by itself ``[3, ...]``, of ``[1 + resamples, ...]``.

    >>> percentiles(np.array([0.5, 0.0, 1.0]), confidence=0.5).tolist()
    [0.5, 0.25, 0.75]
    """
    tail = (1 - confidence) / 2
    return np.concatenate([draws[:1], np.quantile(draws[1:], [tail, 1 - tail], axis=0)])


class Moments(NamedTuple):
    """Sums of products of what is centred within prompts, for each of several sets of prompts ``[sets]``.

    ``texts`` counts those that share their prompt with another text: the others say nothing.
    """

    products: Floats  # [sets, k + 1, k + 1] of k concepts and, last, of the reward
    texts: NDArray[np.int64]  # [sets]

    def weighted(self, weights: Floats, sets: NDArray[np.int64] | slice = slice(None)) -> Floats:
        """The sums over these sets ``[draws, k + 1, k + 1]``, each as often as ``weights [draws, sets]`` say."""
        found: Floats = np.tensordot(weights[:, sets], self.products[sets], 1)
        return found

    def of(self, columns: Sequence[int]) -> Moments:
        """Those of these concepts alone, and of the reward."""
        kept = [*columns, -1]
        return Moments(self.products[:, kept][:, :, kept], self.texts)

    def rests_on(self) -> Floats:
        """The number of sets that the variance of each column rests on ``[k + 1]``, 0 for a constant one.

        Kish's effective number, ``(Σ s)² / Σ s²`` of its sums of squares: that of as many equal sets.
        """
        square = np.einsum("sii->si", self.products)
        return np.asarray(square.sum(0) ** 2 / np.maximum((square**2).sum(0), np.finfo(np.float64).tiny))


def within_prompts(
    reward: Floats, concepts: Floats, prompt: NDArray[np.int64], cluster: NDArray[np.int64] | None = None
) -> Moments:
    """The sums of products of ``concepts [n, k]`` and ``reward [n]`` of each cluster of prompts, by default of each.

    ``prompt [n]`` and ``cluster [n]`` are codes from 0.
    """
    texts = np.bincount(prompt)
    centred = centred_within(np.column_stack([concepts, reward]), prompt)
    cluster = prompt if cluster is None else cluster
    sets = int(cluster.max(initial=-1)) + 1
    products = np.zeros((sets, centred.shape[1], centred.shape[1]))
    np.add.at(products, cluster, centred[:, :, None] * centred[:, None, :])
    return Moments(products, np.bincount(cluster[texts[prompt] > 1], minlength=sets))


def centred_within(table: Floats, prompt: NDArray[np.int64]) -> Floats:
    """The columns of a table ``[n, k]`` less their means of each prompt.

    One that differs within no prompt by more than rounding is 0.
    """
    texts = np.maximum(np.bincount(prompt), 1)
    mean = np.stack([np.bincount(prompt, column) for column in table.T], 1) / texts[:, None]
    centred: Floats = table - mean[prompt]
    centred[:, np.abs(centred).max(0, initial=0) <= _ROUNDING * np.abs(table).max(0, initial=0)] = 0
    return centred


def resampled(units: NDArray[np.int64], n: int, rng: np.random.Generator, resamples: int) -> Floats:
    """How often each of ``n`` is drawn: each of the ``units`` once, then resamples of them ``[1 + resamples, n]``."""
    weights = np.zeros((1 + resamples, n))
    weights[0, units] = 1
    if len(units):
        drawn = units[rng.integers(len(units), size=(resamples, len(units)))]
        np.add.at(weights, (np.arange(1, 1 + resamples)[:, None], drawn), 1)
    return weights


class Halves(NamedTuple):
    """Sums of products of prompts that are divided into two halves, in several ways."""

    ways: Sequence[tuple[Floats, Floats]]  # of each, its two halves [draws, k + 1, k + 1]
    whole: Floats  # [draws, k + 1, k + 1] of all prompts


def halved(moments: Moments, draws: Floats, rng: np.random.Generator) -> Halves:
    """Divide the sets of `moments` into halves at random, `HALVINGS` times.

    ``draws [1 + resamples, sets]`` are weights of the sets, those of `resampled`; they are the same in every division.
    Raises `Undefined` where the reward does not vary within prompts, or fewer than four sets have a prompt with two
    texts.
    """
    told = np.flatnonzero(moments.texts)
    if len(told) < 4:
        raise Undefined(f"shares need four prompts with at least two texts, got {len(told)}")
    whole = moments.weighted(draws)
    if not whole[0, -1, -1] > 0:
        raise Undefined("shares need a reward that varies within prompts, got one that is equal in each")
    divided = (np.array_split(rng.permutation(told), 2) for _ in range(HALVINGS))
    return Halves([(moments.weighted(draws, one), moments.weighted(draws, other)) for one, other in divided], whole)


def shares(halves: Halves, groups: Sequence[Sequence[int]]) -> Shares:
    """The share of the reward's variance within prompts that each group of columns explains.

    Each half is explained by the regression of the other, and all ways of dividing the prompts are averaged.  In a
    resample whose prompts have equal rewards nothing is explained.  Raises `ValueError` for more than `MOST` groups.
    """
    if len(groups) > MOST:
        raise ValueError(f"at most {MOST} groups of concepts can enter, got {len(groups)}; join or leave out some")
    both = [gains(one, other, groups) for way in halves.ways for one, other in (way, way[::-1])]
    whole = len(halves.ways) * variance(halves.whole[:, -1, -1])[:, None]
    return Shares(*(np.sum(kind, 0) / whole for kind in zip(*both, strict=True)))


def variance(square: Floats) -> Floats:
    """What shares are of: the sums of squares, or infinity where there is nothing to explain."""
    return np.asarray(np.where(square > 0, square, np.inf), np.float64)


def slopes(products: Floats, columns: Sequence[int]) -> Floats:
    """The unpenalised least-squares slopes of the reward, the last column, on these columns ``[draws, columns]``."""
    gram, both = products[:, columns][:, :, columns], products[:, columns, -1, None]
    return np.asarray(np.linalg.solve(ridged(gram), both)[..., 0], np.float64)


def grouped(correlation: Floats, above: float = 0.8) -> list[list[int]]:
    """The concepts that go together: linked where their correlation ``[k, k]`` is above this in size.

    >>> grouped(np.array([[1, 0.9, 0], [0.9, 1, 0.1], [0, 0.1, 1]]))
    [[0, 1], [2]]
    """
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(np.abs(correlation) > above, directed=False)
    return [np.flatnonzero(label == code).tolist() for code in dict.fromkeys(label.tolist())]
