from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from fairl_bench.errors import Undefined
from fairl_bench.science.intervals import bootstrap, bounded, cohens_d, t_interval
from fairl_bench.science.resampling import Clustered, accuracy, margin_snr, resampled

Rng = np.random.Generator


def rng(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


class Drawn(NamedTuple):
    """A number of one run, under resampled examples."""

    value: float
    draws: np.ndarray
    left: np.ndarray

    def minus(self, other: Drawn) -> Drawn:
        return Drawn(self.value - other.value, self.draws - other.draws, self.left - other.left)


def of_examples(right: np.ndarray, resamples: int = 4000, seed: int = 0) -> Drawn:
    """An accuracy over examples."""
    (found,) = resampled([Clustered(accuracy(right[None]), np.arange(len(right)))], len(right), resamples, rng(seed))
    return Drawn(right.mean(), found.draws[:, 0], found.left[:, 0])


# --- Student's t


def test_the_t_interval_is_scipys() -> None:
    values = rng().normal(0.3, 1, 7)
    test = stats.ttest_1samp(values, 0)
    assert t_interval(values) == pytest.approx(tuple(test.confidence_interval()), abs=1e-12)


def test_one_run_has_no_interval() -> None:
    with pytest.raises(Undefined, match="needs at least 2, got 1"):
        t_interval([0.5])


def test_an_effect_size_of_differences_that_do_not_differ_is_undefined() -> None:
    with pytest.raises(Undefined, match="needs at least 2 differences that differ, got 3"):
        cohens_d([1.0, 1.0, 1.0])


# --- inside the bounds


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (0.0, 2.0), (-1.0, 1.0)])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.97])
@pytest.mark.parametrize("half", [0.0, 0.001, 0.3, 50.0])
def test_an_interval_stays_inside_the_bounds_and_around_its_value(
    bounds: tuple[float, float], share: float, half: float
) -> None:
    value = bounds[0] + share * (bounds[1] - bounds[0])
    low, high = bounded(value, half, bounds)
    assert bounds[0] <= low <= value + 1e-15 <= high + 2e-15 <= bounds[1] + 3e-15


def test_a_narrow_interval_is_hardly_bent() -> None:
    assert bounded(0.8, 1e-4, (0.0, 1.0)) == pytest.approx((0.8 - 1e-4, 0.8 + 1e-4), abs=1e-7)


def test_between_minus_one_and_one_it_is_fishers_z() -> None:
    rho, half = 0.9, 0.05
    z, step = math.atanh(rho), half / (1 - rho**2)
    assert bounded(rho, half, (-1.0, 1.0)) == pytest.approx((math.tanh(z - step), math.tanh(z + step)), abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_value_on_a_bound_has_an_interval_from_there(value: float) -> None:
    low, high = bounded(value, 0.1, (0.0, 1.0))
    assert (low, high) == pytest.approx((max(0.0, value - 0.1), min(1.0, value + 0.1)))


# --- the bootstrap of one run's examples


def test_it_is_the_bca_interval_of_its_examples() -> None:
    right = (rng(3).random(60) < 0.9).astype(float)
    found = bootstrap(*of_examples(right, 20_000))
    theirs = stats.bootstrap((right,), np.mean, method="BCa", n_resamples=20_000, random_state=rng(5))
    # accuracy of 60 examples moves in steps of 1/60
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=1 / 60 + 1e-9)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=1 / 60 + 1e-9)
    # the standard deviation of 20,000 draws, to half a percent
    assert found.error == pytest.approx(right.std() / math.sqrt(60), rel=0.02)
    assert found.freedom == math.inf


def test_bias_and_skew_are_corrected_as_scipy_corrects_them() -> None:
    margins = rng(3).exponential(1, 30)

    def snr(values: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(values.mean(axis) / values.std(axis, ddof=1))

    (drawn,) = resampled([Clustered(margin_snr(margins[None]), np.arange(30))], 30, 20_000, rng(2))
    found = bootstrap(float(snr(margins)), drawn.draws[:, 0], drawn.left[:, 0])
    theirs, plain = (
        stats.bootstrap((margins,), snr, method=method, n_resamples=20_000, random_state=rng(1)).confidence_interval
        for method in ("BCa", "percentile")
    )
    # four standard errors of a 2.5 % quantile of 20,000 draws, ours and theirs; the percentile interval is off by 0.07
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=0.02)
    assert (found.low, found.high) != pytest.approx(tuple(plain), abs=0.06)


def test_bca_moves_with_the_skew() -> None:
    right = (rng(3).random(60) < 0.95).astype(float)
    found = bootstrap(*of_examples(right))
    assert found.value - found.low > found.high - found.value


def test_p_is_below_alpha_just_when_the_interval_leaves_zero_out() -> None:
    decided = set()
    for seed in range(40):
        right = (rng(seed).random((2, 300)) < [[0.80], [0.85]]).astype(float)
        one, other = of_examples(right[0], 1000), of_examples(right[1], 1000)
        found = bootstrap(*one.minus(other))
        # a draw on the edge belongs to both sides
        if min(abs(found.low), abs(found.high)) > 2 / 300:
            assert (found.p <= 0.05) == (found.low > 0 or found.high < 0)
            decided.add(found.p <= 0.05)
    assert decided == {True, False}


def test_equal_rewards_do_not_differ() -> None:
    right = (rng().random(200) < 0.8).astype(float)
    found = bootstrap(*of_examples(right).minus(of_examples(right)))
    assert found[:4] == (0.0, 0.0, 0.0, 1.0)


def test_a_difference_far_from_zero_has_a_p_beyond_the_reach_of_the_resamples() -> None:
    draws = rng().normal(0.35, 0.05, 2000)
    found = bootstrap(0.35, draws, np.array([0.34, 0.36]))
    assert 0 < found.p < 1e-4  # 2,000 resamples could not say less than 1/2,000


def test_resamples_without_the_metric_are_left_out_if_they_are_few() -> None:
    draws, left = rng().normal(0.5, 0.1, 1000), np.array([0.5, 0.5])
    draws[:40] = math.nan
    assert math.isfinite(bootstrap(0.5, draws, left).low)
    draws[:60] = math.nan
    with pytest.raises(Undefined, match="undefined in 60 of 1000 resamples"):
        bootstrap(0.5, draws, left)
