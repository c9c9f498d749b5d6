"""Recovered weights: by hand, against another library, and what their intervals stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import curve_fit
from sklearn.linear_model import LinearRegression

from fairl_bench.errors import Undefined
from fairl_bench.science.objective_weights import Weights, objective_weights

NAMES = ("a", "b")


def found(reward: Any, objectives: Any, prompt: Any, **more: Any) -> Weights:
    table = np.asarray(objectives, np.float64)
    names = ("a", "b", "c")[: table.shape[1]]
    settings: dict[str, Any] = {"names": names, "resamples": 200, **more}
    rng = np.random.default_rng(0)
    return objective_weights(np.asarray(reward, np.float64), table, np.asarray(prompt, np.int64), rng, **settings)


def world(seed: int = 0, n: int = 300, texts: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two correlated objectives of ``n`` prompts, what a prompt adds to a reward, and the prompts."""
    rng = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n), texts)
    table = rng.normal(size=(n * texts, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
    return table, rng.normal(size=n)[prompt] * 3, prompt


def test_a_reward_that_is_a_sum_has_the_weights_of_the_sum() -> None:
    table, of_prompt, prompt = world()
    weights = found(2 * (0.7 * table[:, 0] - 0.3 * table[:, 1]) + of_prompt, table, prompt)
    np.testing.assert_allclose(weights.value, [0.7, -0.3], atol=1e-9)  # a ridge of 1e-10 keeps the regression solvable
    np.testing.assert_allclose(weights.low, weights.high, atol=1e-6)
    assert weights.explained == pytest.approx(1)


def test_they_are_the_slopes_of_differences_of_pairs_by_their_sizes() -> None:
    table, of_prompt, prompt = world(1)
    reward = table @ [0.5, 1.0] + of_prompt + np.random.default_rng(2).normal(size=len(prompt))
    slope, *_ = np.linalg.lstsq(table[::2] - table[1::2], reward[::2] - reward[1::2], rcond=None)
    np.testing.assert_allclose(found(reward, table, prompt).value, slope / np.abs(slope).sum(), atol=1e-9)


def test_the_explained_share_is_the_r_squared_of_least_squares_without_a_constant() -> None:
    table, of_prompt, prompt = world(3)
    reward = table @ [0.5, 1.0] + of_prompt + np.random.default_rng(4).normal(size=len(prompt))
    y, x = reward[::2] - reward[1::2], table[::2] - table[1::2]
    left = y - LinearRegression(fit_intercept=False).fit(x, y).predict(x)
    assert found(reward, table, prompt).explained == pytest.approx(1 - left @ left / (y @ y), abs=1e-9)


def test_another_scale_of_the_reward_changes_nothing_and_its_negative_all_signs() -> None:
    table, of_prompt, prompt = world(5)
    reward = table @ [0.5, 1.0] + of_prompt + np.random.default_rng(6).normal(size=len(prompt))
    one, large, turned = (found(k * reward, table, prompt) for k in (1, 100, -1))
    np.testing.assert_allclose(large.value, one.value, atol=1e-9)
    np.testing.assert_allclose(turned.value, -one.value, atol=1e-9)
    np.testing.assert_allclose(turned.low, -one.high, atol=1e-9)


def test_the_interval_is_that_of_least_squares_where_one_objective_alone_is_paid_for() -> None:
    # the weight of b is then its slope by that of a, whose relative error is small: to the first order its error is
    # that of the slope, which scipy knows; four standard errors of a bootstrap of 2,000 are 6 %
    table, of_prompt, prompt = world(7, n=2000)
    table = np.random.default_rng(8).normal(size=table.shape)
    reward = table[:, 0] + of_prompt + 0.3 * np.random.default_rng(9).normal(size=len(prompt))
    weights = found(reward, table, prompt, resamples=2000)
    difference = (table[::2] - table[1::2]).T
    _, covariance = curve_fit(lambda x, a, b: a * x[0] + b * x[1], difference, reward[::2] - reward[1::2])
    error = np.sqrt(covariance[1, 1])
    assert (weights.high - weights.low)[1] / 2 == pytest.approx(1.96 * error, rel=0.08)


def test_an_objective_beside_one_that_is_not_paid_for_can_have_a_weight_of_one() -> None:
    inside = 0
    for seed in range(40):
        table, of_prompt, prompt = world(seed + 100, n=100)
        reward = table[:, 0] + of_prompt + np.random.default_rng(seed).normal(size=len(prompt))
        weights = found(reward, table, prompt)
        inside += bool(weights.low[0] <= 1 <= weights.high[0])
        assert (weights.low >= -1).all()
        assert (weights.high <= 1).all()
    assert inside >= 34  # of 40 at 95 %: four standard errors below


def test_the_variance_of_other_trainings_is_added() -> None:
    table, of_prompt, prompt = world(10)
    rng = np.random.default_rng(11)
    reward = table @ [0.7, 0.3] + of_prompt
    others = np.stack([table @ (np.array([0.7, 0.3]) + 0.05 * rng.normal(size=2)) + of_prompt for _ in range(20)])
    alone, whole = (found(reward, table, prompt, refits=refits) for refits in (None, others))
    np.testing.assert_allclose(whole.value, alone.value)
    spread = np.std([found(other, table, prompt).value for other in others], 0, ddof=1)
    np.testing.assert_allclose((whole.high - whole.low) / 2, 2.093 * spread, rtol=0.01)  # t of 19 degrees of freedom
    assert (alone.high - alone.low < 1e-6).all()


def test_trainings_that_all_find_one_reward_add_nothing() -> None:
    table, of_prompt, prompt = world(12)
    reward = table @ [0.7, 0.3] + of_prompt + np.random.default_rng(13).normal(size=len(prompt))
    alone, same = (found(reward, table, prompt, refits=refits) for refits in (None, np.stack([reward] * 3)))
    np.testing.assert_allclose(same.low, alone.low, atol=1e-9)


def test_prompts_of_one_cluster_are_drawn_together() -> None:
    table, of_prompt, prompt = world(14, n=60)
    table, reward, prompt = (np.concatenate([one] * 4) for one in (table, of_prompt, prompt))
    reward = reward + table @ [0.7, 0.3] + np.tile(np.random.default_rng(15).normal(size=120), 4)
    four = prompt + 60 * np.repeat(np.arange(4), 120)  # the same texts under four prompts
    apart, together = (found(reward, table, four, cluster=cluster) for cluster in (None, prompt))
    assert ((together.value - together.low) > 1.6 * (apart.value - apart.low)).all()  # twice, to sampling


@pytest.mark.parametrize(
    ("reward", "objectives", "message"),
    [
        ([0, 0, 1, 1, 2, 2, 3, 3], None, "the reward is the same for all texts of each prompt"),
        (None, [[0, 1]] * 8, "objective 'a' is the same for all texts of each prompt"),
        (None, [[i * i, 3 * i * i + 1] for i in range(8)], "the objectives 'a' and 'b' say the same of these texts"),
    ],
)
def test_where_there_is_nothing_to_say_it_says_so(reward: Any, objectives: Any, message: str) -> None:
    rng = np.random.default_rng(0)
    given = rng.normal(size=8) if reward is None else reward
    with pytest.raises(Undefined, match=message):
        found(given, rng.normal(size=(8, 2)) if objectives is None else objectives, np.repeat(np.arange(4), 2))


def test_three_prompts_are_too_few() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(Undefined, match="weights need four prompts with at least two texts, got 3"):
        found(rng.normal(size=6), rng.normal(size=(6, 2)), np.repeat(np.arange(3), 2))
