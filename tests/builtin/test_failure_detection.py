from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import average_precision_score, roc_auc_score

from fairl_bench.builtin.evaluators.failure_detection import FailureDetection
from fairl_bench.errors import DataError
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.suite.registry import Registry
from fairl_bench.values.data import GOLD, Examples, Pairs, Scored, Truth
from fairl_bench.values.records import Measure

EVERY = Registry(installed=False)
DATA = "pairs/test"


def scored(reward: Sequence[Sequence[float]], gold: Sequence[Sequence[float]]) -> Scored:
    """Pairs by their rewards and true values, preferred first; the value's sign is the label."""
    n = len(reward)
    examples = Pairs(tuple(f"good {i}" for i in range(n)), tuple(f"bad {i}" for i in range(n))).examples()
    value = np.array(gold, np.float64).ravel()
    label = np.where(np.isnan(value), 0, np.where(value > 0, 1, -1)).astype(np.int8)
    return Scored(examples.knowing({GOLD: Truth(value, label)}), np.array(reward, np.float64).ravel())


def evaluator(detector: Any = "margin") -> FailureDetection:
    spec = {"use": detector} if isinstance(detector, str) else detector
    built = EVERY.build(Evaluator, {"use": "failure-detection", "data": [DATA], "detector": spec})
    assert isinstance(built, FailureDetection)
    return built


def found(given: Scored, detector: Any = "margin") -> dict[str, Measure]:
    measures = list(evaluator(detector).evaluate({DATA: given}))
    assert tuple(one.metric for one in measures) == tuple(metric.name for metric in FailureDetection.metrics)
    assert {(one.data, one.truth) for one in measures} == {(DATA, GOLD)}
    return {one.metric: one for one in measures}


def by_gold(n: int = 80, seed: int = 0) -> tuple[Scored, np.ndarray, np.ndarray]:
    """Noisy rewards of pairs that the truth may order either way, their margins, and which are misranked."""
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=(n, 2))
    reward = gold + rng.normal(size=(n, 2))
    margin, right = reward[:, 0] - reward[:, 1], gold[:, 0] - gold[:, 1]
    return scored(reward.tolist(), gold.tolist()), margin, margin * right <= 0


def test_auroc_and_auprc_by_hand() -> None:
    """Margins 2, -1, 1, -3; the truth turns pairs 0 and 1 around, so that pair 0 and pair 3 are wrong.

    From the surest, -3, -1, 1, 2: wrong, right, right, wrong.  Of the four couples of a wrong and a right pair the
    first wrong one wins both and the last none: AUROC 1/2.  Precision at the wrong ones is 1 and 1/2: AUPRC 3/4.
    """
    given = scored([(2, 0), (0, 1), (1, 0), (0, 3)], [(0, 1), (0, 1), (1, 0), (1, 0)])
    measures = found(given)
    assert measures["detector_auroc"].value == pytest.approx(0.5, abs=1e-12)
    assert measures["detector_auprc"].value == pytest.approx(0.75, abs=1e-12)
    assert measures["misranked_share"].value == 0.5
    assert {one.n for one in measures.values()} == {4}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_against_scikit_learn(seed: int) -> None:
    given, margin, wrong = by_gold(seed=seed)
    measures = found(given)
    assert measures["detector_auroc"].value == pytest.approx(roc_auc_score(wrong, -margin), abs=1e-12)
    assert measures["detector_auprc"].value == pytest.approx(average_precision_score(wrong, -margin), abs=1e-12)
    assert measures["misranked_share"].value == pytest.approx(wrong.mean(), abs=1e-12)


def test_a_supervised_score_that_reads_the_labels_against_scikit_learn() -> None:
    given, _, wrong = by_gold()
    reward = given.reward.reshape(-1, 2)
    label = given.examples.truths[GOLD].label.reshape(-1, 2)
    centre = (given.reward[label.ravel() == 1].mean() + given.reward[label.ravel() == -1].mean()) / 2
    surely = -np.minimum(*(label * (reward - centre)).T)
    value = found(given, "supervised")["detector_auroc"].value
    assert value == pytest.approx(roc_auc_score(wrong, surely), abs=1e-12)


def test_where_every_preferred_text_is_the_better_one_the_margin_knows_all() -> None:
    """Misranked is then the same as a margin of at most 0."""
    given = scored([(1, 0), (0, 1), (2, 1), (0, 0)], [(1, 0)] * 4)
    measures = found(given)
    assert measures["detector_auroc"].value == measures["detector_auprc"].value == 1
    assert measures["misranked_share"].value == 0.5  # a tie is misranked


def test_chance_and_one_score_for_all_detect_nothing() -> None:
    given, _, wrong = by_gold(n=4000)
    # four standard errors of an AUROC of chance
    ones, zeros = wrong.sum(), (~wrong).sum()
    error = math.sqrt((ones + zeros + 1) / (12 * ones * zeros))
    assert found(given, "random")["detector_auroc"].value == pytest.approx(0.5, abs=4 * error)
    assert found(given, "all")["detector_auroc"].value == 0.5
    assert found(given, "all")["detector_auprc"].value == pytest.approx(wrong.mean(), abs=1e-12)


def test_chance_is_the_same_each_time() -> None:
    given, _, _ = by_gold()
    assert found(given, "random") == found(given, "random")


def test_pairs_without_a_right_order_are_left_out() -> None:
    told = [(1.0, 0.0), (0.0, 1.0), (2.0, 0.0)], [(1.0, 0.0), (1.0, 0.0), (0.0, 1.0)]
    more = [*told[0], (0.0, 5.0), (0.0, 7.0)], [*told[1], (1.0, 1.0), (math.nan, 1.0)]
    one, other = found(scored(*told)), found(scored(*more))
    assert one == other
    assert one["misranked_share"] == Measure(DATA, GOLD, "misranked_share", 2 / 3, 3)


def test_the_measures_do_not_change_with_the_scale_of_the_reward() -> None:
    given, _, _ = by_gold()
    assert found(given) == found(given._replace(reward=4 * given.reward))
    shifted = found(given._replace(reward=given.reward + 8.0))
    assert {name: one.value for name, one in found(given).items()} == pytest.approx(
        {name: one.value for name, one in shifted.items()}
    )


@pytest.mark.parametrize(("right", "wrong"), [(3, 0), (0, 3)])
def test_where_all_are_right_or_all_wrong_nothing_can_be_detected(right: int, wrong: int) -> None:
    measures = found(scored([(1, 0)] * right + [(0, 1)] * wrong, [(1, 0)] * 3))
    for name in ("detector_auroc", "detector_auprc"):
        assert math.isnan(measures[name].value)
        assert measures[name].note == f"needs pairs ranked right and pairs ranked wrong, got {wrong} wrong of 3"
    assert measures["misranked_share"].value == wrong / 3


def test_without_a_pair_of_right_order_every_number_is_undefined() -> None:
    measures = found(scored([(1, 0), (0, 1)], [(1, 1), (math.nan, 0)]))
    assert all(math.isnan(one.value) and one.note and one.n == 0 for one in measures.values())
    assert measures["misranked_share"].note == "no pair has a right order by the truth"


def test_data_without_pairs_or_without_truth_is_refused() -> None:
    examples = Examples(("a", "b"), truths={GOLD: Truth(np.array([1.0, 0.0]), np.array([1, -1], np.int8))})
    pairs = Scored(Pairs(("a",), ("b",)).examples(), np.array([1.0, 0.0]))
    for given in (Scored(examples, np.array([1.0, 0.0])), pairs):
        with pytest.raises(DataError, match="failure-detection needs pairs with the truth 'gold'; data 'pairs/test'"):
            found(given)


def test_it_needs_the_truth_and_the_data_that_it_names() -> None:
    assert evaluator().truths() == {GOLD}
    assert evaluator().needs() == {DATA}


@pytest.mark.parametrize("detector", ["laplace", "mc-dropout"])
def test_a_detector_of_the_last_layer_is_refused_before_anything_trains(detector: str) -> None:
    for spec in ({"use": detector}, {"use": "union", "of": [{"use": "margin"}, {"use": detector}]}):
        with pytest.raises(ValidationError, match=f"detector '{spec['use']}' reads the last layer"):
            evaluator(spec)


def test_a_detector_that_reads_labels_is_refused_numbers_alone() -> None:
    one = by_gold()[0]
    value = one.examples.truths[GOLD].value
    alone = Scored(one.examples.knowing({GOLD: Truth(value, np.zeros(len(value), np.int8))}), one.reward)
    assert found(alone) == found(one)  # margins need none
    with pytest.raises(
        DataError, match="detector 'supervised' reads the labels of the truth 'gold': data 'pairs/test'"
    ):
        found(alone, "supervised")


def test_misranked_pairs_may_be_those_of_one_objective_and_the_labels_those_of_another() -> None:
    given, margin, _ = by_gold()
    rng = np.random.default_rng(5)
    a, b = (rng.normal(size=160) for _ in range(2))
    truths = {
        f"gold:{name}": Truth(value, np.where(value > 0, 1, -1).astype(np.int8)) for name, value in (("a", a), ("b", b))
    }
    given = Scored(given.examples.knowing(truths), given.reward)
    detector = {"use": "supervised", "truth": "gold:b", "centre": "zero"}
    spec = {"use": "failure-detection", "data": [DATA], "detector": detector, "truth": "gold:a"}
    part = EVERY.build(Evaluator, spec)
    assert (part.truths(), part.measured()) == ({"gold:a", "gold:b"}, {"gold:a"})
    measures = {one.metric: one for one in part.evaluate({DATA: given}) if isinstance(one, Measure)}
    assert {one.truth for one in measures.values()} == {"gold:a"}
    wrong = margin * (a[::2] - a[1::2]) <= 0
    label, reward = np.where(b > 0, 1, -1), given.reward
    surely = -np.minimum(label[::2] * reward[::2], label[1::2] * reward[1::2])
    assert measures["misranked_share"].value == wrong.mean()
    assert measures["detector_auroc"].value == pytest.approx(roc_auc_score(wrong, surely))
