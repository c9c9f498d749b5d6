"""The majority: a constant reward whose sign is the more frequent label of the training texts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fairl_bench.builtin.evaluators.classification import Classification, Threshold
from fairl_bench.builtin.methods.majority import Majority
from fairl_bench.science.classification import auc, average_precision, pair_accuracy
from fairl_bench.testing import planted
from fairl_bench.values.data import GOLD, Examples, Floats, Labels, Scored, Truth
from fairl_bench.values.training import Inputs, Reward, Task

VECTORS = np.zeros((4, 1), np.float32)


def task(good: int, bad: int, unknown: int = 0) -> Task:
    """Training pairs with as many labels of each kind."""
    labels = np.array([1] * good + [-1] * bad + [0] * unknown, np.int8)
    half = len(labels) // 2
    known = planted().task
    rows = np.arange(half, dtype=np.int64)
    train = replace(known.train, preferred=rows, rejected=rows + half, gold=(labels[:half], labels[half:]), prompt=())
    return replace(known, train=train)


def score(reward: Reward, n: int = 4) -> Floats:
    return Majority().score(reward, Inputs(tuple("abcd")[:n], VECTORS[:n]))


@pytest.mark.parametrize(("good", "bad"), [(9, 1), (1, 9), (5, 5), (10, 0)])
def test_the_reward_is_the_log_odds_of_a_good_label_with_one_text_of_each_class_added(good: int, bad: int) -> None:
    found = score(Majority().fit(task(good, bad)))
    assert found == pytest.approx(math.log((good + 1) / (bad + 1)), abs=1e-6)  # float32
    assert len(set(found.tolist())) == 1


def test_unknown_labels_do_not_count() -> None:
    assert score(Majority().fit(task(9, 1, 6))).tolist() == score(Majority().fit(task(9, 1))).tolist()


@pytest.mark.parametrize("labels", [None, 0])
def test_without_labels_every_text_is_good(labels: int | None) -> None:
    without = planted().task
    gold: tuple[Labels, Labels] | None = None
    if labels is not None:
        gold = (np.zeros(len(without.train), np.int8), np.zeros(len(without.train), np.int8))
    found = Majority().fit(replace(without, train=replace(without.train, gold=gold)))
    assert (score(found) > 0).all()


def test_a_constant_reward_tells_no_texts_apart() -> None:
    found, label = score(Majority().fit(task(9, 1))), [1, 1, 1, -1]
    assert auc(found, label) == 0.5
    assert pair_accuracy(found[:2] - found[2:]) == 0.5
    assert (average_precision(found, label), average_precision(found, label, -1)) == (0.75, 0.25)


@pytest.mark.parametrize("maximise", ["accuracy", "balanced"])
@pytest.mark.parametrize(("good", "bad"), [(9, 1), (1, 9)])
def test_every_text_is_called_what_most_training_texts_are(maximise: str, good: int, bad: int) -> None:
    label = np.array([1] * good + [-1] * bad, np.int8)
    truth = {GOLD: Truth(label.astype(np.float64), label)}
    constant = Majority().fit(task(good, bad)).arrays["log_odds"]
    data = Scored(Examples(tuple(map(str, range(10))), truths=truth), np.full(10, float(constant)))
    threshold = Threshold(data="x", label=GOLD, maximise=maximise)  # type: ignore[arg-type]
    measures = Classification(data=("x",), label=GOLD, threshold=threshold).evaluate({"x": data})
    found = {one.metric: one.value for one in measures}
    assert (found["accuracy"], found["balanced_accuracy"]) == (0.9, 0.5)
    assert (constant > 0) == (good > bad)


def test_an_objective_may_be_counted() -> None:
    assert Majority().truths() == frozenset()  # labels of gold are given where there are any
    assert Majority(truth="gold:kindness").truths() == {"gold:kindness"}
    assert Majority.reference
