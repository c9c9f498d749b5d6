"""Shares of concepts: by hand, identities, an independent regression, and how often they are wrong."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from fairl_bench.errors import Undefined
from fairl_bench.science.shares import (
    HALVINGS,
    MOST,
    Shares,
    grouped,
    halved,
    percentiles,
    resampled,
    shares,
    slopes,
    within_prompts,
)


def pairs(n: int, k: int, seed: int = 0) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """Two texts a prompt, with independent concepts."""
    rng = np.random.default_rng(seed)
    return rng, rng.normal(size=(2 * n, k)), np.repeat(np.arange(n), 2)


def alone(*columns: int) -> list[list[int]]:
    return [[column] for column in columns]


def found_in(
    reward: np.ndarray,
    x: np.ndarray,
    prompt: np.ndarray,
    groups: list[list[int]],
    rng: np.random.Generator,
    resamples: int,
) -> Shares:
    moments = within_prompts(reward, x, prompt)
    draws = resampled(np.flatnonzero(moments.texts), len(moments.texts), rng, resamples)
    return shares(halved(moments, draws, rng), groups)


def test_shares_and_the_rest_sum_to_one() -> None:
    rng, x, prompt = pairs(60, 4)
    found = found_in(x @ [1, 0.5, 0, 0] + rng.normal(size=120), x, prompt, alone(0, 1, 2, 3), rng, 50)
    assert found.explained[0].sum() + found.unexplained[0] == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(found.explained.sum(1) + found.unexplained, 1, atol=1e-12)


def test_a_reward_that_is_one_concept_belongs_to_it_alone() -> None:
    rng, x, prompt = pairs(4000, 3)
    found = found_in(3 * x[:, 1] + 7, x, prompt, alone(0, 1, 2), rng, 20)
    np.testing.assert_allclose(
        found.explained[0], [0, 1, 0], atol=0.03
    )  # concepts of a sample are not quite independent
    assert found.unexplained[0] == pytest.approx(0, abs=1e-9)


def test_independent_concepts_have_the_shares_of_their_variances() -> None:
    rng, x, prompt = pairs(20_000, 3)
    reward = x @ [2, 1, 0] + np.sqrt(5) * rng.normal(size=len(x))
    found = found_in(reward, x, prompt, alone(0, 1, 2), rng, 20)
    np.testing.assert_allclose([*found.explained[0], found.unexplained[0]], [0.4, 0.1, 0, 0.5], atol=0.02)  # 4 s.e.


def test_what_is_equal_in_all_texts_of_a_prompt_changes_nothing() -> None:
    rng, x, prompt = pairs(80, 2)
    reward = x @ [1, -1] + rng.normal(size=160)
    moved = reward + 100 * rng.normal(size=80)[prompt]
    shifted = x + rng.normal(size=(80, 2))[prompt]
    one = found_in(reward, x, prompt, alone(0, 1), np.random.default_rng(1), 20)
    other = found_in(moved, shifted, prompt, alone(0, 1), np.random.default_rng(1), 20)
    np.testing.assert_allclose(other.explained, one.explained, atol=1e-9)


def test_shares_do_not_depend_on_units_or_on_the_order_of_concepts() -> None:
    rng, x, prompt = pairs(80, 3)
    reward = x @ [1, -1, 0.3] + rng.normal(size=160)
    one = found_in(reward, x, prompt, alone(0, 1, 2), np.random.default_rng(1), 20)
    units = found_in(-5 * reward, x * [10, 0.1, 3], prompt, alone(0, 1, 2), np.random.default_rng(1), 20)
    order = found_in(reward, x[:, [2, 0, 1]], prompt, alone(0, 1, 2), np.random.default_rng(1), 20)
    np.testing.assert_allclose(units.explained, one.explained, atol=1e-7)  # the tiny ridge is in units, too
    np.testing.assert_allclose(order.explained, one.explained[:, [2, 0, 1]], atol=1e-7)


def test_the_shares_are_the_mean_gains_over_all_orders_of_entry() -> None:
    rng, x, prompt = pairs(40, 3)
    x[:, 1] += 0.7 * x[:, 0]
    reward = x @ [1, 0.5, -0.5] + rng.normal(size=80)
    found = shares(
        halved(within_prompts(reward, x, prompt), np.ones((3, 40)), np.random.default_rng(3)), alone(0, 1, 2)
    )
    again = np.random.default_rng(3)
    ways = [[np.isin(prompt, half)[::2] for half in np.array_split(again.permutation(40), 2)] for _ in range(HALVINGS)]
    difference, gap = x[::2] - x[1::2], reward[::2] - reward[1::2]
    expected = np.zeros(3)
    for fitted, held_out in itertools.chain(*(itertools.permutations(way) for way in ways)):

        def explained(columns: tuple[int, ...], on: np.ndarray = fitted, to: np.ndarray = held_out) -> float:
            if not columns:
                return 0.0
            model = LinearRegression(fit_intercept=False).fit(difference[on][:, columns], gap[on])
            return float(gap[to] @ model.predict(difference[to][:, columns])) / float((gap**2).sum())

        for order in itertools.permutations(range(3)):
            for at, column in enumerate(order):
                before = tuple(sorted(order[:at]))
                gain = explained(tuple(sorted((*before, column)))) - explained(before)
                expected[column] += gain / math.factorial(3) / HALVINGS
    np.testing.assert_allclose(found.explained, [expected] * 3, atol=1e-8)


def test_shares_are_unbiased_where_the_squared_error_of_the_held_out_half_is_not() -> None:
    """Five concepts, of which two explain half of the reward, and 30 prompts: the fits are poor, the mean is right."""
    rng = np.random.default_rng(0)
    unexplained = []
    for _ in range(200):
        x, prompt = rng.normal(size=(60, 5)), np.repeat(np.arange(30), 2)
        moments = within_prompts(x[:, 0] + x[:, 1] + math.sqrt(2) * rng.normal(size=60), x, prompt)
        unexplained.append(shares(halved(moments, np.ones((1, 30)), rng), alone(*range(5))).unexplained[0])
    error = np.std(unexplained) / math.sqrt(200)
    assert error < 0.02
    assert np.mean(unexplained) == pytest.approx(0.5, abs=4 * error)  # by the squared error it would be .78


def test_a_group_is_the_sum_of_its_members_where_it_enters_whole() -> None:
    rng, x, prompt = pairs(60, 3)
    reward = x @ [1, 1, 1] + rng.normal(size=120)
    apart = found_in(reward, x, prompt, alone(0, 1, 2), np.random.default_rng(1), 5)
    joined = found_in(reward, x, prompt, [[0, 1, 2]], np.random.default_rng(1), 5)
    assert joined.explained[0, 0] == pytest.approx(apart.explained[0].sum(), abs=1e-9)


def test_a_concept_that_is_constant_explains_nothing() -> None:
    rng, x, prompt = pairs(60, 2)
    x[:, 1] = 4.0
    found = found_in(x[:, 0] + rng.normal(size=120), x, prompt, alone(0, 1), rng, 20)
    assert found.explained[0, 1] == pytest.approx(0, abs=1e-12)
    assert np.isfinite(found.explained).all()
    assert np.isfinite(found.simultaneous()).all()


@pytest.mark.parametrize(
    ("reward", "n", "sentence"),
    [
        (np.zeros(8), 4, "shares need a reward that varies within prompts"),
        (np.repeat(np.arange(4.0), 2), 4, "shares need a reward that varies within prompts"),
        (np.arange(6.0), 3, "shares need four prompts with at least two texts, got 3"),
    ],
)
def test_shares_that_mean_nothing_are_undefined(reward: np.ndarray, n: int, sentence: str) -> None:
    rng, x, prompt = pairs(n, 1)
    with pytest.raises(Undefined, match=sentence):
        found_in(reward, x, prompt, [[0]], rng, 5)


def test_too_many_groups_are_refused() -> None:
    rng, x, prompt = pairs(20, MOST + 1)
    with pytest.raises(ValueError, match=f"at most {MOST} groups of concepts can enter, got {MOST + 1}"):
        found_in(x[:, 0], x, prompt, alone(*range(MOST + 1)), rng, 5)


def test_the_slopes_are_those_of_ordinary_least_squares() -> None:
    rng, x, prompt = pairs(50, 3)
    reward = x @ [1, -2, 0.5] + rng.normal(size=100)
    model = LinearRegression(fit_intercept=False).fit(x[::2] - x[1::2], reward[::2] - reward[1::2])
    products = within_prompts(reward, x, prompt).weighted(np.ones((1, 50)))
    np.testing.assert_allclose(slopes(products, [0, 1, 2])[0], model.coef_, rtol=1e-8)


def test_simultaneous_bounds_hold_for_all_concepts_at_once() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(120):
        x, prompt = rng.normal(size=(600, 4)), np.repeat(np.arange(300), 2)
        reward = x @ [1, 0.5, 0.25, 0] + 1.2 * rng.normal(size=600)
        low, high = found_in(reward, x, prompt, alone(0, 1, 2, 3), rng, 200).simultaneous()
        true = np.array([1, 0.25, 0.0625, 0]) / (1.3125 + 1.44)
        covered += bool(((low <= true) & (true <= high)).all())
    assert covered / 120 >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / 120)  # four standard errors below the nominal level


def test_a_reward_of_noise_names_no_concept() -> None:
    rng = np.random.default_rng(1)
    named = 0
    for _ in range(100):
        x, prompt = rng.normal(size=(400, 6)), np.repeat(np.arange(200), 2)
        low, _ = found_in(rng.normal(size=400), x, prompt, alone(*range(6)), rng, 100).simultaneous()
        named += bool((low >= 0.05).any())
    assert named <= 2


def test_the_unexplained_share_lies_in_its_interval() -> None:
    rng, x, prompt = pairs(300, 2)
    found = found_in(x @ [1, 1] + rng.normal(size=600), x, prompt, alone(0, 1), rng, 200)
    value, low, high = percentiles(found.unexplained)
    assert low < value < high
    assert low < 1 / 3 < high


def test_without_spread_the_bounds_are_the_shares() -> None:
    same = Shares(np.tile([0.2, 0.3], (4, 1)), np.zeros((4, 2)), np.zeros((4, 2)))
    np.testing.assert_allclose(same.simultaneous(), [[0.2, 0.3], [0.2, 0.3]])


def test_what_a_concept_explains_alone_and_beside_all_others_is_apart_where_they_go_together() -> None:
    rng, x, prompt = pairs(3000, 3)
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    found = found_in(x[:, 0] + x[:, 2] + rng.normal(size=6000), x, prompt, alone(0, 1, 2), rng, 2)
    np.testing.assert_allclose(found.alone[0], [1 / 3, 0.64 / 3, 1 / 3], atol=0.04)  # 4 standard errors
    np.testing.assert_allclose(found.beside[0], [0.36 / 3, 0, 1 / 3], atol=0.04)
    np.testing.assert_allclose(found.explained[0], [(1 / 3 + 0.12) / 2, 0.64 / 6, 1 / 3], atol=0.04)


def test_a_column_rests_on_the_prompts_in_which_it_differs() -> None:
    x = np.zeros((20, 3))
    x[[0, 4, 10], 0] = 1  # in three of ten prompts, equally much
    x[::2, 1] = 1  # in all
    x[::2, 2] = [100, *[1] * 9]  # in one of them much more
    rests_on = within_prompts(np.zeros(20), x, np.repeat(np.arange(10), 2)).rests_on()
    np.testing.assert_allclose(rests_on, [3, 10, 1, 0], atol=0.01)


def test_concepts_are_grouped_through_a_third() -> None:
    assert grouped(np.array([[1, 0.9, 0.5], [0.9, 1, -0.85], [0.5, -0.85, 1]])) == [[0, 1, 2]]
    assert grouped(np.eye(3)) == [[0], [1], [2]]
