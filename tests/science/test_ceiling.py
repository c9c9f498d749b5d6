from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fairl_bench.errors import Undefined
from fairl_bench.science.ceiling import COIN, Errors, share, share_over_units
from fairl_bench.science.resampling import Clustered, accuracy, resampled

Rng = np.random.Generator


def rng(seed: int = 0) -> Rng:
    return np.random.default_rng(seed)


def worlds(n: int, of: float = 0.7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The pair accuracies of a method that reaches this share, and of the ceiling, as six detox worlds spread them."""
    draws = rng(seed)
    ceiling = 0.28 + 0.03 * draws.normal(size=n)
    return COIN + of * ceiling + 0.015 * draws.normal(size=n), COIN + ceiling


# --- by hand


def test_the_share_is_the_part_of_the_way_from_a_coin_to_the_ceiling() -> None:
    assert share(0.70, 0.78).value == pytest.approx(5 / 7, abs=1e-12)


def test_an_exact_ceiling_leaves_the_interval_of_the_accuracy_on_another_scale() -> None:
    found = share(0.7, 0.75, [Errors(accuracy=0.01**2)])
    half = stats.norm.ppf(0.975) * 0.01 / 0.25
    # the normal distribution is Student's of ten million degrees of freedom
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=1e-7)
    assert found.error == pytest.approx(0.04, abs=1e-12)


def test_the_share_of_means_over_worlds_is_a_ratio_of_means() -> None:
    found = share_over_units([0.58, 0.60, 0.65], [0.70, 0.70, 0.75])
    assert found.value == pytest.approx(0.33 / 0.65, abs=1e-12)  # the mean of the ratios would be 0.5


def test_fiellers_ends_are_where_a_paired_t_test_no_longer_rejects() -> None:
    one, other = worlds(6)
    found = share_over_units(one, other)
    for end in (found.low, found.high):
        rest = (one - COIN) - end * (other - COIN)
        # float64: the quadratic's root, far from a double one
        assert stats.ttest_1samp(rest, 0).pvalue == pytest.approx(0.05, abs=1e-9)
    assert found.low < found.value < found.high


def test_each_cause_of_error_reaches_as_far_as_its_own_degrees_of_freedom() -> None:
    seeds, examples = Errors(accuracy=0.01**2, freedom=2.0), Errors(accuracy=0.02**2)
    found = share(0.7, 0.75, [seeds, examples])
    half = math.hypot(stats.t.ppf(0.975, 2) * 0.01, stats.norm.ppf(0.975) * 0.02) / 0.25
    # the normal distribution is Student's of ten million degrees of freedom
    assert (found.low, found.high) == pytest.approx((0.8 - half, 0.8 + half), abs=1e-7)
    assert found.error == pytest.approx(math.hypot(0.01, 0.02) / 0.25, abs=1e-12)
    assert found.freedom == 2


def test_errors_of_units_are_those_of_numpys_covariance() -> None:
    one, other = worlds(6)
    expected = np.cov(one, other) / 6
    # float64 sums
    assert Errors.of_units(one, other)[:3] == pytest.approx((expected[0, 0], expected[1, 1], expected[0, 1]), abs=1e-15)
    assert Errors.of_units(one, other).freedom == 5


# --- identities


def test_the_share_of_the_ceiling_itself_is_exactly_one() -> None:
    _, ceiling = worlds(6)
    assert share_over_units(ceiling, ceiling)[:3] == (1.0, 1.0, 1.0)
    assert share_over_units(ceiling, ceiling).error == 0


def test_the_share_of_a_coin_is_exactly_zero() -> None:
    _, ceiling = worlds(6)
    assert share_over_units(np.full(6, COIN), ceiling)[:3] == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("scale", [0.1, 1.5])
def test_the_share_does_not_change_where_both_are_stretched_around_one_half(scale: float) -> None:
    one, other = worlds(6)
    stretched = share_over_units(COIN + scale * (one - COIN), COIN + scale * (other - COIN))
    found = share_over_units(one, other)
    # float64: the stretched numbers round
    assert stretched[:3] == pytest.approx(found[:3], rel=1e-9)


def test_a_coin_that_is_worse_than_a_coin_has_a_negative_share() -> None:
    assert share(0.45, 0.75).value == pytest.approx(-0.2, abs=1e-12)


def test_a_share_may_exceed_one() -> None:
    assert share(0.80, 0.78).value == pytest.approx(0.30 / 0.28, abs=1e-12)


# --- where there is none


def test_a_ceiling_that_is_not_shown_to_lie_above_one_half_gives_no_share() -> None:
    said = r"the ceiling, 0\.600, is not shown to lie above ½ \(its standard error is 0\.100 with 1 degree of freedom\)"
    with pytest.raises(Undefined, match=said):
        share_over_units([0.55, 0.6], [0.5, 0.7])


def test_a_ceiling_below_one_half_gives_no_share() -> None:
    with pytest.raises(
        Undefined, match=r"the ceiling, 0\.400, is not shown to lie above ½ \(its standard error is 0\.000\)"
    ):
        share(0.45, 0.4)


def test_a_ceiling_of_one_half_gives_no_share() -> None:
    with pytest.raises(Undefined, match=r"the ceiling, 0\.500, is not shown to lie above ½"):
        share(0.5, 0.5)


def test_the_interval_grows_without_end_as_the_ceiling_comes_down_to_one_half() -> None:
    widths = []
    for below in (0.2, 0.05, 0.021, 0.0197):  # 1.96 standard errors are 0.0196
        found = share(COIN + 0.01, COIN + below, [Errors(accuracy=1e-4, ceiling=1e-4)])
        widths.append(found.high - found.low)
    assert widths == sorted(widths)
    assert widths[-1] > 50


def test_one_world_has_no_interval_over_worlds() -> None:
    with pytest.raises(Undefined, match="needs at least 2, got 1"):
        share_over_units([0.7], [0.8])


def test_other_units_are_refused() -> None:
    with pytest.raises(ValueError, match=r"need the same units, got \(2,\) and \(3,\)"):
        share_over_units([0.7, 0.7], [0.8, 0.8, 0.8])


# --- how often it is right


@pytest.mark.parametrize("n", [2, 3, 6])
def test_intervals_over_worlds_hold_the_true_share_as_often_as_they_say(n: int) -> None:
    held = []
    for repeat in range(1500):
        try:
            found = share_over_units(*worlds(n, seed=repeat))
        except Undefined:  # a few worlds whose ceilings differ much
            continue
        held.append(found.low <= 0.7 <= found.high)
    assert len(held) >= 1000
    # nominally 0.95; three standard errors over 1000 repeats are 0.021
    assert np.mean(held) >= 0.93


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("part", [0.0, 0.3, 3.0])
def test_intervals_of_seeds_that_share_their_pairs_hold_the_true_share_as_often_as_they_say(
    seeds: int, part: float
) -> None:
    draws, held = rng(seeds), []
    error = 0.02  # of both accuracies by the pairs, half of it shared; ``part`` is that of the seeds' mean
    for _ in range(1000):
        common, mine, its = draws.normal(size=3) * error / math.sqrt(2)
        ceiling = 0.78 + common + its
        own = 0.70 + common + mine + draws.normal(size=seeds) * error * math.sqrt(part * seeds)
        pairs = Errors(error**2, error**2, error**2 / 2)
        found = share(own.mean(), ceiling, [pairs, Errors.of_units(own, np.full(seeds, ceiling))])
        held.append(found.low <= 0.2 / 0.28 <= found.high)
    # nominally 0.95; three standard errors over 1000 repeats are 0.021
    assert np.mean(held) >= 0.93


def test_intervals_over_resampled_prompts_hold_the_true_share_as_often_as_they_say() -> None:
    held, repeats, prompts = 0, 400, 150
    for repeat in range(repeats):
        draws = rng(repeat)
        # two pairs a prompt, which are easy together; the ceiling is right in 0.78 of them, the method in 0.70
        easy = np.repeat(draws.normal(size=prompts), 2)
        right = np.stack(
            [
                (0.5 * easy + math.sqrt(0.75) * draws.normal(size=2 * prompts)) < stats.norm.ppf(part)
                for part in (0.70, 0.78)
            ]
        )
        cluster = np.repeat(np.arange(prompts), 2)
        (found,) = resampled([Clustered(accuracy(right), cluster)], prompts, 300, draws)
        estimate = share(*right.mean(1), [Errors.of_draws(*found.draws.T)])
        held += estimate.low <= 0.2 / 0.28 <= estimate.high
    # nominally 0.95; two standard errors over 400 repeats are 0.022
    assert held / repeats >= 0.93


def test_a_share_of_clusters_as_large_as_the_sample_is_noisier_than_that_of_single_pairs() -> None:
    draws = rng(5)
    right = draws.random((2, 400)) < np.array([[0.7], [0.78]])
    right = np.repeat(right, 4, axis=1)  # every pair four times
    widths = []
    for cluster in (np.arange(1600), np.repeat(np.arange(400), 4)):
        (found,) = resampled([Clustered(accuracy(right), cluster)], cluster.max() + 1, 1000, rng())
        estimate = share(*right.mean(1), [Errors.of_draws(*found.draws.T)])
        widths.append(estimate.high - estimate.low)
    # four times as many pairs as there are: half the width; a bootstrap of 1000 knows a width to 3 %
    assert widths[1] / widths[0] == pytest.approx(2.0, rel=0.15)
