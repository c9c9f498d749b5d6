from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fairl_bench.errors import Undefined
from fairl_bench.science.intervals import Units, cohens_d, t_interval, t_test, two_level
from fairl_bench.science.resampling import Clustered, accuracy, margin_snr, resampled

Rng = np.random.Generator


def rng(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


def units(point: np.ndarray, draws: np.ndarray | None = None) -> Units:
    """Units judged on one sample whose resamples are as given; without any, examples have no noise."""
    n = len(point)
    flat = np.tile(point, (4000, 1)) if draws is None else draws
    return Units(point, flat, np.tile(point, (2, 1)), np.zeros(n, np.int64))


def of_examples(right: np.ndarray, resamples: int = 4000, seed: int = 0) -> Units:
    """One unit: an accuracy over examples."""
    (found,) = resampled([Clustered(accuracy(right[None]), np.arange(len(right)))], len(right), resamples, rng(seed))
    return Units(np.array([right.mean()]), found.draws, found.left, np.zeros(1, np.int64))


# --- Student's t


def test_the_t_interval_and_its_p_are_scipys() -> None:
    values = rng().normal(0.3, 1, 7)
    test = stats.ttest_1samp(values, 0)
    assert t_interval(values) == pytest.approx(tuple(test.confidence_interval()), abs=1e-12)
    assert t_test(values) == pytest.approx(test.pvalue, abs=1e-12)


def test_one_run_has_no_interval() -> None:
    with pytest.raises(Undefined, match="needs at least 2, got 1"):
        t_interval([0.5])
    with pytest.raises(Undefined, match="needs at least 2, got 1"):
        t_test([0.5])


def test_an_effect_size_of_differences_that_do_not_differ_is_undefined() -> None:
    with pytest.raises(Undefined, match="needs at least 2 differences that differ, got 3"):
        cohens_d([1.0, 1.0, 1.0])


# --- two levels


def test_without_noise_of_examples_it_is_students_t() -> None:
    point = rng(1).normal(0.2, 0.1, 5)
    found = two_level(units(point), rng(2))
    low, high = t_interval(point)
    # the quantiles of 4,000 draws: a standard error of 4 % of the half-width
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.16 * (high - low) / 2)
    assert found.p == pytest.approx(t_test(point), rel=0.25)


def test_of_a_single_unit_it_is_the_bca_interval_of_its_examples() -> None:
    right = (rng(3).random(60) < 0.9).astype(float)
    found = two_level(of_examples(right, 20_000), rng(4))
    theirs = stats.bootstrap((right,), np.mean, method="BCa", n_resamples=20_000, random_state=rng(5))
    # accuracy of 60 examples moves in steps of 1/60
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=1 / 60 + 1e-9)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=1 / 60 + 1e-9)


def test_bias_and_skew_are_corrected_as_scipy_corrects_them() -> None:
    margins = rng(3).exponential(1, 30)

    def snr(values: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(values.mean(axis) / values.std(axis, ddof=1))

    (drawn,) = resampled([Clustered(margin_snr(margins[None]), np.arange(30))], 30, 20_000, rng(2))
    found = two_level(Units(np.array([snr(margins)]), drawn.draws, drawn.left, np.zeros(1, np.int64)), rng())
    theirs, plain = (
        stats.bootstrap((margins,), snr, method=method, n_resamples=20_000, random_state=rng(1)).confidence_interval
        for method in ("BCa", "percentile")
    )
    # four standard errors of a 2.5 % quantile of 20,000 draws, ours and theirs; the percentile interval is off by 0.07
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=0.02)
    assert (found.low, found.high) != pytest.approx(tuple(plain), abs=0.06)


def test_bca_moves_with_the_skew() -> None:
    right = (rng(3).random(60) < 0.95).astype(float)
    found = two_level(of_examples(right), rng(4))
    assert found.value - found.low > found.high - found.value


def test_p_is_below_alpha_just_when_the_interval_leaves_zero_out() -> None:
    decided = set()
    for seed in range(40):
        right = (rng(seed).random((2, 300)) < [[0.80], [0.85]]).astype(float)
        one, other = of_examples(right[0], 1000), of_examples(right[1], 1000)
        found = two_level(one.minus(other), rng(seed))
        # a draw on the edge belongs to both sides
        if min(abs(found.low), abs(found.high)) > 2 / 300:
            assert (found.p <= 0.05) == (found.low > 0 or found.high < 0)
            decided.add(found.p <= 0.05)
    assert decided == {True, False}


def test_equal_rewards_do_not_differ() -> None:
    right = (rng().random(200) < 0.8).astype(float)
    found = two_level(of_examples(right).minus(of_examples(right)), rng())
    assert found == (0.0, 0.0, 0.0, 1.0)


def test_rewards_that_are_equal_up_to_rounding_do_not_differ() -> None:
    draws = rng().normal(0.8, 0.01, (4000, 1))
    one, other = (units(np.array([0.8]), found) for found in (draws, draws * (1 + 1e-7)))
    assert two_level(other.minus(one), rng()).p == 1.0


def test_units_that_differ_widen_the_interval() -> None:
    draws = rng().normal(0.5, 0.01, (4000, 1))
    near, far = (two_level(units(np.array(p), np.repeat(draws, 3, 1)), rng()) for p in ([0.5] * 3, [0.3, 0.5, 0.7]))
    assert far.high - far.low > 5 * (near.high - near.low)


def test_a_difference_far_from_zero_has_a_p_beyond_the_reach_of_the_resamples() -> None:
    draws = rng().normal(0.35, 0.01, (2000, 5))
    found = two_level(units(np.array([0.34, 0.35, 0.36, 0.35, 0.35]), draws), rng())
    assert 0 < found.p < 1e-4  # 2,000 resamples could not say less than 1/2,000


def test_a_unit_without_the_metric_makes_it_undefined() -> None:
    with pytest.raises(Undefined, match="undefined in a unit"):
        two_level(units(np.array([0.5, math.nan])), rng())


def test_resamples_without_the_metric_are_left_out_if_they_are_few() -> None:
    draws = rng().normal(0.5, 0.1, (1000, 1))
    draws[:40] = math.nan
    assert math.isfinite(two_level(units(np.array([0.5]), draws), rng()).low)
    draws[:60] = math.nan
    with pytest.raises(Undefined, match="undefined in 60 of 1000 resamples"):
        two_level(units(np.array([0.5]), draws), rng())


# --- calibration: the same code at cheaper settings than benchmarks/test_statistics.py, which has the figures


def decided(gap: float, seed: int, *, n: int = 2000, runs: int = 5, run_sd: float = 0.05) -> bool:
    """Whether two methods of five seeds on shared examples are found to differ; ``gap`` is in latent units."""
    draw = rng(seed)
    ability = 1.2 + draw.normal(0, run_sd, (2, runs)) + np.array([[0.0], [gap]])
    latent = ability[:, :, None] + draw.normal(0, 1, n) + draw.normal(0, 0.7, (2, runs, n))
    right = (latent > 0).reshape(2 * runs, n)
    (found,) = resampled([Clustered(accuracy(right), np.arange(n))], n, 200, draw)
    one, other = (
        Units(right[at].mean(1), found.draws[:, at], found.left[:, at], np.zeros(runs, np.int64))
        for at in (slice(runs), slice(runs, None))
    )
    return two_level(other.minus(one), draw).p <= 0.05


def test_equal_methods_are_called_a_tie() -> None:
    assert sum(decided(0.0, seed, n=500, run_sd=0.2) for seed in range(200)) <= 20


def test_five_points_of_accuracy_are_found() -> None:
    # 0.30 of the latent scale is five points here; 40 of the bar's 200 repeats, and so 32 of its 160
    assert sum(decided(0.30, seed) for seed in range(40)) >= 32
