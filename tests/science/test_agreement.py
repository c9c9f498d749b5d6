from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairl_bench.errors import NotFinite, Undefined
from fairl_bench.science.agreement import epic, kendall, margin_snr, pearson, spearman

Measure = Callable[..., float]

# Whole numbers in a narrow range tie often, and none is constant only up to rounding; float64 identities hold to 1e-12.
whole = st.integers(-20, 20).map(float)
two = (
    st.integers(2, 12)
    .flatmap(lambda n: arrays(np.float64, (2, n), elements=whole, fill=st.nothing()))
    .filter(lambda rows: bool((np.ptp(rows, axis=1) > 0).all()))
)
TOLERANCE = 1e-12
few = settings(max_examples=25)  # for each of several measures: scipy's take a millisecond a call


def kendall_by_pairs(reward: np.ndarray, truth: np.ndarray) -> float:
    """τ-b from its definition, over all pairs of examples."""
    i, j = np.triu_indices(reward.size, k=1)
    first, second = np.sign(reward[i] - reward[j]), np.sign(truth[i] - truth[j])
    return float((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))


@given(two)
def test_correlations_equal_independent_forms(rows: np.ndarray) -> None:
    assert pearson(*rows) == pytest.approx(np.corrcoef(rows)[0, 1], abs=TOLERANCE)
    assert spearman(*rows) == pytest.approx(pearson(*map(scipy.stats.rankdata, rows)), abs=TOLERANCE)
    assert kendall(*rows) == pytest.approx(kendall_by_pairs(*rows), abs=TOLERANCE)


@given(two)
def test_epic_is_the_root_of_half_of_one_minus_rho(rows: np.ndarray) -> None:
    # squared: the root would turn a rounding of 1e-16 near rho = 1 into 1e-8
    assert epic(*rows) ** 2 == pytest.approx((1 - np.corrcoef(rows)[0, 1]) / 2, abs=TOLERANCE)


@given(two)
def test_epic_runs_from_zero_at_the_reward_itself_to_one_at_its_negation(rows: np.ndarray) -> None:
    assert epic(rows[0], rows[0]) == 0
    assert epic(rows[0], -rows[0]) == pytest.approx(1, abs=TOLERANCE)
    assert 0 <= epic(*rows) <= 1 + TOLERANCE


@pytest.mark.parametrize("measure", [pearson, spearman, kendall])
@few
@given(two)
def test_correlations_are_odd_symmetric_and_at_most_one(measure: Measure, rows: np.ndarray) -> None:
    reward, truth = rows
    value = measure(reward, truth)
    assert abs(value) <= 1
    assert measure(truth, reward) == pytest.approx(value, abs=TOLERANCE)
    assert measure(-reward, truth) == pytest.approx(-value, abs=TOLERANCE)
    assert measure(reward, reward) == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.parametrize("measure", [pearson, epic, spearman, kendall])
@few
@given(two, st.integers(1, 20), st.integers(-100, 100))
def test_agreement_ignores_positive_affine_maps(measure: Measure, rows: np.ndarray, scale: int, shift: int) -> None:
    reward, truth = rows
    assert measure(scale * reward + shift, truth) == pytest.approx(measure(reward, truth), abs=TOLERANCE)


@few
@given(two)
def test_rank_correlations_alone_ignore_monotone_maps(rows: np.ndarray) -> None:
    reward, truth = rows
    for measure in (spearman, kendall):
        assert measure(reward**3, truth) == measure(reward, truth)
    assert pearson([0, 1, 2], [0, 1, 2]) > 0.999 > pearson([0, 1, 8], [0, 1, 2])


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_scales_neither_overflow_nor_vanish(scale: float) -> None:
    reward, truth = np.random.default_rng(0).normal(size=(2, 50))
    assert pearson(scale * reward, truth) == pytest.approx(pearson(reward, truth), abs=TOLERANCE)
    assert epic(scale * reward, truth) == pytest.approx(epic(reward, truth), abs=TOLERANCE)


def test_two_correlations_by_hand() -> None:
    reward, truth = [1, 2, 3, 4], [1, 2, 4, 3]
    assert pearson(reward, truth) == pytest.approx(0.8)
    assert spearman(reward, truth) == pytest.approx(0.8)
    assert kendall(reward, truth) == pytest.approx(2 / 3)  # five pairs agree, one does not
    assert epic(reward, truth) == pytest.approx(np.sqrt(0.1))


# --- margins


def test_margin_snr_is_the_t_statistic_over_root_n() -> None:
    margin = np.random.default_rng(0).normal(0.3, 1.0, 50)
    t = scipy.stats.ttest_1samp(margin, 0.0).statistic
    assert margin_snr(margin) == pytest.approx(t / np.sqrt(50), abs=TOLERANCE)


@given(two, st.integers(1, 20))
def test_margin_snr_ignores_the_scale_and_follows_the_sign(rows: np.ndarray, scale: int) -> None:
    margin = rows[0]
    assert margin_snr(scale * margin) == pytest.approx(margin_snr(margin), abs=TOLERANCE)
    assert margin_snr(-margin) == -margin_snr(margin)


def test_margins_equal_up_to_rounding_have_no_snr() -> None:
    with pytest.raises(Undefined, match=r"margins that differ, got 3 equal to 0\.3"):
        margin_snr([0.1 + 0.2, 0.3, 0.3])


def test_a_single_margin_has_no_snr() -> None:
    with pytest.raises(Undefined, match="at least 2 margins, got 1"):
        margin_snr([0.5])


# --- what is refused


@pytest.mark.parametrize("measure", [pearson, epic, spearman, kendall])
def test_agreement_with_a_constant_is_undefined(measure: Measure) -> None:
    with pytest.raises(Undefined, match=r"needs a reward that varies, got 3 values equal to 2\.5"):
        measure([2.5, 2.5, 2.5], [0, 1, 2])
    with pytest.raises(Undefined, match=r"needs a truth that varies, got 3 values equal to 0\.3"):
        measure([0, 1, 2], [0.3, 0.1 + 0.2, 0.3])  # rounding is no signal, not even to ranks


@pytest.mark.parametrize("measure", [pearson, epic, spearman, kendall])
def test_fewer_than_two_examples_are_undefined(measure: Measure) -> None:
    with pytest.raises(Undefined, match="reward needs at least one value, got 0"):
        measure([], [])
    with pytest.raises(Undefined, match="needs at least 2 examples, got 1"):
        measure([1.0], [2.0])


@pytest.mark.parametrize("measure", [pearson, epic, spearman, kendall])
def test_nan_and_unequal_lengths_are_refused(measure: Measure) -> None:
    with pytest.raises(NotFinite, match="reward must be finite, got 2 NaN or infinite of 3 values"):
        measure([np.nan, np.inf, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="one value an example, got 3 and 2"):
        measure([0, 1, 2], [0, 1])
