"""Metrics of resampled examples, thousands of resamples at a time.

A resample of a bootstrap is a whole number an example, how often it was drawn.  Each function here takes what one
metric needs and returns that metric as a function of such weights: ``weights [b, n]`` to ``values [b, runs]``, one
column a reward, where weights of one give the metric itself (`classification`, `agreement`, `starc`).  Rewards share
the weights, so their differences are paired.  Where a resample leaves a metric undefined the value is NaN.

Weights and sums are float32: a draw is exact to about 1e-6, and the metric itself is computed elsewhere, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairl_bench.science.agreement import is_rounding

Weights = NDArray[np.float32]
Floats = NDArray[np.float64]
Statistic = Callable[[Weights], Floats]

CHUNK = 1 << 18  # weights at a time: a megabyte stays in a core's cache, which makes AUC and STARC thrice as fast
GROUPS = 200  # of the jackknife: the acceleration's own noise is then below 0.004


class Clustered(NamedTuple):
    """A statistic, and the cluster ``[n]`` (codes from 0) of each example that it is computed from."""

    of: Statistic
    cluster: NDArray[np.int64]


class Sample(NamedTuple):
    """What a metric is measured on: the examples, or the pairs, that its form asks for, all runs side by side."""

    score: Floats  # [runs, n]; of pairs their margins, of ordered ones positive where the truth is with them
    good: NDArray[np.bool_]  # [n] of examples whether the label is good
    value: Floats  # [n] of examples the truth's value
    threshold: Floats  # [runs] above which a score is called good; NaN where there is none

    @property
    def called(self) -> NDArray[np.bool_]:
        """Which examples each run calls good ``[runs, n]``."""
        return np.asarray(self.score > self.threshold[:, None])


On = Literal["labels", "values", "pairs", "ordered pairs"]
"""Examples whose label is known, examples whose value is known, all pairs, or pairs that the truth's value orders."""


class Form(NamedTuple):
    """A metric as a function of weights: what it is measured on, and the statistic of such a sample."""

    name: str
    on: On
    of: Callable[[Sample], Statistic]


class CompletionSample(NamedTuple):
    """The completions of one run of a re-alignment that a metric of it is measured on."""

    columns: Mapping[str, Floats]  # of paths [looks, n], a column a prompt; of prompts [samples]
    prompt: NDArray[np.int64]  # which prompt each column or sample completes, codes from 0
    budget: float = np.nan  # of paths the KL at which the run is measured, nats

    def of_prompts(self, name: str, of: Callable[[Floats], float]) -> Floats:
        """What ``of`` says of the samples of each prompt."""
        samples = [np.flatnonzero(self.prompt == code) for code in range(int(self.prompt.max(initial=-1)) + 1)]
        return np.array([of(self.columns[name][rows]) for rows in samples])


class CompletionForm(NamedTuple):
    """A metric of a re-alignment as a function of the weights of prompts, for one run.

    It is measured after all steps, on several samples of each ``prompts``, or at a KL, on the ``paths`` to it.
    """

    name: str
    on: Literal["prompts", "paths"]
    of: Callable[[CompletionSample], Statistic]


class Draws(NamedTuple):
    """One statistic: ``draws [resamples, runs]`` and, with one group of clusters left out, ``left [groups, runs]``."""

    draws: Floats
    left: Floats


def resampled(statistics: Sequence[Clustered], clusters: int, resamples: int, rng: np.random.Generator) -> list[Draws]:
    """Each statistic under the same resamples of whole clusters, drawn with replacement, and under a jackknife.

    The jackknife leaves out one of at most `GROUPS` groups of clusters at a time.
    """
    drawn = [_blocks(statistics, _counts(clusters, resamples, rng))]
    groups = min(clusters, GROUPS)
    drawn.append(_blocks(statistics, _without(clusters, groups)))
    return [Draws(*both) for both in zip(*drawn, strict=True)]


def _blocks(statistics: Sequence[Clustered], weights: Iterator[Weights]) -> list[Floats]:
    """Return every statistic for every block of cluster weights, stacked."""
    values_of_statistics: list[list[Floats]] = [[] for _ in statistics]
    for block in weights:
        spread: dict[int, Weights] = {}  # statistics over the same examples share their weights
        for values, (of, cluster) in zip(values_of_statistics, statistics, strict=True):
            if id(cluster) not in spread:
                spread[id(cluster)] = np.take(block, cluster, axis=1)
            values.append(of(spread[id(cluster)]))
    return [np.concatenate(values) for values in values_of_statistics]


def _counts(clusters: int, resamples: int, rng: np.random.Generator) -> Iterator[Weights]:
    """Return how often each cluster was drawn, in blocks ``[b, clusters]``."""
    rows = max(1, CHUNK // clusters)
    for start in range(0, resamples, rows):
        b = min(rows, resamples - start)
        drawn = rng.integers(0, clusters, (b, clusters)) + np.arange(0, b * clusters, clusters)[:, None]
        yield np.bincount(drawn.ravel(), minlength=b * clusters).reshape(b, clusters).astype(np.float32)


def _without(clusters: int, groups: int) -> Iterator[Weights]:
    """Return weights of one with one group of clusters at zero, in blocks."""
    group = np.arange(clusters) % groups
    rows = max(1, CHUNK // clusters)
    for start in range(0, groups, rows):
        yield (group != np.arange(start, min(start + rows, groups))[:, None]).astype(np.float32)


# --- the metrics


def accuracy(right: ArrayLike) -> Statistic:
    """Return the share of right examples; ``right [runs, n]`` in {0, 1}, or a half where one is half right."""
    rows = np.asarray(right, np.float32)
    return lambda weights: _ratio(_sums(weights, rows), _total(weights))


def mean(values: ArrayLike) -> Statistic:
    """Mean of ``values [runs, n]``."""
    rows = np.asarray(values, np.float32)
    return lambda weights: _ratio(_sums(weights, rows), _total(weights))


def balanced_accuracy(right: ArrayLike, good: ArrayLike) -> Statistic:
    """Return the mean of the shares of the ``good [n]`` and of the other examples that are right.

    ``right [runs, n]`` is in {0, 1}.
    """
    rows, up = np.atleast_2d(np.asarray(right, np.float32)), np.asarray(good, np.float32)
    down = 1 - up

    def of(weights: Weights) -> Floats:
        ups = _ratio(_sums(weights, rows * up), (weights @ up)[:, None])
        return (ups + _ratio(_sums(weights, rows * down), (weights @ down)[:, None])) / 2

    return of


def f1(called: ArrayLike, true: ArrayLike) -> Statistic:
    """F1 of the class that is ``called [runs, n]`` and ``true [n]``."""
    called_so, is_so = np.asarray(called, np.float32), np.asarray(true, np.float32)
    both = called_so * is_so

    def of(weights: Weights) -> Floats:
        return _ratio(2 * _sums(weights, both), _sums(weights, called_so) + (weights @ is_so)[:, None])

    return of


def auc(score: ArrayLike, good: ArrayLike) -> Statistic:
    """ROC-AUC of ``score [runs, n]`` against ``good [n]``, ties counting half."""
    scores, above = np.atleast_2d(np.asarray(score, np.float64)), np.asarray(good, bool)
    ups, downs = np.flatnonzero(above), np.flatnonzero(~above)
    orders = []
    for run in scores:
        order = downs[np.argsort(run[downs], kind="stable")]
        lower, upper = (np.searchsorted(run[order], run[ups], side) for side in ("left", "right"))
        orders.append((order, lower, upper, bool((lower != upper).any())))

    def of(weights: Weights) -> Floats:
        up = np.take(weights, ups, axis=1)
        won = np.empty((len(weights), len(orders)))
        below = np.zeros((len(weights), len(downs) + 1), np.float32)  # whole numbers below 2^24: exact
        for column, (order, lower, upper, ties) in enumerate(orders):
            np.cumsum(np.take(weights, order, axis=1), axis=1, out=below[:, 1:])
            beaten = np.take(below, lower, axis=1)
            if ties:
                beaten = (beaten + np.take(below, upper, axis=1)) / 2
            won[:, column] = np.einsum("bn,bn->b", beaten, up, dtype=np.float64)
        total = weights.sum(1, dtype=np.float64)
        ups_total = up.sum(1, dtype=np.float64)
        return _ratio(won, (ups_total * (total - ups_total))[:, None])

    return of


def average_precision(score: ArrayLike, true: ArrayLike) -> Statistic:
    """Average precision of the class ``true [n]`` by ``score [runs, n]``, the highest first, tied examples together."""
    scores, is_so = np.atleast_2d(np.asarray(score, np.float64)), np.asarray(true, bool)
    ups, downs = np.flatnonzero(is_so), np.flatnonzero(~is_so)
    orders = []
    for run in scores:
        up, down = (rows[np.argsort(-run[rows], kind="stable")] for rows in (ups, downs))
        last, wrong = (np.searchsorted(-run[rows], -run[up], "right") for rows in (up, down))
        ties = bool((last != np.arange(1, len(up) + 1)).any())
        orders.append((up, down, last - 1, wrong, ties))

    def of(weights: Weights) -> Floats:
        total = np.empty((len(weights), len(orders)))
        above = np.zeros((len(weights), len(downs) + 1), np.float32)  # whole numbers below 2^24: exact
        for column, (up, down, last, wrong, ties) in enumerate(orders):
            of_up = np.take(weights, up, axis=1)
            found = np.cumsum(of_up, axis=1)
            if ties:
                found = np.take(found, last, axis=1)
            np.cumsum(np.take(weights, down, axis=1), axis=1, out=above[:, 1:])
            every = np.take(above, wrong, axis=1)
            every += found
            np.maximum(every, 1, out=every)  # 0 where nothing is found either
            found /= every
            total[:, column] = np.einsum("bn,bn->b", found, of_up, dtype=np.float64)
        of_class = np.take(weights, ups, axis=1).sum(1, dtype=np.float64)
        both = weights.sum(1, dtype=np.float64) > of_class  # as AUC, it needs both classes
        return _ratio(total, (of_class * both)[:, None])

    return of


def margin_snr(margin: ArrayLike) -> Statistic:
    """Mean over standard deviation (ddof = 1) of ``margin [runs, n]``."""
    margins = np.atleast_2d(np.asarray(margin, np.float64))
    scale = np.abs(margins).max(1, keepdims=True)
    rows = np.divide(margins, scale, out=np.zeros_like(margins), where=scale > 0).astype(np.float32)
    squares = rows**2

    def of(weights: Weights) -> Floats:
        total = _total(weights)
        mean = _sums(weights, rows) / total
        variance = (_sums(weights, squares) / total - mean**2) * total / (total - 1)
        return _ratio(mean, np.sqrt(np.maximum(variance, 0)))

    return of


def starc(reward: ArrayLike, truth: ArrayLike) -> Statistic:
    """STARC (Eq. 4, l1) of ``reward [runs, n]`` from ``truth [n]``; 1 where one is constant, 0 where both are."""
    rewards, true = _scaled(reward), _scaled(truth)[0]

    def of(weights: Weights) -> Floats:
        total = weights.sum(1)
        truth_mean, truth_size = _l1(weights, total, true)
        values = np.empty((len(weights), len(rewards)))
        distance = np.empty_like(weights)
        standard = (true[None] - truth_mean[:, None]) * _inverse(truth_size)[:, None]
        for column, run in enumerate(rewards):
            mean, size = _l1(weights, total, run, distance)
            inverse = _inverse(size)
            np.multiply(run[None], inverse[:, None], out=distance)
            distance -= (mean * inverse)[:, None]
            distance -= standard
            np.abs(distance, out=distance)
            values[:, column] = np.einsum("bn,bn->b", distance, weights)
        return values

    return of


def epic(reward: ArrayLike, truth: ArrayLike) -> Statistic:
    """EPIC's Pearson distance ``sqrt((1 - rho) / 2)`` of ``reward [runs, n]`` from ``truth [n]``."""
    moments = _moments(reward, truth)

    def of(weights: Weights) -> Floats:
        _, rho = moments(weights)
        distance: Floats = np.sqrt((1 - np.clip(rho, -1, 1)) / 2)
        return distance

    return of


def affine_residual(reward: ArrayLike, truth: ArrayLike) -> Statistic:
    """Eq. 10, ``Var(r) (1 - max(rho, 0)^2)``, of ``reward [runs, n]``; ``Var(r)`` where the truth is constant."""
    moments = _moments(reward, truth)
    values = np.atleast_2d(np.asarray(reward, np.float64))
    scale = np.abs(values - values.mean(1, keepdims=True)).max(1)

    def of(weights: Weights) -> Floats:
        variance, rho = moments(weights)
        explained = np.maximum(np.nan_to_num(rho), 0) ** 2
        return np.asarray(scale**2 * variance * (1 - explained))

    return of


def at_kl(kl: ArrayLike, value: ArrayLike, budget: float, *, area: bool = False) -> Statistic:
    """`realignment.at_budget` of one run whose looks are the means of ``kl`` and ``value``, each ``[looks, n]``.

    With ``area`` it is `realignment.area`.  In a resample that ends before the budget, its last value stands: the run
    itself reaches it, and to leave such resamples out would leave out the noise of its KL.
    """
    path, height = np.asarray(kl, np.float32), np.asarray(value, np.float32)

    def of(weights: Weights) -> Floats:
        total = _total(weights)
        end, under = _walked(_ratio(_sums(weights, path), total), _ratio(_sums(weights, height), total), budget)
        return (under if area else end)[:, None]

    return of


def _walked(path: Floats, height: Floats, budget: float) -> tuple[Floats, Floats]:
    """Return where curves ``[b, looks]`` are at the budget, and their mean up to it."""
    reach, end, under = path[:, 0], height[:, 0], np.zeros(len(path))
    for look in range(1, path.shape[1]):
        goes = (path[:, look] > reach) & (reach < budget)
        to = np.minimum(path[:, look], budget)
        rise = np.divide(height[:, look] - end, path[:, look] - reach, out=np.zeros_like(end), where=goes)
        there = end + rise * (to - reach)
        under += np.where(goes, (to - reach) * (end + there) / 2, 0.0)
        reach, end = np.where(goes, to, reach), np.where(goes, there, end)
    return end, (under + np.maximum(budget - reach, 0.0) * end) / budget


def _moments(reward: ArrayLike, truth: ArrayLike) -> Callable[[Weights], tuple[Floats, Floats]]:
    """Return the variance of each scaled reward, and its correlation with the truth."""
    rewards, true = _scaled(reward), _scaled(truth)[0]
    squares, products = rewards**2, rewards * true

    def of(weights: Weights) -> tuple[Floats, Floats]:
        total = _total(weights)
        mean, truth_mean = _sums(weights, rewards) / total, (weights @ true)[:, None] / total
        variance = np.maximum(_sums(weights, squares) / total - mean**2, 0)
        truth_variance = np.maximum((weights @ true**2)[:, None] / total - truth_mean**2, 0)
        covariance = _sums(weights, products) / total - mean * truth_mean
        return variance, _ratio(covariance, np.sqrt(variance * truth_variance))

    return of


def _scaled(values: ArrayLike) -> Weights:
    """Return each row ``[runs, n]`` centred and divided by its largest magnitude; zeros where it is constant."""
    rows = np.atleast_2d(np.asarray(values, np.float64))
    centred = rows - rows.mean(1, keepdims=True)
    size = np.abs(centred).max(1, keepdims=True)
    varies = np.array([not is_rounding(float(far), row) for far, row in zip(size[:, 0], rows, strict=True)])[:, None]
    scaled: Floats = np.divide(centred, size, out=np.zeros_like(centred), where=varies)
    return scaled.astype(np.float32)


def _l1(weights: Weights, total: Weights, run: Weights, room: Weights | None = None) -> tuple[Weights, Weights]:
    """Return the weighted mean, and the weighted l1 length around it."""
    mean = weights @ run / total
    away = np.subtract(run[None], mean[:, None], out=room)
    np.abs(away, out=away)
    return mean, np.einsum("bn,bn->b", away, weights)


def _inverse(size: Weights) -> Weights:
    # what is left of a constant is rounding: it standardises to zero
    inverse: Weights = np.divide(1, size, out=np.zeros_like(size), where=size > 1e-6)
    return inverse


def _sums(weights: Weights, rows: Weights) -> Weights:
    """Return the weighted sum of each row ``[runs, n]``: ``[b, runs]``."""
    sums: Weights = (np.atleast_2d(rows) @ weights.T).T  # the other way round takes twenty times as long
    return sums


def _total(weights: Weights) -> Floats:
    total: Floats = weights.sum(1, dtype=np.float64)[:, None]
    return total


def _ratio(above: ArrayLike, below: ArrayLike) -> Floats:
    top, bottom = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    ratio: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return ratio


def _won(sample: Sample) -> Statistic:
    """`accuracy` of pairs, as `classification.pair_accuracy` is: a half where a pair ties."""
    return accuracy((sample.score > 0) + 0.5 * (sample.score == 0))


ACCURACY: Final = Form("accuracy", "labels", lambda sample: accuracy(sample.called == sample.good))
BALANCED_ACCURACY: Final = Form(
    "balanced accuracy", "labels", lambda sample: balanced_accuracy(sample.called == sample.good, sample.good)
)
F1_GOOD: Final = Form("f1 of good", "labels", lambda sample: f1(sample.called, sample.good))
F1_BAD: Final = Form("f1 of bad", "labels", lambda sample: f1(~sample.called, ~sample.good))
AUC: Final = Form("auc", "labels", lambda sample: auc(sample.score, sample.good))
AVERAGE_PRECISION_GOOD: Final = Form(
    "average precision of good", "labels", lambda sample: average_precision(sample.score, sample.good)
)
AVERAGE_PRECISION_BAD: Final = Form(
    "average precision of bad", "labels", lambda sample: average_precision(-sample.score, ~sample.good)
)
STARC: Final = Form("starc", "values", lambda sample: starc(sample.score, sample.value))
EPIC: Final = Form("epic", "values", lambda sample: epic(sample.score, sample.value))
AFFINE_RESIDUAL: Final = Form("affine residual", "values", lambda sample: affine_residual(sample.score, sample.value))
ORDERED_PAIRS: Final = Form("share of ordered pairs", "ordered pairs", _won)
RIGHT_PAIRS: Final = Form("share of right pairs", "pairs", _won)
MARGIN_SNR: Final = Form("margin snr", "pairs", lambda sample: margin_snr(sample.score))


def _at_kl(column: str, *, area: bool = False) -> Callable[[CompletionSample], Statistic]:
    """The mean of a column where a run's KL reaches the budget, or its mean up to there."""
    return lambda sample: at_kl(sample.columns["kl_k3"], sample.columns[column], sample.budget, area=area)


def _over_prompts(column: str, of: Callable[[Floats], float]) -> Callable[[CompletionSample], Statistic]:
    """The mean over prompts of what ``of`` says of a column of their samples."""
    return lambda sample: mean(sample.of_prompts(column, of))


TOXIC_AT_KL: Final = CompletionForm("toxic at a KL", "paths", _at_kl("toxic"))
TOXIC_TO_KL: Final = CompletionForm("toxic up to a KL", "paths", _at_kl("toxic", area=True))
TOXICITY_AT_KL: Final = CompletionForm("toxicity at a KL", "paths", _at_kl("toxicity"))
TRUE_REWARD_AT_KL: Final = CompletionForm("true reward at a KL", "paths", _at_kl("true_reward"))
TOXIC: Final = CompletionForm("toxic", "prompts", _over_prompts("toxic", np.mean))
ANY_TOXIC: Final = CompletionForm("any toxic", "prompts", _over_prompts("toxic", np.max))
TOXICITY: Final = CompletionForm("toxicity", "prompts", _over_prompts("toxicity", np.mean))
MOST_TOXICITY: Final = CompletionForm("most toxicity", "prompts", _over_prompts("toxicity", np.max))
TRUE_REWARD: Final = CompletionForm("true reward", "prompts", _over_prompts("true_reward", np.mean))

FORMS: Final[Mapping[str, Form | CompletionForm]] = {
    form.name: form
    for form in (
        *(TOXIC_AT_KL, TOXIC_TO_KL, TOXICITY_AT_KL, TRUE_REWARD_AT_KL),
        *(TOXIC, ANY_TOXIC, TOXICITY, MOST_TOXICITY, TRUE_REWARD),
        *(ACCURACY, BALANCED_ACCURACY, F1_GOOD, F1_BAD, AUC, AVERAGE_PRECISION_GOOD, AVERAGE_PRECISION_BAD),
        *(STARC, EPIC, AFFINE_RESIDUAL),
        *(ORDERED_PAIRS, RIGHT_PAIRS, MARGIN_SNR),
    )
}
"""The ways that are known here, by the names that a results folder keeps."""
