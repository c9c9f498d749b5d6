"""A reward as a classifier of single texts and of pairs.

Here are its threshold, accuracy, balanced accuracy, F1, ROC-AUC, average precision and pair accuracy.

`score [n]` is the reward of each text, `label [n]` is +1 (good) or −1 (bad); leave unknown labels (0) out first. A text
is called good when `score > threshold`, compared in float64: between two neighbouring float32 scores the midpoint
itself is no float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairl_bench.errors import NotFinite, Undefined
from fairl_bench.science.agreement import vector

# Relative distance of an outer threshold from the extreme score: wide enough to survive a caller's cast to float32.
OUTSIDE = 1e-6

Maximised = Literal["accuracy", "balanced"]
"""What the best threshold maximises: accuracy, or balanced accuracy, in which both classes weigh the same."""


def best_threshold(score: ArrayLike, label: ArrayLike, maximise: Maximised = "accuracy") -> float:
    """The threshold that maximises accuracy or balanced accuracy, finite; `Undefined` unless both classes occur.

    That of balanced accuracy is where true and false positive rate are furthest apart (Youden 1950). Both numbers are
    constant between neighbouring distinct scores, so each such interval counts once, by its midpoint, and so do the
    two beyond the extremes, by a value just outside. Among equally good ones the most accurate is taken, then the
    nearest to the midpoint of the two class means, and the lower one at equal distance.

    >>> best_threshold([0, 1, 4, 9], [-1, -1, 1, 1])
    2.5
    >>> best_threshold([0, 1, 2, 3], [1, 1, -1, 1]) < 0, best_threshold([0, 1, 2, 3], [1, 1, -1, 1], "balanced")
    (True, 2.5)
    """
    scores, good = _labelled(score, label)
    _need_both(good, "a threshold")
    values, which = np.unique(scores, return_inverse=True)
    right = _gained(which, np.where(good, -1.0, 1.0))
    best = right == right.max()
    if maximise == "balanced":
        # each text weighs as much as there are texts of the other class
        balanced = _gained(which, np.where(good, -float(np.sum(~good)), float(np.sum(good))))
        best = balanced == balanced.max()
        best &= right == right[best].max()
    candidates = _candidates(values)[best]
    centre = (scores[good].mean() + scores[~good].mean()) / 2
    return float(candidates[np.argmin(np.abs(candidates - centre))])


def _gained(which: NDArray[np.intp], gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each threshold gains over one below all scores ``[distinct + 1]``, exactly: gains are whole numbers.

    Moving the threshold up past a value turns its bad texts right and its good texts wrong: ``gain [n]`` is what that
    is worth for each text, and ``which [n]`` the rank of its score.
    """
    return np.concatenate(([0.0], np.cumsum(np.bincount(which, weights=gain))))


def accuracy(score: ArrayLike, label: ArrayLike, threshold: float) -> float:
    """Share of texts on their label's side of the threshold, in [0, 1].

    >>> accuracy([0, 1, 2], [-1, 1, 1], threshold=1)
    0.6666666666666666
    """
    scores, good = _labelled(score, label)
    return float(np.mean(_called_good(scores, threshold) == good))


def balanced_accuracy(score: ArrayLike, label: ArrayLike, threshold: float) -> float:
    """Mean of the shares of good and of bad texts on their label's side of the threshold, in [0, 1].

    It is ½ for a reward that calls every text the same, however rare a class is. `Undefined` unless both classes occur.

    >>> balanced_accuracy([1, 2, 3, 4], [1, -1, 1, 1], threshold=1.5)
    0.3333333333333333
    """
    scores, good = _labelled(score, label)
    _need_both(good, "balanced accuracy")
    called = _called_good(scores, threshold)
    return float((np.mean(called[good]) + np.mean(~called[~good])) / 2)


def f1(score: ArrayLike, label: ArrayLike, threshold: float, positive: int = 1) -> float:
    """F1 in [0, 1] of the class `positive`: +1 (good) or −1 (bad).

    0 when that class is only called or only true, as in scikit-learn; `Undefined` when it is neither.
    """
    _check_class(positive)
    scores, good = _labelled(score, label)
    called, true = _called_good(scores, threshold) == (positive == 1), good == (positive == 1)
    either = np.count_nonzero(called) + np.count_nonzero(true)
    if either == 0:
        raise Undefined(f"F1 of class {positive:+d} needs a text with or called that label, got none of {scores.size}")
    return float(2 * np.count_nonzero(called & true) / either)


def auc(score: ArrayLike, label: ArrayLike) -> float:
    """ROC-AUC in [0, 1]: the chance that a good text outscores a bad one, ties counting half.

    `Undefined` unless both classes occur.

    >>> auc([1, 2, 2, 3], [-1, -1, 1, 1])
    0.875
    """
    scores, good = _labelled(score, label)
    _need_both(good, "AUC")
    above, below = scores[good], np.sort(scores[~good])
    # strictly outscored + outscored or tied = twice (wins + half the ties), in whole numbers
    twice_won = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
    return float(twice_won.sum() / (2 * above.size * below.size))


def average_precision(score: ArrayLike, label: ArrayLike, positive: int = 1) -> float:
    """Average precision in [0, 1] of the class `positive`: +1 (good, highest scores first) or −1 (bad, lowest first).

    The mean, over the texts of that class, of the share of the class among all texts that come no later, as
    scikit-learn defines it. A reward that says nothing has the share of the class. `Undefined` unless both classes
    occur.

    >>> average_precision([1, 2, 3, 4], [-1, 1, -1, 1]), average_precision([1, 2, 3, 4], [-1, 1, -1, 1], positive=-1)
    (0.8333333333333333, 0.8333333333333333)
    >>> average_precision([5, 5, 5, 5], [1, 1, 1, -1])
    0.75
    """
    _check_class(positive)
    scores, good = _labelled(score, label)
    _need_both(good, "average precision")
    last, true = np.sort(-positive * scores), np.sort(-positive * scores[good == (positive == 1)])
    found = np.searchsorted(true, true, "right")  # of the class no later than each of its texts, ties included
    return float(np.mean(found / np.searchsorted(last, true, "right")))


def pair_accuracy(margin: ArrayLike) -> float:
    """Share of pairs ranked right, in [0, 1], from margins `[n]`: `mean(Δ > 0) + ½·mean(Δ = 0)`.

    >>> pair_accuracy([1.5, 0, -2, 3])
    0.625
    """
    margins = vector(margin, "margin")
    twice_won = 2 * np.count_nonzero(margins > 0) + np.count_nonzero(margins == 0)
    return float(twice_won / (2 * margins.size))


def by_label(
    score: ArrayLike, label: NDArray[np.int8], cut: Callable[[], float], positive: int, truth: str
) -> Mapping[str, Callable[[], float]]:
    """Return the functions that measure single texts, by metric; F1 and average precision are of class `positive`.

    Where no label of the `truth` is known, each raises `Undefined` and says so.
    """
    asked: dict[str, Callable[[], float]] = {
        "threshold": cut,
        "accuracy": lambda: accuracy(score, label, cut()),
        "balanced_accuracy": lambda: balanced_accuracy(score, label, cut()),
        "f1": lambda: f1(score, label, cut(), positive),
        "auc": lambda: auc(score, label),
        "average_precision": lambda: average_precision(score, label, positive),
    }

    def none() -> float:
        raise Undefined(no_label(truth))

    return asked if len(label) else dict.fromkeys(asked, none)


def no_label(truth: str) -> str:
    """Return why nothing can be measured against a truth without labels."""
    return f"no label of the truth {truth!r} is known"


def _labelled(score: ArrayLike, label: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the scores, and whether each text is good."""
    scores, labels = vector(score, "score"), np.asarray(label)
    if labels.shape != scores.shape:
        raise ValueError(f"label must have one value for each of {scores.size} scores, got shape {labels.shape}")
    wrong = np.unique(labels[~np.isin(labels, (1, -1))])
    if wrong.size:
        raise ValueError(f"labels must be +1 or -1, got {wrong[:5].tolist()}; leave unknown ones (0) out first")
    return scores, labels == 1


def _check_class(positive: int) -> None:
    if positive not in (1, -1):
        raise ValueError(f"positive must be +1 or -1, got {positive}")


def _need_both(good: NDArray[np.bool_], measure: str) -> None:
    if good.all() or not good.any():
        raise Undefined(f"{measure} needs good and bad texts, got {good.size} all {'good' if good.all() else 'bad'}")


def _called_good(scores: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    if not np.isfinite(threshold):
        raise NotFinite(f"threshold must be finite, got {threshold}")
    return scores > np.float64(threshold)


def _candidates(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one threshold for each interval into which the sorted distinct `values [k]` cut the line: `[k + 1]`."""
    low, high = values[0], values[-1]
    lower, upper = values[:-1], values[1:]
    middle = (lower + upper) / 2
    # between adjacent floats the midpoint rounds to either; the lower one still has upper > threshold
    middle = np.where(middle < upper, middle, lower)
    first, last = low - _outside(low, high - low), high + _outside(high, high - low)
    return np.concatenate(([min(first, np.nextafter(low, -np.inf))], middle, [max(last, np.nextafter(high, np.inf))]))


def _outside(extreme: float, spread: float) -> float:
    """Return how far beyond an extreme score its threshold lies: little beside all scores, whatever their offset."""
    step = OUTSIDE * abs(extreme) + 1e-30  # the second term is for a score of 0
    return min(step, 1e-3 * spread) if spread else step
