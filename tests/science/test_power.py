"""Power, and Welch's interval from summaries, against independent implementations."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower

from fairl_bench.errors import Undefined
from fairl_bench.science.intervals import Summary, t_interval, t_test, welch
from fairl_bench.science.power import detectable, power, shifted_p, standard_error


@pytest.mark.parametrize("effect", [0.1, 0.5, 1.2])
def test_power_is_that_of_a_normal_test(effect: float) -> None:
    # a difference of two means of n each has the standard error sqrt(2 / n); the other tail adds what we leave out
    n = 30
    theirs = NormalIndPower().power(effect, n, 0.05, ratio=1, alternative="two-sided")
    error = math.sqrt(2 / n)
    other_tail = stats.norm.cdf(-effect / error - stats.norm.ppf(0.975))
    assert power(effect, error) == pytest.approx(theirs - other_tail, abs=1e-9)


def test_what_is_detectable_is_found_with_that_power() -> None:
    assert power(detectable(0.3, 0.01, 0.9), 0.3, 0.01) == pytest.approx(0.9, abs=1e-12)


def test_power_of_nothing_is_nothing() -> None:
    assert math.isnan(power(math.nan, 1.0))
    assert math.isnan(power(1.0, math.nan))
    assert power(0.0, 0.0) == 0.0


def test_a_standard_error_is_the_one_of_a_normal_interval() -> None:
    low, high = stats.norm.interval(0.9, 3.0, 0.25)
    assert standard_error(low, high, 0.9) == pytest.approx(0.25, abs=1e-12)
    assert shifted_p(0.5, 0.25) == pytest.approx(2 * stats.norm.sf(2), abs=1e-12)


def test_welch_is_scipys_from_summaries_and_from_values() -> None:
    one, other = np.array([0.81, 0.79, 0.83, 0.8]), np.array([0.7, 0.75, 0.78, 0.74, 0.79])
    mine = welch(*(Summary(x.mean(), x.std(ddof=1), x.size) for x in (one, other)))
    theirs = stats.ttest_ind(one, other, equal_var=False)
    ends = theirs.confidence_interval(0.95)
    assert mine[1:] == pytest.approx((ends.low, ends.high, theirs.pvalue), abs=1e-12)


def test_against_an_exact_number_welch_is_students_t() -> None:
    values = np.array([0.02, -0.01, 0.05])
    mine = welch(Summary(values.mean(), values.std(ddof=1), 3), Summary(0.0))
    assert mine[1:3] == pytest.approx(t_interval(values), abs=1e-12)
    assert mine.p == pytest.approx(t_test(values), abs=1e-12)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert welch(Summary(0.5, 0.0, 3), Summary(0.4)) == pytest.approx((0.1, 0.1, 0.1, 0.0))


def test_two_single_values_have_no_interval() -> None:
    with pytest.raises(Undefined, match="needs several values of at least one side"):
        welch(Summary(0.5), Summary(0.4))
