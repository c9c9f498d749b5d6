from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    roc_auc_score,
)

from fairl_bench.builtin.evaluators.classification import Classification, Threshold
from fairl_bench.builtin.evaluators.fidelity import Fidelity
from fairl_bench.errors import DataError
from fairl_bench.science.starc import affine_residual, starc, starc_per_prompt
from fairl_bench.values.data import GOLD, PREFERRED, Examples, Pairs, Scored, Truth
from fairl_bench.values.records import Measure


def texts(reward: list[float], gold: list[float], *, prompt: tuple[str, ...] = ()) -> Scored:
    """Texts outside pairs; a gold value of NaN is unknown."""
    value = np.array(gold, np.float64)
    label = np.where(np.isnan(value), 0, np.where(value > 0, 1, -1)).astype(np.int8)
    names = tuple(f"text {i}" for i in range(len(reward)))
    return Scored(Examples(names, prompt, truths={GOLD: Truth(value, label)}), np.array(reward, np.float64))


def pairs(preferred: list[float], rejected: list[float], prompts: tuple[str, ...] = ()) -> Scored:
    n = len(preferred)
    examples = Pairs(tuple(f"good {i}" for i in range(n)), tuple(f"bad {i}" for i in range(n)), prompts).examples()
    return Scored(examples, np.array([preferred, rejected], np.float64).T.ravel())


def drawn(seed: int, n: int = 200) -> Scored:
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=n)
    return texts((gold + rng.normal(size=n)).tolist(), gold.tolist())


def by_metric(measures: Any, data: str) -> Mapping[str, Measure]:
    chosen = [one for one in measures if one.data == data]
    found = {one.metric: one for one in chosen}
    assert len(found) == len(chosen)
    return found


TRAIN, TEST = pairs([2.0, 3.0, 0.5], [0.0, 1.0, 1.5]), pairs([1.0, 2.5, 0.2, 3.0], [0.4, 2.0, 0.9, 3.0])


# --- classification


def test_classification_by_hand() -> None:
    """Train: good 2, 3, 0.5, bad 0, 1, 1.5; above 1.75 five of six are right, more than elsewhere."""
    measures = list(Classification(data=("pairs/test",)).evaluate({"pairs/train": TRAIN, "pairs/test": TEST}))
    found = by_metric(measures, "pairs/test")
    assert {name: (one.value, one.n) for name, one in found.items()} == {
        "threshold": (1.75, 8),
        "accuracy": (pytest.approx(4 / 8), 8),  # right: good 2.5, 3; bad 0.4, 0.9
        "balanced_accuracy": (pytest.approx((2 / 4 + 2 / 4) / 2), 8),
        "f1": (pytest.approx(2 * 2 / (4 + 4)), 8),  # called good: 2.5, 3, 2, 3, of which two are
        # above 0.4: 1, 2.5, 3; above 0.9: 1, 2.5, 3; above 2: 2.5, 3; above 3: a tie
        "auc": (pytest.approx((3 + 3 + 2 + 0.5) / 16), 8),
        # down to each good text: 3 and the tie with it; 2.5; 1; 0.2
        "average_precision": (pytest.approx((1 / 2 + 2 / 3 + 3 / 5 + 4 / 8) / 4), 8),
        "pair_accuracy": (pytest.approx((2 + 0.5) / 4), 4),
        "margin_snr": (pytest.approx(np.mean([0.6, 0.5, -0.7, 0]) / np.std([0.6, 0.5, -0.7, 0], ddof=1)), 4),
    }
    assert {one.truth for one in measures} == {PREFERRED}


@pytest.mark.parametrize("positive", ["good", "bad"])
def test_classification_equals_scikit_learn(positive: Any) -> None:
    train, test = drawn(0), drawn(1)
    evaluator = Classification(
        data=("shifted",), label=GOLD, threshold=Threshold(data="b", label=GOLD), positive=positive
    )
    found = by_metric(evaluator.evaluate({"b": train, "shifted": test}), "shifted")
    cut = found["threshold"].value
    label, called = test.examples.truths[GOLD].label, np.where(test.reward > cut, 1, -1)
    assert found["accuracy"].value == pytest.approx(accuracy_score(label, called), abs=1e-12)
    expected = f1_score(label, called, pos_label=1 if positive == "good" else -1)
    assert found["f1"].value == pytest.approx(expected, abs=1e-12)
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(label, called), abs=1e-12)
    assert found["auc"].value == pytest.approx(roc_auc_score(label, test.reward), abs=1e-12)
    side = 1 if positive == "good" else -1
    precision = average_precision_score(label == side, side * test.reward)
    assert found["average_precision"].value == pytest.approx(precision, abs=1e-12)
    # the threshold is the best there is on the data that it was chosen on
    of_train = train.examples.truths[GOLD].label
    best = max(accuracy_score(of_train, np.where(train.reward > t, 1, -1)) for t in [*train.reward, -1e9])
    assert accuracy_score(of_train, np.where(train.reward > cut, 1, -1)) == best
    assert "pair_accuracy" not in found


def test_the_threshold_comes_from_other_data_and_another_label() -> None:
    judged = TRAIN.examples.knowing({GOLD: Truth(np.arange(6.0), np.array([1, 1, 1, 1, -1, -1], np.int8))})
    data = {"pairs/train": Scored(judged, np.array([8.0, 5.0, 7.0, 6.0, 1.0, 2.0])), "shifted": drawn(1)}

    def cut(label: Any) -> float:
        evaluator = Classification(data=("shifted",), label=GOLD, threshold=Threshold(label=label))
        assert evaluator.needs() == {"pairs/train", "shifted"}
        assert evaluator.truths() == {GOLD, label}
        return by_metric(evaluator.evaluate(data), "shifted")["threshold"].value

    assert cut(GOLD) == 3.5  # between 2 and 5: all six right
    assert cut(PREFERRED) == 6.5  # preferred 8, 7, 1, rejected 5, 6, 2: all but one right


def test_unknown_labels_are_ignored() -> None:
    known = texts([0.0, 1.0, 2.0, 3.0], [-1.0, 1.0, -1.0, 1.0])
    blurred = texts([9.0, 0.0, 1.0, -9.0, 2.0, 3.0], [math.nan, -1.0, 1.0, math.nan, -1.0, 1.0])
    evaluator = Classification(data=("x",), label=GOLD, threshold=Threshold(data="x", label=GOLD))
    assert list(evaluator.evaluate({"x": blurred})) == list(evaluator.evaluate({"x": known}))
    found = [one for one in Fidelity(data=("x",)).evaluate({"x": blurred}) if one.metric != "starc_per_prompt"]
    assert found == [one for one in Fidelity(data=("x",)).evaluate({"x": known}) if one.metric != "starc_per_prompt"]
    assert {one.n for one in found} == {4}


def test_one_class_has_no_auc_but_its_accuracy_is_recall() -> None:
    toxic = texts([0.0, 1.0, 5.0, 2.0], [-1.0, -1.0, -1.0, -1.0])
    evaluator = Classification(data=("civil",), label=GOLD, positive="bad")
    found = by_metric(evaluator.evaluate({"pairs/train": TRAIN, "civil": toxic}), "civil")
    for metric, name in (
        *(("auc", "AUC"), ("balanced_accuracy", "balanced accuracy"), ("average_precision", "average precision")),
    ):
        assert math.isnan(found[metric].value)
        assert found[metric].note == f"{name} needs good and bad texts, got 4 all bad"
    assert found["threshold"].value == 1.75
    assert found["accuracy"].value == 2 / 4  # below 1.75
    assert found["accuracy"].note == ""


def test_without_a_threshold_accuracy_and_f1_say_why_and_auc_stands() -> None:
    bad = texts([0.0, 1.0], [-1.0, -1.0])
    evaluator = Classification(data=("x",), label=GOLD, threshold=Threshold(data="civil", label=GOLD))
    found = by_metric(evaluator.evaluate({"civil": bad, "x": drawn(0)}), "x")
    for metric in ("threshold", "accuracy", "balanced_accuracy", "f1"):
        assert math.isnan(found[metric].value)
        assert found[metric].note == "no threshold on civil: a threshold needs good and bad texts, got 2 all bad"
    assert not math.isnan(found["auc"].value)


def test_a_threshold_may_maximise_balanced_accuracy() -> None:
    """Nine texts of ten are good, two of them score below the bad one: by accuracy all are called good."""
    mostly_good = texts([0.0, 0.1, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6, 3.7, 1.0], [*[1.0] * 9, -1.0])

    def found(maximise: Any) -> Mapping[str, Measure]:
        threshold = Threshold(data="x", label=GOLD, maximise=maximise)
        evaluator = Classification(data=("x",), label=GOLD, threshold=threshold)
        return by_metric(evaluator.evaluate({"x": mostly_good}), "x")

    by_accuracy, balanced = found("accuracy"), found("balanced")
    assert by_accuracy["threshold"].value < 0
    assert (by_accuracy["accuracy"].value, by_accuracy["balanced_accuracy"].value) == (0.9, 0.5)
    assert balanced["threshold"].value == pytest.approx(2.05)
    assert (balanced["accuracy"].value, balanced["balanced_accuracy"].value) == (0.8, pytest.approx((7 / 9 + 1) / 2))
    assert by_accuracy["auc"] == balanced["auc"]


def test_where_no_threshold_is_chosen_what_needs_one_is_not_a_number_with_the_reason() -> None:
    evaluator = Classification(data=("x",), label=GOLD, threshold=Threshold(maximise="none"))
    assert (evaluator.needs(), evaluator.truths()) == ({"x"}, {GOLD})  # nothing is read for a threshold
    found = by_metric(evaluator.evaluate({"x": drawn(0)}), "x")
    undefined = {name for name, one in found.items() if math.isnan(one.value)}
    assert undefined == set(evaluator.not_measured()) == {"threshold", "accuracy", "balanced_accuracy", "f1"}
    reason = "no threshold is chosen (maximise: none), and a recovered reward has no zero of its own"
    assert {found[name].note for name in undefined} == {reason}
    whole = Classification(data=("x",), label=GOLD, threshold=Threshold(data="x", label=GOLD))
    assert whole.not_measured() == {}
    assert found["auc"] == by_metric(whole.evaluate({"x": drawn(0)}), "x")["auc"]


def test_every_data_set_is_measured_at_one_threshold() -> None:
    evaluator = Classification(data=("pairs/train", "pairs/test"))
    measures = list(evaluator.evaluate({"pairs/train": TRAIN, "pairs/test": TEST}))
    assert {one.value for one in measures if one.metric == "threshold"} == {1.75}
    assert by_metric(measures, "pairs/train")["accuracy"].value == pytest.approx(5 / 6)


def test_a_missing_truth_is_refused_with_what_there_is() -> None:
    data = {"pairs/train": TRAIN, "pairs/test": TEST, "shifted": drawn(0)}
    with pytest.raises(DataError) as caught:
        list(Classification(data=("pairs/test",), label=GOLD).evaluate(data))
    assert str(caught.value) == "data 'pairs/test' has no truth 'gold' (it has: preferred); give its source a 'gold:'"
    with pytest.raises(DataError) as caught:
        list(Classification(data=("shifted",)).evaluate(data))
    assert str(caught.value) == "data 'shifted' has no truth 'preferred' (it has: gold)"
    with pytest.raises(DataError, match="data 'pairs/test' has no truth 'gold'; give its source a 'gold:'"):
        list(Fidelity(data=("pairs/test",)).evaluate(data))


def test_no_data_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"(?s)data.*input_value=\(\)"):
        Classification(data=())


# --- fidelity


def test_fidelity_equals_scipy() -> None:
    scored = drawn(2)
    true, found = scored.examples.truths[GOLD].value, by_metric(Fidelity(data=("x",)).evaluate({"x": scored}), "x")
    rho = stats.pearsonr(scored.reward, true).statistic
    assert found["epic"].value == pytest.approx(math.sqrt((1 - rho) / 2), abs=1e-12)
    assert found["spearman"].value == pytest.approx(stats.spearmanr(scored.reward, true).statistic, abs=1e-12)
    assert found["kendall"].value == pytest.approx(stats.kendalltau(scored.reward, true).statistic, abs=1e-12)
    fitted = stats.linregress(true, scored.reward)
    residual = scored.reward - fitted.slope * true - fitted.intercept
    assert fitted.slope > 0
    assert found["affine_residual"].value == pytest.approx((residual**2).mean(), abs=1e-12)
    standard = [(r - r.mean()) / np.abs(r - r.mean()).sum() for r in (scored.reward, true)]
    assert found["starc"].value == pytest.approx(np.abs(standard[0] - standard[1]).sum(), abs=1e-12)
    assert {(one.truth, one.n) for one in found.values()} == {(GOLD, 200)}


def test_fidelity_by_hand_of_a_reward_turned_round() -> None:
    turned = texts([3.0, 2.0, 1.0], [1.0, 2.0, 3.0], prompt=("p", "p", "p"))
    found = by_metric(Fidelity(data=("x",)).evaluate({"x": turned}), "x")
    assert {name: one.value for name, one in found.items()} == {
        "starc": pytest.approx(2),
        "starc_per_prompt": pytest.approx(2),
        "affine_residual": pytest.approx(2 / 3),
        "epic": pytest.approx(1),
        "spearman": pytest.approx(-1),
        "kendall": pytest.approx(-1),
    }


def test_fidelity_to_the_preference_of_pairs() -> None:
    found = by_metric(Fidelity(data=("x",), truth=PREFERRED).evaluate({"x": TEST}), "x")
    role = TEST.examples.role.astype(float)
    assert found["starc"].value == starc(TEST.reward, role)
    assert found["affine_residual"].value == affine_residual(TEST.reward, role)
    assert Fidelity(data=("x",), truth=PREFERRED).truths() == {PREFERRED}


def test_per_prompt_starc_ignores_what_the_prompt_adds() -> None:
    prompts = ("p", "p", "q", "q", "r")
    gold = [1.0, -1.0, 0.5, -0.5, 7.0]
    shifted = texts([1.0 + 5, -1.0 + 5, 0.5 - 9, -0.5 - 9, 0.0], gold, prompt=prompts)
    found = by_metric(Fidelity(data=("x",)).evaluate({"x": shifted}), "x")
    assert found["starc_per_prompt"].value == pytest.approx(0, abs=1e-12)
    assert found["starc"].value > 0.5


def test_a_text_without_a_prompt_stands_alone() -> None:
    """Two texts with an empty prompt are no prompt that occurs twice."""
    prompts = ("p", "p", "", "")
    scored = texts([1.0, 0.0, 0.0, 9.0], [2.0, -1.0, 5.0, -5.0], prompt=prompts)
    found = by_metric(Fidelity(data=("x",)).evaluate({"x": scored}), "x")["starc_per_prompt"]
    expected = starc_per_prompt(scored.reward, scored.examples.truths[GOLD].value, np.array([0, 0, 1, 2]))
    assert found.value == expected == 0.0
    assert found.n == 4


@pytest.mark.parametrize(
    ("prompt", "note"),
    [
        ((), "the data has no prompts"),
        (("p", "q", "r"), "per-prompt STARC needs a prompt that occurs twice, got 3 that occur once each"),
    ],
)
def test_per_prompt_starc_without_prompts_is_not_a_number_with_a_note(prompt: tuple[str, ...], note: str) -> None:
    scored = texts([1.0, 2.0, 4.0], [1.0, -2.0, 3.0], prompt=prompt)
    found = by_metric(Fidelity(data=("x",)).evaluate({"x": scored}), "x")
    assert math.isnan(found["starc_per_prompt"].value)
    assert found["starc_per_prompt"].note == note
    assert not math.isnan(found["starc"].value)


@pytest.mark.parametrize("reward", [[1.0, 2.0, 4.0], [2.0, 2.0, 2.0]])
def test_from_a_truth_of_one_value_nothing_has_a_distance(reward: list[float]) -> None:
    one_class = texts(reward, [1.0, 1.0, 1.0], prompt=("p", "p", "p"))
    found = by_metric(Fidelity(data=("x",)).evaluate({"x": one_class}), "x")
    assert math.isnan(found["starc"].value)
    assert found["starc"].note == "STARC needs a truth that varies, got 3 values equal to 1"
    assert found["starc_per_prompt"].note.startswith("per-prompt STARC needs a truth that varies within a prompt")


def test_a_constant_reward_is_one_from_numbers_of_one_class() -> None:
    one_class = texts([2.0, 2.0, 2.0], [1.0, 5.0, 2.0], prompt=("p", "p", "p"))
    found = by_metric(Fidelity(data=("x",)).evaluate({"x": one_class}), "x")
    assert (found["starc"].value, found["starc_per_prompt"].value) == (1.0, 1.0)


@pytest.mark.parametrize("offset", [1e5, 1e8])
def test_no_metric_of_an_evaluator_sees_an_offset(offset: float) -> None:
    near = drawn(3)
    near = texts(near.reward.tolist(), near.examples.truths[GOLD].value.tolist(), prompt=("p", "q") * 100)
    far = Scored(near.examples, offset + 0.01 * near.reward)
    threshold = Threshold(data="x", label=GOLD)
    for evaluator in (Fidelity(data=("x",)), Classification(data=("x",), label=GOLD, threshold=threshold)):
        before, after = (by_metric(evaluator.evaluate({"x": one}), "x") for one in (near, far))
        for name in set(before) - {"threshold", "affine_residual"}:
            assert after[name].value == pytest.approx(before[name].value, abs=1e-5), name


def test_a_constant_reward_is_one_away_and_has_no_correlation() -> None:
    found = by_metric(Fidelity(data=("x",)).evaluate({"x": texts([2.0, 2.0, 2.0], [1.0, -1.0, 1.0])}), "x")
    assert found["starc"].value == 1
    for metric in ("epic", "spearman", "kendall"):
        assert math.isnan(found[metric].value)
        assert "needs a reward that varies, got 3 values equal to 2" in found[metric].note
