"""How much likelier a text is as the best of n, against what counting every possibility gives."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.science.best_of_n import Floats, log_ratio
from fairl_bench.science.realignment import best_of_kl

CHANCE = np.array([0.3, 0.2, 0.1, 0.25, 0.15])  # of five texts
VALUE = np.array([0.0, 1.0, 1.0, 1.0, 2.0])  # three of them are liked equally


def best(n: int) -> Floats:
    """The exact chance of each text to be the first of highest value among n, by all of the 5^n possibilities."""
    found = np.zeros(len(CHANCE))
    for texts in product(range(len(CHANCE)), repeat=n):
        rows = list(texts)
        found[rows[int(VALUE[rows].argmax())]] += CHANCE[rows].prod()
    return found


def ratio(value: Floats, n: int) -> Floats:
    """The formula with the true distribution of values."""
    up_to, below = (np.array([CHANCE[test].sum() for test in tests]) for tests in _tests(value))
    return (up_to**n - below**n) / (up_to - below)


def _tests(value: Floats) -> tuple[list[Floats], list[Floats]]:
    return [one >= VALUE for one in value], [one > VALUE for one in value]


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_formula_is_exact_for_texts_that_are_liked_equally_too(n: int) -> None:
    assert best(n).sum() == pytest.approx(1.0, abs=1e-12)
    assert best(n) / CHANCE == pytest.approx(ratio(VALUE, n), abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_with_very_many_draws_the_estimate_is_the_formula(n: int) -> None:
    draws = np.repeat(VALUE, (CHANCE * 1_000_000).astype(int))
    assert log_ratio(VALUE, draws, n) == pytest.approx(np.log(ratio(VALUE, n)), abs=1e-5)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_divergence_is_below_its_bound_and_reaches_it_where_no_two_texts_are_liked_equally(n: int) -> None:
    kl = float(best(n) @ np.log(best(n) / CHANCE))
    assert 0 < kl < best_of_kl(n) - 0.01
    level = (np.arange(100_000) + 0.5) / 100_000  # values of no two equal
    density = n * level ** (n - 1)
    assert float(np.mean(density * np.log(density))) == pytest.approx(best_of_kl(n), abs=1e-4)


def errors(value: float, exact: float, draws: int, n: int, sampled: Floats) -> tuple[float, float]:
    """The mean error of the estimate over ``sampled [repeats, draws]``, and its standard error."""
    found = np.array([log_ratio(np.array([value]), row, n)[0] for row in sampled]) - exact
    return float(found.mean()), float(found.std() / len(found) ** 0.5)


@pytest.mark.parametrize("level", [0.3, 0.6, 0.95])
def test_without_equal_values_it_is_too_low_by_the_same_amount_everywhere(level: float) -> None:
    n, draws = 3, 32
    sampled = np.random.default_rng(1).random((20_000, draws))
    mean, noise = errors(level, float(np.log(n * level ** (n - 1))), draws, n, sampled)
    told = -(n - 1) / (2 * draws)
    assert abs(mean - told) < 4 * noise + 0.003  # the next term is of the order of 1 / draws^2
    assert mean < -4 * noise  # and it is there


def test_of_a_lowest_value_that_many_share_it_is_too_high_by_little() -> None:
    n, draws, share = 3, 64, 0.3
    sampled = np.random.default_rng(2).choice(VALUE, (20_000, draws), p=CHANCE)
    mean, noise = errors(0.0, float(np.log(ratio(VALUE[:1], n)[0])), draws, n, sampled)
    assert abs(mean - (n - 1) * (1 - share) / (2 * draws * share)) < 4 * noise + 0.01
    assert mean > 4 * noise


@pytest.mark.parametrize(("n", "draws"), [(3, 8), (3, 64), (8, 16)])
def test_it_tells_the_best_from_one_draw_nearly_as_often_as_the_values_do(n: int, draws: int) -> None:
    rng = np.random.default_rng(3)
    pairs = 60_000
    chosen, other, sampled = rng.random((pairs, n)).max(1), rng.random(pairs), rng.random((pairs, draws))
    levels = [(sampled < side[:, None]).sum(1) for side in (chosen, other)]  # all that the estimate depends on
    by_values = chosen > other
    by_estimate = np.where(levels[0] == levels[1], 0.5, levels[0] > levels[1])
    noise = (n / (n + 1) ** 2 / pairs) ** 0.5
    assert abs(by_values.mean() - n / (n + 1)) < 4 * noise
    lost = by_values.mean() - by_estimate.mean()
    assert lost + 4 * noise >= 0
    assert lost < n / (2 * draws**2) + 4 * float(np.std(by_values - by_estimate)) / pairs**0.5


VALUES = st.lists(st.floats(-3, 3), min_size=1, max_size=8).map(np.array)


@given(VALUES, VALUES, st.integers(1, 2000))
def test_it_is_bounded_and_never_falls_where_the_value_rises(value: Floats, draws: Floats, n: int) -> None:
    found = log_ratio(np.sort(value), draws, n)
    assert np.isfinite(found).all()
    assert (np.diff(found) >= -1e-9 * n).all()
    assert (found <= np.log(n) + 1e-9 * n).all()
    assert (found >= -(n - 1) * np.log(len(draws) + 1) - 1e-9 * n).all()


def test_one_draw_is_no_likelier_than_itself() -> None:
    assert log_ratio(VALUE, np.array([1.0, 5.0]), 1).tolist() == [0.0] * 5
