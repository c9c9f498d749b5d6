from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import lsq_linear

from fairl_bench.errors import NotFinite, Undefined
from fairl_bench.science.agreement import epic
from fairl_bench.science.starc import affine_residual, from_truth, prompt_codes, starc, starc_per_prompt

# Whole numbers in a narrow range: no reward is constant only up to rounding (that has a test of its own), and
# centring loses at most two digits, so that float64 identities hold to 1e-12.
whole = st.integers(-20, 20).map(float)
norms = st.sampled_from([1, 2])
TOLERANCE = 1e-12


def rewards(count: int) -> st.SearchStrategy[np.ndarray]:
    """`count` rewards of the same 2 to 12 examples, [count, n]; some of them constant."""
    return st.integers(2, 12).flatmap(lambda n: arrays(np.float64, (count, n), elements=whole, fill=st.nothing()))


def varying(count: int) -> st.SearchStrategy[np.ndarray]:
    return rewards(count).filter(lambda rows: bool((np.ptp(rows, axis=1) > 0).all()))


# --- Eq. 4


def test_starc_by_hand() -> None:
    # (-1, 0, 1)/2 against (-1, 2, -1)/4: |-1/4| + |-1/2| + |3/4|
    assert starc([0, 1, 2], [0, 3, 0]) == 1.5


@given(rewards(2), norms)
def test_starc_lies_between_zero_and_two(rows: np.ndarray, norm: int) -> None:
    assert 0 <= starc(rows[0], rows[1], norm) <= 2 + TOLERANCE


@given(rewards(1), norms)
def test_a_reward_is_zero_from_itself(rows: np.ndarray, norm: int) -> None:
    assert starc(rows[0], rows[0], norm) == 0


@given(varying(1), norms)
def test_a_reward_is_two_from_its_negation(rows: np.ndarray, norm: int) -> None:
    assert starc(rows[0], -rows[0], norm) == pytest.approx(2, abs=TOLERANCE)


@given(rewards(2), norms, st.integers(1, 20), st.integers(-100, 100))
def test_starc_ignores_positive_affine_maps(rows: np.ndarray, norm: int, scale: int, shift: int) -> None:
    reward, truth = rows
    moved = starc(scale * reward + shift, truth, norm)
    assert moved == pytest.approx(starc(reward, truth, norm), abs=TOLERANCE)
    assert starc(reward, scale * truth + shift, norm) == pytest.approx(moved, abs=TOLERANCE)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e9, 1e200])
@pytest.mark.parametrize("norm", [1, 2])
def test_extreme_scales_neither_overflow_nor_vanish(scale: float, norm: int) -> None:
    reward, truth = np.random.default_rng(0).normal(size=(2, 50))
    assert starc(scale * reward, truth, norm) == pytest.approx(starc(reward, truth, norm), abs=TOLERANCE)


@given(rewards(2), norms)
def test_starc_is_symmetric(rows: np.ndarray, norm: int) -> None:
    assert starc(rows[0], rows[1], norm) == starc(rows[1], rows[0], norm)


@given(rewards(3), norms)
def test_starc_obeys_the_triangle_inequality(rows: np.ndarray, norm: int) -> None:
    a, b, c = rows
    assert starc(a, c, norm) <= starc(a, b, norm) + starc(b, c, norm) + TOLERANCE


@given(varying(1), norms, st.floats(-100, 100))
def test_a_constant_is_one_from_any_varying_reward(rows: np.ndarray, norm: int, value: float) -> None:
    constant = np.full(rows.shape[1], value)
    assert starc(constant, rows[0], norm) == pytest.approx(1, abs=TOLERANCE)
    assert starc(rows[0], constant, norm) == pytest.approx(1, abs=TOLERANCE)


@given(st.floats(-100, 100), st.floats(-100, 100), norms)
def test_two_constants_are_zero_apart(first: float, second: float, norm: int) -> None:
    assert starc(np.full(7, first), np.full(7, second), norm) == 0


def test_the_last_bits_of_a_float32_reward_count_as_constant() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=100)
    noise = np.float32(3.7) * (1 + np.finfo(np.float32).eps * rng.integers(-2, 3, 100))
    assert starc(noise.astype(np.float32), truth) == pytest.approx(1, abs=TOLERANCE)
    # ten times the spread that still counts as constant is a signal
    assert starc(3.7 + 1e-5 * 3.7 * truth, truth) == pytest.approx(0, abs=1e-9)  # 16 digits less 5 for the offset


def test_a_collapsed_float32_head_is_constant_however_its_rewards_are_written() -> None:
    rng = np.random.default_rng(1)
    reward = (np.float32(0.123456) * (1 + np.finfo(np.float32).eps * rng.integers(-2, 3, 100))).astype(np.float32)
    truth = rng.normal(size=100)
    shortest = [float(str(number)) for number in reward]  # as a table writes a float32
    for written in (reward, reward.astype(np.float64), shortest):
        assert starc(written, truth) == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.parametrize("offset", [1e3, -1e6, 1e8, -1e10])
@pytest.mark.parametrize("scale", [1e-2, 1.0, 30.0])
def test_a_large_offset_loses_no_digits(offset: float, scale: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    reward, prompt = truth + rng.normal(size=300), rng.integers(0, 30, 300)
    moved = offset + scale * reward
    close = max(1e-12, 1e-15 * abs(offset) / scale)  # float64 keeps 16 digits of the offset
    assert starc(moved, truth) == pytest.approx(starc(reward, truth), abs=close)
    expected = starc_per_prompt(reward, truth, prompt)
    assert starc_per_prompt(moved, truth, prompt) == pytest.approx(expected, abs=close)
    assert epic(moved, truth) == pytest.approx(epic(reward, truth), abs=close)
    assert affine_residual(moved, truth) == pytest.approx(scale**2 * affine_residual(reward, truth), rel=1e-3)


def test_whole_numbers_vary_however_far_they_are_from_zero() -> None:
    truth = np.array([0.0, 1.0, 2.0, 3.0, 1.0])
    for offset in (1e5, 1e7, 1e12):
        assert starc(offset + truth, truth) == pytest.approx(
            0, abs=1e-15 * offset
        )  # 16 digits less those of the offset
        assert starc((1e6 + truth).astype(np.float32), truth) == pytest.approx(0, abs=1e-10)


# --- from a truth


@given(varying(1), st.floats(-100, 100))
def test_a_constant_reward_is_one_from_every_truth_that_varies(rows: np.ndarray, value: float) -> None:
    assert from_truth(np.full(rows.shape[1], value), rows[0]) == pytest.approx(1, abs=TOLERANCE)


@given(rewards(1), st.floats(-100, 100))
def test_from_a_constant_truth_nothing_has_a_distance(rows: np.ndarray, value: float) -> None:
    n = rows.shape[1]
    with pytest.raises(Undefined, match=f"STARC needs a truth that varies, got {n} values equal to"):
        from_truth(rows[0], np.full(n, value))


def test_a_truth_that_is_equal_within_each_prompt_is_constant_per_prompt() -> None:
    prompt = [0, 0, 1, 1]
    assert from_truth([1, 2, 3, 4], [5, 5, 6, 6]) == starc([1, 2, 3, 4], [5, 5, 6, 6])
    with pytest.raises(Undefined, match="per-prompt STARC needs a truth that varies within a prompt"):
        from_truth([1, 2, 3, 4], [5, 5, 6, 6], prompt)
    assert from_truth([7, 7, 8, 8], [1, 2, 3, 5], prompt) == pytest.approx(1, abs=TOLERANCE)
    assert from_truth([1, 2, 3, 4], [1, 2, 3, 5], prompt) == starc_per_prompt([1, 2, 3, 4], [1, 2, 3, 5], prompt)


def test_many_equal_rewards_of_a_prompt_are_equal_whatever_their_mean_rounds_to() -> None:
    prompt = np.repeat([0, 1], 5000)
    level = np.array([1 / 3, 1e8 + 1 / 7])[prompt]
    truth = np.random.default_rng(0).normal(size=10_000)
    assert starc_per_prompt(level, truth, prompt) == pytest.approx(1, abs=TOLERANCE)


def test_texts_without_a_prompt_stand_alone() -> None:
    assert len(set(prompt_codes(["a", "", "", "a"]).tolist())) == 3
    with pytest.raises(Undefined, match="the data has no prompts"):
        prompt_codes(["", ""])


@given(varying(2))
def test_the_l2_form_is_the_root_of_two_minus_two_rho_and_twice_epic(rows: np.ndarray) -> None:
    distance = starc(rows[0], rows[1], norm=2)
    # squared: the root would turn a rounding of 1e-16 near rho = 1 into 1e-8
    assert distance**2 == pytest.approx(2 - 2 * np.corrcoef(rows)[0, 1], abs=TOLERANCE)
    assert distance == pytest.approx(2 * epic(*rows), abs=TOLERANCE)


@pytest.mark.parametrize("norm", [1, 2])
def test_unrelated_gaussian_rewards_are_root_two_apart(norm: int) -> None:
    # l1: a difference of Gaussians is Gaussian with root 2 the scale; l2: rho is 0. The bias, of order 1/n, is far
    # below the standard error.
    draws = [np.random.default_rng(seed).normal(size=(2, 2000)) for seed in range(100)]
    distances = [starc(reward, truth, norm) for reward, truth in draws]
    error = np.std(distances, ddof=1) / np.sqrt(len(distances))
    assert abs(np.mean(distances) - np.sqrt(2)) < 4 * error


def test_unrelated_rewards_that_are_not_gaussian_are_root_two_apart_in_l2_alone() -> None:
    reward, truth = [1, 1, -1, -1], [1, -1, 1, -1]
    assert starc(reward, truth, norm=1) == 1
    assert starc(reward, truth, norm=2) == pytest.approx(np.sqrt(2), abs=TOLERANCE)


def test_float32_rewards_are_computed_in_float64() -> None:
    reward, truth = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)
    assert starc(reward, truth) == starc(reward.astype(np.float64), truth.astype(np.float64))


# --- per prompt


@given(varying(1), st.data())
def test_adding_any_function_of_the_prompt_leaves_per_prompt_starc_at_zero(
    rows: np.ndarray, data: st.DataObject
) -> None:
    truth = rows[0]
    prompt = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=truth.size, max_size=truth.size)))
    assume(np.unique(prompt).size < truth.size)
    level = np.array(data.draw(st.lists(whole, min_size=5, max_size=5)))
    assert starc_per_prompt(truth + level[prompt + 2], truth, prompt) == pytest.approx(0, abs=TOLERANCE)


def test_adding_a_function_of_the_prompt_moves_eq_4() -> None:
    truth, prompt = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 0, 1, 1])
    shifted = truth + np.array([0, 5])[prompt]
    assert starc_per_prompt(shifted, truth, prompt) == 0
    assert starc(shifted, truth) == pytest.approx(1)  # (-3, -2, 2, 3)/10 against (-1, 1, -1, 1)/4, by hand


@given(rewards(2), norms)
def test_a_single_prompt_gives_eq_4(rows: np.ndarray, norm: int) -> None:
    prompt = np.full(rows.shape[1], 3)
    assert starc_per_prompt(rows[0], rows[1], prompt, norm) == pytest.approx(
        starc(rows[0], rows[1], norm), abs=TOLERANCE
    )


def test_per_prompt_starc_does_not_depend_on_the_codes_or_the_order() -> None:
    rng = np.random.default_rng(0)
    reward, truth = rng.normal(size=(2, 60))
    prompt, order = rng.integers(0, 20, 60), rng.permutation(60)
    expected = starc_per_prompt(reward, truth, prompt)
    assert starc_per_prompt(reward, truth, 1000 - 7 * prompt) == pytest.approx(expected, abs=TOLERANCE)
    assert starc_per_prompt(reward[order], truth[order], prompt[order]) == pytest.approx(expected, abs=TOLERANCE)


def test_per_prompt_starc_keeps_one_scale_over_all_prompts() -> None:
    # the second prompt counts ten times as much in the reward as in the truth: (1, 10)/11 against (1, 1)/2
    reward, truth = [0, 2, 0, 20], [0, 2, 0, 2]
    assert starc_per_prompt(reward, truth, [0, 0, 1, 1]) == pytest.approx(9 / 11, abs=TOLERANCE)


def test_a_prompt_that_occurs_once_carries_nothing() -> None:
    reward, truth, prompt = [0, 3, 1, 9], [1, 2, 0, -5], [4, 4, 4, 7]
    for outlier in (-1e12, 0, 1e12):
        assert starc_per_prompt([*reward[:3], outlier], truth, prompt) == starc_per_prompt(
            reward[:3], truth[:3], prompt[:3]
        )


def test_a_reward_of_the_prompt_alone_counts_as_constant() -> None:
    level, prompt = np.array([0.1, 0.7]), np.array([0, 0, 0, 1, 1, 1])
    truth = [0, 1, 5, 2, 3, 1]
    assert starc_per_prompt(level[prompt], truth, prompt) == pytest.approx(1, abs=TOLERANCE)


# --- Eq. 10


@given(varying(2))
def test_affine_residual_is_the_minimum_that_eq_10_asks_for(rows: np.ndarray) -> None:
    reward, truth = rows
    design = np.column_stack([truth, np.ones_like(truth)])
    fit = lsq_linear(design, reward, bounds=([0, -np.inf], np.inf), method="bvls", tol=1e-14)
    # the search's tolerance on rewards of up to 20, squared
    assert affine_residual(reward, truth) == pytest.approx(2 * fit.cost / reward.size, abs=1e-9)


def test_affine_residual_is_scale_dependent_and_asymmetric() -> None:
    # rho^2 = 3/4; variances 2 and 2/3
    reward, truth = np.array([0, 0, 3]), np.array([0, 1, 2])
    assert affine_residual(reward, truth) == pytest.approx(1 / 2)
    assert affine_residual(2 * reward, truth) == pytest.approx(2)
    assert affine_residual(truth, reward) == pytest.approx(1 / 6)


@given(varying(1), st.integers(1, 20), whole)
def test_an_affine_map_of_the_truth_leaves_no_residual(rows: np.ndarray, scale: int, shift: int) -> None:
    # float64 rounding of a variance of up to (20 * 20)^2
    assert affine_residual(scale * rows[0] + shift, rows[0]) == pytest.approx(0, abs=1e-9)


def test_a_truth_that_points_the_other_way_explains_nothing() -> None:
    assert affine_residual([0, 1, 2], [2, 1, 0]) == pytest.approx(2 / 3)
    assert affine_residual([0, 1, 2], [7, 7, 7]) == pytest.approx(2 / 3)


def test_a_constant_reward_has_no_residual_yet_is_one_from_the_truth() -> None:
    assert affine_residual([3, 3, 3], [0, 1, 2]) == 0
    assert starc([3, 3, 3], [0, 1, 2]) == pytest.approx(1)


# --- what is refused


@pytest.mark.parametrize("measure", [starc, affine_residual])
def test_fewer_than_two_examples_are_undefined(measure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Undefined, match="reward needs at least one value, got 0"):
        measure([], [])
    with pytest.raises(Undefined, match="needs at least 2 examples, got 1"):
        measure([1.0], [1.0])


def test_prompts_that_all_occur_once_leave_per_prompt_starc_undefined() -> None:
    with pytest.raises(Undefined, match="a prompt that occurs twice, got 3 that occur once each"):
        starc_per_prompt([0, 1, 2], [0, 1, 2], [5, 6, 7])


def test_nan_is_refused_with_its_count() -> None:
    with pytest.raises(NotFinite, match="reward must be finite, got 2 NaN or infinite of 3 values"):
        starc([np.nan, np.inf, 1], [0, 1, 2])
    with pytest.raises(NotFinite, match="truth must be finite, got 1 NaN or infinite of 3 values"):
        starc_per_prompt([0, 1, 2], [0, 1, np.nan], [0, 0, 0])


def test_other_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="one value an example, got 3 and 2"):
        starc([0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match="norm must be 1 or 2, got 3"):
        starc([0, 1], [0, 1], norm=3)
    with pytest.raises(ValueError, match=r"integer code for each of 2 examples, got float64 of shape \(2,\)"):
        starc_per_prompt([0, 1], [0, 1], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"integer code for each of 2 examples, got int64 of shape \(3,\)"):
        starc_per_prompt([0, 1], [0, 1], [0, 0, 0])
