from __future__ import annotations

import itertools

import numpy as np
import pytest

from fairl_bench.science.ranks import Place, holm, places


@pytest.mark.parametrize("n", [0, 1, 2, 10])
def test_holm_is_the_closure_of_bonferroni(n: int) -> None:
    """A hypothesis is rejected where Bonferroni rejects each intersection that it is part of (Marcus et al. 1976)."""
    p = np.random.default_rng(n).random(n) ** 3
    sets = [one for size in range(1, n + 1) for one in itertools.combinations(range(n), size)]
    of_set = {one: min(1.0, len(one) * min(p[i] for i in one)) for one in sets}
    assert holm(p) == pytest.approx([max(of_set[one] for one in sets if i in one) for i in range(n)], abs=1e-12)


def test_holm_keeps_ties_and_never_exceeds_one() -> None:
    assert holm([0.4, 0.4, 0.9]) == [1.0, 1.0, 1.0]
    assert holm([0.01, 0.01]) == [0.02, 0.02]


def ranks(
    values: list[float], p: dict[tuple[int, int], float], alpha: float = 0.05, *, higher: bool = True
) -> list[int]:
    return [place.rank for place in places(values, p, alpha, higher=higher)]


def test_methods_that_do_not_differ_from_the_best_share_its_rank() -> None:
    p = {(0, 1): 0.5, (0, 2): 0.04, (1, 2): 0.6}
    # 2 does not differ from 1 either, but ranks go by the best
    assert ranks([0.9, 0.89, 0.8], p) == [1, 1, 3]


def test_the_next_rank_is_led_by_the_best_of_those_left() -> None:
    p = {(0, 1): 0.001, (0, 2): 0.001, (0, 3): 0.001, (1, 2): 0.4, (1, 3): 0.001, (2, 3): 0.001}
    assert ranks([0.9, 0.8, 0.79, 0.1], p) == [1, 2, 2, 4]


def test_a_noisy_method_below_one_that_is_worse_is_no_equal_of_the_best() -> None:
    p = {(0, 1): 0.001, (0, 2): 0.4, (1, 2): 0.9}
    found = places([0.76, 0.70, 0.50], p)
    assert found == [Place(1, False), Place(2, True), Place(2, False)]


def test_ranks_never_rise_where_values_fall() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = rng.normal(size=7).tolist()
        p = {pair: float(rng.random() ** 3) for pair in itertools.combinations(range(7), 2)}
        found = [places(values, p)[i].rank for i in np.argsort(values)[::-1]]
        assert found == sorted(found)
        assert found[0] == 1


def test_lower_may_be_better() -> None:
    p = {(0, 1): 0.001}
    assert ranks([0.7, 0.6], p, higher=False) == [2, 1]
    assert ranks([0.7, 0.6], p) == [1, 2]


def test_what_was_not_compared_shows_no_difference() -> None:
    assert ranks([0.9, 0.1], {}) == [1, 1]
    assert places([], {}) == []


def test_alpha_is_the_level() -> None:
    assert ranks([0.9, 0.1], {(0, 1): 0.04}, alpha=0.01) == [1, 1]


def test_ranks_go_with_their_methods_in_any_order() -> None:
    values, pairs = [0.5, 0.9, 0.7], {(0, 1): 0.01, (0, 2): 0.01, (1, 2): 0.01}
    for order in itertools.permutations(range(3)):
        assert ranks([values[i] for i in order], pairs) == [[3, 1, 2][i] for i in order]
