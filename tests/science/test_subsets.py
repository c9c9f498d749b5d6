"""Regressions on every subset of regressors, against each one solved by itself."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from fairl_bench.science import subsets
from fairl_bench.science.subsets import explained, gains, ridged, shapley_weights


def products(n: int, k: int, draws: int, seed: int = 0) -> np.ndarray:
    """Sums of products of ``k`` regressors that go along with one another and, last, of a response."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(draws, n, k + 1))
    x[:, :, 1] += 2 * x[:, :, 0]
    x[:, :, -1] += x[:, :, :-1] @ np.linspace(-1, 1, k)
    return np.einsum("dni,dnj->dij", x, x)


def of_each_subset(groups: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    for mask in range(2 ** len(groups)):
        yield [column for i, group in enumerate(groups) if mask >> i & 1 for column in group]


def one_by_one(fitted: np.ndarray, held_out: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """What each subset explains, by a regression of its own."""
    found = np.zeros((2 ** len(groups), len(fitted)))
    for at, columns in enumerate(of_each_subset(groups)):
        if columns:
            slope = np.linalg.solve(ridged(fitted[:, columns][:, :, columns]), fitted[:, columns, -1, None])[..., 0]
            found[at] = (slope * held_out[:, columns, -1]).sum(1)
    return found


GROUPS = [[[0], [1], [2], [3], [4]], [[3, 0], [1], [4, 2]], [[2], [0, 1, 4]], [[1]], []]


@pytest.mark.parametrize("groups", GROUPS, ids=str)
def test_each_subset_explains_what_its_own_regression_does(groups: list[list[int]]) -> None:
    fitted, held_out = products(60, 5, 4), products(50, 5, 4, seed=1)
    expected = one_by_one(fitted, held_out, groups)
    np.testing.assert_allclose(explained(fitted, held_out, groups), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("groups", GROUPS, ids=str)
def test_the_shapley_values_are_the_mean_gains_over_all_orders(groups: list[list[int]]) -> None:
    fitted, held_out = products(60, 5, 3), products(50, 5, 3, seed=1)
    worth = one_by_one(fitted, held_out, groups)
    expected = np.zeros((3, len(groups)))
    for order in itertools.permutations(range(len(groups))):
        inside = 0
        for group in order:
            expected[:, group] += (worth[inside | 1 << group] - worth[inside]) / math.factorial(len(groups))
            inside |= 1 << group
    np.testing.assert_allclose(gains(fitted, held_out, groups).mean, expected, rtol=1e-10, atol=1e-10)


def test_what_a_group_adds_alone_and_beside_all_others() -> None:
    fitted, held_out, groups = products(60, 5, 3), products(50, 5, 3, seed=1), [[3, 0], [1], [4, 2]]
    worth = one_by_one(fitted, held_out, groups)
    found = gains(fitted, held_out, groups)
    np.testing.assert_allclose(found.alone.T, worth[[1, 2, 4]], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.beside.T, worth[7] - worth[[6, 5, 3]], rtol=1e-10, atol=1e-9)


def test_the_explained_sum_of_squares_is_that_of_the_fit_where_both_sets_are_one() -> None:
    fitted = products(40, 3, 2)
    gram, both = fitted[:, :-1, :-1], fitted[:, :-1, -1]
    expected = np.einsum("di,dij,dj->d", both, np.linalg.inv(gram), both)
    np.testing.assert_allclose(explained(fitted, fitted, [[0], [1], [2]])[-1], expected, rtol=1e-8)  # the tiny ridge


def test_many_draws_at_once_and_few_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted, held_out, groups = products(60, 4, 9), products(50, 4, 9, seed=1), [[0], [1], [2], [3]]
    whole = gains(fitted, held_out, groups)
    monkeypatch.setattr(subsets, "_AT_ONCE", 2 * 2**4)
    np.testing.assert_allclose(gains(fitted, held_out, groups), whole, rtol=1e-12)


def test_a_constant_and_a_copied_regressor_add_nothing_and_share() -> None:
    fitted = products(60, 3, 2)
    held_out = products(50, 3, 2, seed=1)
    for each in (fitted, held_out):
        each[:, 2], each[:, :, 2] = 0, 0  # a constant
    found = gains(fitted, held_out, [[0], [1], [2]]).mean
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 2], 0, atol=1e-12)
    twice = [0, 1, 1, 3]
    copied = gains(fitted[:, twice][:, :, twice], held_out[:, twice][:, :, twice], [[0], [1], [2]]).mean
    np.testing.assert_allclose(copied[:, 1], copied[:, 2], rtol=1e-4)  # apart by what the tiny ridge leaves of a copy


def test_the_weights_of_coalitions_give_a_constant_nothing_and_the_whole_to_all() -> None:
    for k in range(6):
        weights = shapley_weights(k)
        assert weights.shape == (k, 2**k)
        np.testing.assert_allclose(weights.sum(1), 0, atol=1e-12)
        if k:
            np.testing.assert_allclose(weights[:, -1].sum(), 1)


def test_twelve_regressors_of_a_thousand_draws_take_a_moment() -> None:
    fitted, held_out = products(60, 12, 1001), products(50, 12, 1001, seed=1)
    groups = [[column] for column in range(12)]
    started = time.process_time()
    found = gains(fitted, held_out, groups)
    assert time.process_time() - started < 2  # 0.1 s on one core; 4,096 decompositions of each draw took 9 s
    np.testing.assert_allclose(found.mean[:2], gains(fitted[:2], held_out[:2], groups).mean, rtol=1e-9, atol=1e-9)
