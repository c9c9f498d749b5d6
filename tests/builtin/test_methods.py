from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.methods.length import Length
from fairl_bench.builtin.methods.mean_difference import MeanDifference
from fairl_bench.builtin.methods.pairwise import MaxEntropy, MaxMargin
from fairl_bench.testing import planted
from fairl_bench.values.training import Head, Inputs, Preferences, Stop, Task, Training

EMPTY = np.empty(0, np.int64)


def task(vectors: Any, preferred: list[int], rejected: list[int], texts: tuple[str, ...] = ()) -> Task:
    rows = np.asarray(vectors, np.float32)
    train = Preferences(rows, np.array(preferred), np.array(rejected), texts)
    return Task(train, Preferences(rows, EMPTY, EMPTY, texts))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


# --- mean difference


def test_mean_difference_by_hand() -> None:
    reward = MeanDifference().fit(task([[1, 0], [3, 2], [0, 0], [0, 1]], [0, 1, 1], [2, 3, 2]))
    # preferred rows 0, 1, 1: mean (7/3, 4/3); rejected rows 2, 3, 2: mean (0, 1/3)
    np.testing.assert_allclose(reward.arrays["weight"], [7 / 3, 1], rtol=1e-6)
    assert reward.arrays["weight"].dtype == np.float32
    assert reward.arrays["bias"] == 0
    scores = MeanDifference().score(reward, Inputs(("a", "b"), np.array([[3, 0], [0, 1]], np.float32)))
    np.testing.assert_allclose(scores, [7, 1], rtol=1e-6)


def test_mean_difference_turns_round_with_the_preference() -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 3))
    there = MeanDifference().fit(task(vectors, [0, 1, 2, 3], [4, 5, 6, 7])).arrays["weight"]
    back = MeanDifference().fit(task(vectors, [4, 5, 6, 7], [0, 1, 2, 3])).arrays["weight"]
    assert np.array_equal(there, -back)


def test_mean_difference_finds_a_planted_reward() -> None:
    problem = planted(n=2000)
    assert cosine(MeanDifference().fit(problem.task).arrays["weight"], problem.theta) > 0.98


@pytest.mark.parametrize("suite_head", [Head(use="mlp"), Head(use="linear")])
def test_closed_forms_ignore_the_head_of_the_suite(suite_head: Head) -> None:
    assert MeanDifference().head(suite_head) == "linear"
    assert Length().head(suite_head) == ""
    assert MaxMargin().head(suite_head) == suite_head.use


# --- length

TEXTS = ("aa aa", "b", "cc c", "dddddddd")  # characters 5, 1, 4, 8; words 2, 1, 2, 1


@pytest.mark.parametrize(
    ("unit", "preferred", "rejected", "scores"),
    [
        ("characters", [0, 3], [1, 2], [5, 1, 4, 8]),  # longer twice
        ("characters", [1, 2], [0, 3], [-5, -1, -4, -8]),  # shorter twice
        ("characters", [0, 1, 2], [1, 2, 3], [-5, -1, -4, -8]),  # longer once, shorter twice, by however much
        ("characters", [3, 1], [1, 3], [-5, -1, -4, -8]),  # even: shorter is better
        ("words", [0, 2], [3, 3], [2, 1, 2, 1]),  # longer by words, shorter by characters
        ("words", [3], [0], [-2, -1, -2, -1]),
    ],
)
def test_length_takes_the_sign_of_most_pairs(
    unit: Any, preferred: list[int], rejected: list[int], scores: list[float]
) -> None:
    method = Length(unit=unit)
    reward = method.fit(task(np.zeros((4, 1)), preferred, rejected, TEXTS))
    assert method.score(reward, Inputs(TEXTS, np.zeros((4, 1), np.float32))).tolist() == scores


def test_length_counts_each_pair_once_however_large_the_difference() -> None:
    texts = ("a" * 100, "b", "cc", "d")
    reward = Length().fit(task(np.zeros((4, 1)), [0, 1, 3], [1, 2, 2], texts))  # +99, -1, -1
    assert reward.arrays["sign"] == -1


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"(?s)unit.*input_value='tokens'"):
        Length(unit="tokens")  # type: ignore[arg-type]


# --- the paper's two baselines


@pytest.mark.parametrize("method", [MaxMargin(), MaxEntropy(), MaxMargin(margin=0.1), MaxEntropy(temperature=3.0)])
def test_a_baseline_learns_the_planted_direction(method: Any) -> None:
    problem = planted()
    one = Task(problem.task.train, problem.task.validation, Head(use="linear"), Training(lr=1e-2, epochs=40), 0, 0)
    assert cosine(method.fit(one).arrays["weight"], problem.theta) > 0.9


@pytest.mark.parametrize("method", [MaxMargin(), MaxEntropy()])
def test_a_baseline_learns_through_flipped_pairs(method: Any) -> None:
    problem = planted(noise=0.2)
    one = Task(problem.task.train, problem.task.validation, Head(use="linear"), Training(lr=1e-2, epochs=40), 0, 0)
    assert cosine(method.fit(one).arrays["weight"], problem.theta) > 0.8


def test_defaults_are_the_papers() -> None:
    assert MaxMargin().margin == 0.8
    assert MaxEntropy().temperature == 1.0


@pytest.mark.parametrize(("method", "field"), [(MaxMargin, "margin"), (MaxEntropy, "temperature")])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_margin_and_temperature_are_positive(method: Any, field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"(?s){field}.*input_value={value}"):
        method(**{field: value})


def test_a_field_of_the_loss_reaches_the_training() -> None:
    problem = planted(n=60)
    norm = {
        tau: np.linalg.norm(MaxEntropy(temperature=tau).fit(problem.task).arrays["hidden.weight"]) for tau in (0.1, 9.0)
    }
    assert norm[0.1] != norm[9.0]


def test_a_reward_tells_its_history() -> None:
    problem = planted(n=60)
    settings = Training(lr=1e-2, epochs=50, stop=Stop(monitor="base-loss", patience=2, min_delta=0.0, average=1))
    one = Task(problem.task.train, problem.task.validation, Head(width=4), settings)
    reward = MaxEntropy().fit(one)
    watched = reward.history["validation_loss"]
    assert len(watched) == len(reward.history["train_loss"]) == reward.facts["epochs"]
    assert reward.facts["kept_epoch"] == 1 + int(np.argmin(watched))
    assert {name: array.shape for name, array in reward.arrays.items()} == {
        "hidden.weight": (16, 4), "hidden.bias": (4,), "weight": (4,), "bias": ()
    }  # fmt: skip


def test_different_methods_train_in_one_stack_as_they_do_alone() -> None:
    problem = planted(n=75)
    runs = [(method, problem.task) for method in (MaxMargin(), MaxEntropy(), MaxEntropy(temperature=0.5))]
    assert len({method.stack() for method, _ in runs}) == 1
    for (method, one), together in zip(runs, MaxMargin.fit_many(runs), strict=True):  # type: ignore[arg-type]
        alone = method.fit(one)
        assert all(np.array_equal(alone.arrays[name], together.arrays[name]) for name in alone.arrays)
        assert alone.history == together.history


@pytest.mark.parametrize(
    ("admissible", "first"), [("all", 1), ("failure-weight-at-most-1", 1), ("last", 12), ({"from": 9}, 9)]
)
def test_a_baseline_keeps_an_epoch_that_the_rule_admits(admissible: Any, first: int) -> None:
    rule = {"monitor": "base-loss", "patience": 12, "min_delta": 0.0, "average": 1, "admissible": admissible}
    settings = Training(lr=1e-2, epochs=12, stop=Stop.model_validate(rule))
    problem = planted(n=60)
    reward = MaxEntropy().fit(Task(problem.task.train, problem.task.validation, Head(width=4), settings))
    assert reward.facts["admissible_from"] == first
    watched = reward.history["validation_loss"][first - 1 :]
    assert reward.facts["kept_epoch"] == first + int(np.argmin(watched))


def test_without_a_rule_the_last_epoch_is_kept() -> None:
    problem = planted(n=60)
    settings = Training(lr=1e-2, epochs=9, stop=None)
    reward = MaxEntropy().fit(Task(problem.task.train, problem.task.validation, Head(width=4), settings))
    assert (reward.facts["kept_epoch"], reward.facts["admissible_from"]) == (9, 9)
