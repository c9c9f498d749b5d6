from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as ReferenceRidge

from fairl_bench.errors import FairlError
from fairl_bench.science.ridge import PENALTIES, Ridge, Spectrum, gcv, ridge

Array = NDArray[np.float64]
SHAPES = pytest.mark.parametrize(("n", "d"), [(40, 5), (9, 30), (12, 12)], ids=["tall", "wide", "square"])


def problem(n: int, d: int, seed: int = 0) -> tuple[Array, Array]:
    """Columns of different means and scales, correlated, and a noisy linear target."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * rng.uniform(0.1, 10, d) + rng.normal(size=d)
    return x, x @ rng.normal(size=d) / d + rng.normal(size=n) + 3


def standardised(x: Array) -> Array:
    centred = x - x.mean(0)
    return centred / np.sqrt((centred**2).mean(0))


def groups_of(n: int, size: int = 3) -> NDArray[np.int64]:
    return np.random.default_rng(1).permutation(np.arange(n) // size)


def dummies(group: NDArray[np.int64]) -> Array:
    return (group[:, None] == np.unique(group)).astype(np.float64)


def centred(values: Array, group: NDArray[np.int64]) -> Array:
    """Less the group's mean, by a projection."""
    one = dummies(group)
    return values - one @ np.linalg.pinv(one) @ values


def with_penalty(x: Array, y: Array, relative: float, group: NDArray[np.int64] | None = None) -> Ridge:
    return ridge(x, y, group, penalties=np.array([relative]))


# --- the regression


def test_one_column_by_hand() -> None:
    """Centred, 0 1 2 3 has the mean square 5/4, so that z'z = 4; a penalty as large halves the slope of 2."""
    found = with_penalty(np.array([[0.0], [1], [2], [3]]), np.array([1.0, 3, 5, 7]), 1.0)
    np.testing.assert_allclose(found.weight, [1], rtol=1e-12)
    assert found.bias == pytest.approx(4 - 1.5, rel=1e-12)
    assert found.penalty == pytest.approx(4, rel=1e-12)
    assert found.freedom == pytest.approx(0.5, rel=1e-12)


def test_two_groups_by_hand() -> None:
    """Within each group y rises by 1 where x rises by 1; between them it falls by 10."""
    x, y = np.array([[0.0], [1], [5], [6]]), np.array([20.0, 21, 10, 11])
    np.testing.assert_allclose(with_penalty(x, y, 1e-13, np.array([7, 7, 3, 3])).weight, [1], rtol=1e-12)
    assert with_penalty(x, y, 1e-13).weight[0] < -1


@SHAPES
@pytest.mark.parametrize("relative", [1e-3, 0.1, 10.0])
def test_it_is_the_ridge_of_scikit_learn_on_standardised_columns(n: int, d: int, relative: float) -> None:
    x, y = problem(n, d)
    found = with_penalty(x, y, relative)
    reference = ReferenceRidge(alpha=found.penalty, solver="svd").fit(standardised(x), y)
    # float64, at a condition number of 1e3
    np.testing.assert_allclose(x @ found.weight + found.bias, reference.predict(standardised(x)), rtol=1e-9, atol=1e-9)


@SHAPES
@pytest.mark.parametrize("grouped", [False, True])
def test_it_solves_the_normal_equations(n: int, d: int, grouped: bool) -> None:
    x, y = problem(n, d)
    group = groups_of(n) if grouped else np.zeros(n, np.int64)
    found = with_penalty(x, y, 0.01, group)
    inner, target = centred(x, group), centred(y[:, None], group)[:, 0]
    scale = np.sqrt((inner**2).mean(0))
    z = inner / scale
    expected = np.linalg.solve(z.T @ z + found.penalty * np.eye(d), z.T @ target) / scale
    np.testing.assert_allclose(found.weight, expected, rtol=1e-9, atol=1e-9)  # float64, condition number 1e2
    assert y.mean() == pytest.approx((x @ found.weight + found.bias).mean(), rel=1e-9)


def test_intercepts_of_groups_are_those_of_columns_of_dummies() -> None:
    """Without a penalty, centring within groups gives the slopes beside a dummy a group (Frisch and Waugh 1933)."""
    x, y = problem(60, 4)
    group = groups_of(60)
    slopes = np.linalg.lstsq(np.concatenate([x, dummies(group)], 1), y, rcond=None)[0][:4]
    np.testing.assert_allclose(with_penalty(x, y, 1e-13, group).weight, slopes, rtol=1e-8)  # the penalty that is left


def test_groups_of_two_are_a_regression_of_differences_without_intercept() -> None:
    x, y = problem(40, 5)
    group = np.arange(40) // 2
    found = with_penalty(x, y, 0.05, group)
    difference, gap = x[::2] - x[1::2], y[::2] - y[1::2]
    scale = np.sqrt((difference**2).mean(0) / 4)  # both rows lie half a difference from their mean
    # the squares of both rows are half of the square of the difference
    reference = ReferenceRidge(alpha=2 * found.penalty, fit_intercept=False).fit(difference / scale, gap)
    np.testing.assert_allclose(found.weight, reference.coef_ / scale, rtol=1e-9)


def test_a_number_of_each_group_changes_no_slope() -> None:
    x, y = problem(45, 6)
    group, rng = groups_of(45), np.random.default_rng(2)
    moved = ridge(x + rng.normal(size=(15, 6))[group], y + 100 * rng.normal(size=15)[group], group)
    plain = ridge(x, y, group)
    np.testing.assert_allclose(moved.weight, plain.weight, rtol=1e-9)  # 100 is subtracted in float64
    assert moved.penalty == pytest.approx(plain.penalty, rel=1e-9)


def test_the_units_of_a_column_change_no_prediction() -> None:
    x, y = problem(30, 4)
    there, here = ridge(x * [1, 1000, 1e-3, 1], y), ridge(x, y)
    np.testing.assert_allclose(there.weight * [1, 1000, 1e-3, 1], here.weight, rtol=1e-9)
    assert there.penalty == pytest.approx(here.penalty, rel=1e-9)


def test_repeated_rows_weigh_the_penalty_alone() -> None:
    """The penalty is in units of the largest eigenvalue, which grows with the rows."""
    x, y = problem(20, 4)
    once, thrice = with_penalty(x, y, 0.1), with_penalty(np.tile(x, (3, 1)), np.tile(y, 3), 0.1)
    np.testing.assert_allclose(thrice.weight, once.weight, rtol=1e-9)
    assert thrice.penalty == pytest.approx(3 * once.penalty, rel=1e-9)


def test_equal_columns_share_their_slope() -> None:
    x, y = problem(30, 3)
    found = ridge(np.concatenate([x, x[:, :1]], 1), y)
    assert found.weight[0] == pytest.approx(found.weight[3], rel=1e-9)
    assert found.weight[0] != pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
def test_a_constant_column_has_no_weight_and_changes_nothing(constant: float) -> None:
    x, y = problem(30, 3)
    found = ridge(np.insert(x, 1, constant, axis=1), y)
    assert found.weight[1] == 0
    np.testing.assert_allclose(np.delete(found.weight, 1), ridge(x, y).weight, rtol=1e-9)


def test_a_column_that_is_constant_within_every_group_has_no_weight() -> None:
    x, y = problem(30, 3)
    group = groups_of(30)
    assert ridge(np.insert(x, 0, 0.1 * group, axis=1), y, group).weight[0] == 0


def test_without_any_column_that_varies_the_mean_is_left() -> None:
    found = ridge(np.ones((4, 2)), np.array([1.0, 2, 3, 6]))
    assert found.weight.tolist() == [0, 0]
    assert found.bias == pytest.approx(3)
    assert found.freedom == 0


def test_groups_of_one_row_are_refused() -> None:
    with pytest.raises(FairlError, match="needs two rows of one group, got 3 rows of as many groups"):
        ridge(np.eye(3), np.arange(3.0), np.array([5, 1, 3]))


# --- the choice of the penalty


def hat_matrix(x: Array, group: NDArray[np.int64], penalty: float) -> Array:
    """The matrix that makes predictions of targets, intercepts of the groups included."""
    inner = centred(x, group)
    z = inner / np.sqrt((inner**2).mean(0))
    slopes = z @ np.linalg.solve(z.T @ z + penalty * np.eye(x.shape[1]), z.T)
    one = dummies(group)
    means = one @ np.linalg.pinv(one)
    return np.asarray(means + slopes @ (np.eye(len(x)) - means))


@SHAPES
@pytest.mark.parametrize("grouped", [False, True])
def test_the_score_is_that_of_the_whole_hat_matrix(n: int, d: int, grouped: bool) -> None:
    x, y = problem(n, d)
    group = groups_of(n) if grouped else np.zeros(n, np.int64)
    inner, target = centred(x, group), centred(y[:, None], group)[:, 0]
    rows, freedom = n, n - len(np.unique(group))
    found = Spectrum.of(inner / np.sqrt((inner**2).mean(0)), target, freedom)
    penalties = np.array([0.1, 1, 10, 1e4])
    for penalty, score in zip(penalties, gcv(found, penalties), strict=True):
        hat = hat_matrix(x, group, penalty)
        rest = y - hat @ y
        # Golub, Heath & Wahba's score has the number of rows for that of rows less intercepts
        brute = rows * (rest @ rest) / np.trace(np.eye(n) - hat) ** 2
        assert score * rows / freedom == pytest.approx(brute, rel=1e-8)


@SHAPES
def test_the_penalty_has_the_lowest_score_of_the_grid(n: int, d: int) -> None:
    x, y = problem(n, d, seed=3)
    found = ridge(x, y)
    spectrum = Spectrum.of(standardised(x), y - y.mean(), n - 1)
    grid = PENALTIES * spectrum.value[-1]
    scores = gcv(spectrum, grid)
    assert found.penalty == pytest.approx(grid[scores.argmin()], rel=1e-9)


def test_without_a_penalty_the_score_is_the_residual_of_least_squares() -> None:
    """``m RSS / (m - d)^2`` for the m = n - 1 rows less the intercept."""
    x, y = problem(40, 5)
    z = standardised(x)
    rest = y - y.mean() - z @ np.linalg.lstsq(z, y, rcond=None)[0]
    found = Spectrum.of(z, y - y.mean(), 39)
    assert gcv(found, np.array([1e-12]))[0] == pytest.approx(39 * rest @ rest / 34**2, rel=1e-9)


def test_a_target_without_noise_is_learnt_with_the_least_penalty() -> None:
    x, _ = problem(60, 5)
    slopes = np.arange(1.0, 6)
    found = ridge(x, x @ slopes + 2)
    np.testing.assert_allclose(found.weight, slopes, rtol=1e-4)  # a penalty of 1e-8, at a condition number of 1e3
    assert found.bias == pytest.approx(2, abs=1e-2)
    assert found.freedom == pytest.approx(5, abs=1e-4)


def test_a_target_of_nothing_takes_the_largest_penalty() -> None:
    x, _ = problem(20, 3)
    found = ridge(x, np.full(20, 4.0))
    assert found.weight.tolist() == [0, 0, 0]
    assert found.bias == 4
    assert found.penalty == ridge(x, np.zeros(20), penalties=PENALTIES[-1:]).penalty


def test_its_choice_predicts_about_as_well_as_the_best_of_the_grid() -> None:
    """On 200 fresh rows, over 20 draws: within 10 % of the error of the penalty that hindsight would take."""
    regret = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, slopes = rng.normal(size=(280, 40)), rng.normal(size=40) / 6
        y = x @ slopes + rng.normal(size=280)
        errors = {}
        for name, grid in {"chosen": PENALTIES, **{str(one): np.array([one]) for one in PENALTIES[::4]}}.items():
            found = ridge(x[:80], y[:80], penalties=grid)
            errors[name] = float(((x[80:] @ found.weight + found.bias - y[80:]) ** 2).mean())
        regret.append(errors["chosen"] / min(errors.values()))
    assert np.mean(regret) < 1.1
