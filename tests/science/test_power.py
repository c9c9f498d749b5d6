"""Power, and Welch's interval from summaries, against independent implementations."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from fairl_bench.errors import Undefined
from fairl_bench.science.intervals import Summary, t_interval, welch
from fairl_bench.science.power import detectable, p_of_equivalence, power, two_sided


@pytest.mark.parametrize("effect", [0.1, 0.5, 1.2])
def test_power_is_that_of_a_normal_test(effect: float) -> None:
    # of two means of 30 each; the other tail, where the sign is wrong, is not counted
    error = math.sqrt(2 / 30)
    theirs = stats.norm.sf(stats.norm.ppf(0.975), loc=effect / error)
    # ten million degrees of freedom are the normal distribution to this
    assert power(effect, error) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("n", [3, 6, 20])
def test_power_is_that_of_students_t_where_freedom_is_little(n: int) -> None:
    # a mean of n normal draws around 1.5 by its own error; one tail at half the level
    limit = stats.t.ppf(0.95, n - 1)

    def beyond(spread: float) -> float:
        """Where the sample's standard deviation is this: chi-squared's density, by how often the mean is far enough."""
        density = 2 * spread * (n - 1) * stats.chi2.pdf((n - 1) * spread**2, n - 1)
        return float(density * stats.norm.sf(limit * spread, loc=1.5 * math.sqrt(n)))

    theirs, _ = integrate.quad(beyond, 0, math.inf, epsabs=1e-12)
    assert power(1.5, 1 / math.sqrt(n), n - 1, 0.1) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(("freedom", "off"), [(math.inf, 1e-6), (20.0, 0.01), (5.0, 0.05)])
def test_what_is_detectable_is_found_with_about_that_power(freedom: float, off: float) -> None:
    # the sum of two quantiles is exact for the normal distribution alone
    assert power(detectable(0.3, freedom, 0.01, 0.9), 0.3, freedom, 0.01) == pytest.approx(0.9, abs=off)


def test_power_of_nothing_is_nothing() -> None:
    assert math.isnan(power(math.nan, 1.0))
    assert math.isnan(power(1.0, math.nan))
    assert power(0.0, 0.0) == 0.0


def test_a_test_against_a_margin_is_scipys() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, 7)
    error = values.std(ddof=1) / math.sqrt(7)
    for margin in (0.0, 0.5):
        assert two_sided(values.mean(), error, 6, margin) == pytest.approx(stats.ttest_1samp(values, margin).pvalue)
    assert math.isnan(two_sided(0.1, math.nan, 6))
    assert two_sided(0.5, 0.0, 6, margin=0.4) == 0.0


def test_equivalence_is_two_one_sided_tests() -> None:
    values = np.random.default_rng(1).normal(0.05, 0.1, 9)
    error, margin = values.std(ddof=1) / 3, 0.2
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    assert p_of_equivalence(values.mean(), error, 8, margin) == pytest.approx(max(below, above), abs=1e-12)
    assert p_of_equivalence(0.1, 0.0, 8, margin) == 0.0
    assert math.isnan(p_of_equivalence(math.nan, 1.0, 8, margin))


def test_welch_is_scipys_from_summaries_and_from_values() -> None:
    one, other = np.array([0.81, 0.79, 0.83, 0.8]), np.array([0.7, 0.75, 0.78, 0.74, 0.79])
    mine = welch(*(Summary(x.mean(), x.std(ddof=1), x.size) for x in (one, other)))
    theirs = stats.ttest_ind(one, other, equal_var=False)
    ends = theirs.confidence_interval(0.95)
    assert mine[1:4] == pytest.approx((ends.low, ends.high, theirs.pvalue), abs=1e-12)


def test_against_an_exact_number_welch_is_students_t() -> None:
    values = np.array([0.02, -0.01, 0.05])
    mine = welch(Summary(values.mean(), values.std(ddof=1), 3), Summary(0.0))
    assert mine[1:3] == pytest.approx(t_interval(values), abs=1e-12)
    assert mine.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=1e-12)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert welch(Summary(0.5, 0.0, 3), Summary(0.4))[:4] == pytest.approx((0.1, 0.1, 0.1, 0.0))


def test_two_single_values_have_no_interval() -> None:
    with pytest.raises(Undefined, match="needs several values of at least one side"):
        welch(Summary(0.5), Summary(0.4))
