from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fairl_bench.errors import Undefined
from fairl_bench.science.disagreement import (
    FEW,
    Counts,
    cohens_g,
    counts,
    difference_in_points,
    mcnemar,
    relative_gain,
)

PAPER = Counts(both=7245, first=457, second=1001, neither=1297)  # Table 2, test; first is IRL, second FA-IRL


def test_counts_add_up_to_all_examples() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random(500) < 0.8, rng.random(500) < 0.7
    found = counts(one, other)
    assert found.n == 500
    assert found.both + found.first == one.sum()
    assert found.both + found.second == other.sum()


def test_the_papers_table_2_gives_its_own_numbers() -> None:
    assert PAPER.n == 10_000
    assert PAPER.second - PAPER.first == 544
    assert difference_in_points(PAPER) == pytest.approx(5.44, abs=1e-9)
    found = mcnemar(PAPER)
    assert (round(found.uncorrected, 1), round(found.corrected, 1)) == (203.0, 202.2)
    assert found.p < 1e-40
    assert not found.exact


def test_the_statistic_by_hand() -> None:
    found = mcnemar(Counts(0, 30, 50, 0))
    assert found.uncorrected == pytest.approx((50 - 30) ** 2 / 80)
    assert found.corrected == pytest.approx((50 - 30 - 1) ** 2 / 80)


@pytest.mark.parametrize(("first", "second"), [(3, 9), (12, FEW - 13), (12, FEW - 12), (40, 70)])
def test_p_is_exact_for_small_counts(first: int, second: int) -> None:
    found = mcnemar(Counts(10, first, second, 10))
    exact = first + second < FEW
    by_counting = stats.binomtest(first, first + second).pvalue
    by_chi_squared = stats.chi2.sf((abs(first - second) - 1) ** 2 / (first + second), 1)
    assert found.exact == exact
    assert found.p == pytest.approx(by_counting if exact else by_chi_squared, abs=1e-12)


@pytest.mark.parametrize(("each", "corrected"), [(3, 1 / 6), (40, 1 / 80)])
def test_as_many_on_either_side_is_no_evidence(each: int, corrected: float) -> None:
    found = mcnemar(Counts(10, each, each, 10))
    assert (found.uncorrected, found.corrected) == (0.0, corrected)
    assert found.p == (1.0 if found.exact else pytest.approx(stats.chi2.sf(corrected, 1), abs=1e-12))


def test_methods_that_never_disagree_do_not_differ() -> None:
    assert mcnemar(Counts(10, 0, 0, 5)) == (0.0, 0.0, 1.0, True)


def test_turning_the_methods_around_turns_the_sign() -> None:
    turned = Counts(PAPER.both, PAPER.second, PAPER.first, PAPER.neither)
    assert difference_in_points(turned) == -difference_in_points(PAPER)
    assert cohens_g(turned) == pytest.approx(-cohens_g(PAPER))
    assert mcnemar(turned) == mcnemar(PAPER)


@pytest.mark.parametrize(
    ("function", "empty", "said"),
    [
        (difference_in_points, Counts(0, 0, 0, 0), "a difference in accuracy needs examples, got none"),
        (relative_gain, Counts(0, 0, 4, 4), "needs an example that the first method has right, got none"),
        (cohens_g, Counts(4, 0, 0, 4), "needs an example that one method alone has right, got none"),
    ],
)
def test_a_gain_of_nothing_is_undefined(function: object, empty: Counts, said: str) -> None:
    with pytest.raises(Undefined, match=said):
        function(empty)  # type: ignore[operator]
