"""Feasible and sublevel sets against sets whose answer is known, and Theorem 1's halves as facts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from fairl_bench.errors import Undefined
from fairl_bench.science.identifiability import (
    Feasible,
    angles,
    chebyshev,
    draw,
    exceeds,
    feasible,
    implied,
    largest_margin,
    least,
    squared_distances,
    sublevel,
    undercut,
    uniform,
    widths,
)

M, STRICT = 0.8, 1.6


def separable(n: int = 30, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Differences that the first reward of two ranks all right, and that reward."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=d)
    x = rng.normal(size=(n, d))
    return x * np.sign(x @ theta)[:, None], theta


def corner(bound: float = 2.0) -> Feasible:
    """A square of side ``bound - M``: both numbers of theta from M to the bound."""
    return feasible(np.eye(2), M, bound)


def sets(n: int = 30, d: int = 3, seed: int = 0, room: float = 4.0) -> tuple[Feasible, Feasible, np.ndarray]:
    """F, F_FA with the margin of the first fifth doubled, and that fifth."""
    x, _ = separable(n, d, seed)
    base = feasible(x, M, room * M / largest_margin(x))
    failing = np.arange(n) < n // 5
    return base, base.stricter(failing, STRICT), failing


# --- by hand, in two dimensions


def test_a_square_by_hand() -> None:
    square = corner()
    assert square.holds(np.array([[1.0, 1.0], [0.7, 1.0], [1.0, 2.1], [M, 2.0]])).tolist() == [True, False, False, True]
    ball = chebyshev(square)
    np.testing.assert_allclose(ball.centre, [1.4, 1.4], atol=1e-9)
    assert ball.radius == pytest.approx(0.6, abs=1e-9)
    np.testing.assert_allclose(widths(square, [[1, 0], [0, 2], [1, 1]]), [1.2, 2.4, 2.4], atol=1e-9)


def test_a_failure_on_one_pair_cuts_the_square_to_a_third() -> None:
    """The first number now starts at 1.6 of 0.8 ... 2: a third is left, in that direction alone."""
    square = corner()
    strict = square.stricter(np.array([True, False]), STRICT)
    np.testing.assert_allclose(widths(strict, np.eye(2)), [0.4, 1.2], atol=1e-9)
    share = strict.holds(draw(square, 4000, np.random.default_rng(0))).mean()
    assert share == pytest.approx(1 / 3, abs=4 * math.sqrt(2 / 9 / 4000))  # four standard errors


def test_the_largest_margin_by_hand() -> None:
    """theta = (2/3, 1) gives (2, 1) and (-1, 3) the margin 7/3 each; the one gains only what the other loses."""
    assert largest_margin([[2.0, 1.0], [-1.0, 3.0]]) == pytest.approx(7 / 3, abs=1e-9)


def test_pairs_that_no_reward_ranks_have_no_margin_and_no_set() -> None:
    x = [[1.0, 0.0], [-1.0, 0.0]]
    assert largest_margin(x) == pytest.approx(0, abs=1e-9)
    for ask in (chebyshev, lambda found: least(found, [1, 0])):
        with pytest.raises(Undefined, match=r"no reward within the bound 5 gives every pair its margin"):
            ask(feasible(x, M, 5.0))
    with pytest.raises(Undefined, match=r"the feasible set within the bound 0.8 has no volume"):
        draw(corner(M), 10, np.random.default_rng(0))


def test_differences_without_a_pair_are_refused() -> None:
    with pytest.raises(ValueError, match=r"differences must be \[n, d\] with n, d > 0, got shape \[0, 2\]"):
        feasible(np.empty((0, 2)), M, 1.0)


# --- linear programming against brute force


@pytest.mark.parametrize("seed", range(4))
def test_widths_are_those_of_the_corners(seed: int) -> None:
    """In the plane a feasible set is the hull of where two of its borders cross."""
    base, strict, _ = sets(12, 2, seed)
    for found in (base, strict):
        rows, low = found.rows()
        corners = []
        for i in range(len(rows)):
            for j in range(i):
                if abs(np.linalg.det(rows[[i, j]])) > 1e-9:
                    point = np.linalg.solve(rows[[i, j]], low[[i, j]])
                    if (rows @ point >= low - 1e-9).all():
                        corners.append(point)
        directions = np.random.default_rng(seed).normal(size=(5, 2))
        reach = np.array(corners) @ directions.T
        np.testing.assert_allclose(widths(found, directions), np.ptp(reach, axis=0), rtol=1e-6)


def test_the_largest_ball_touches_the_border_and_stays_within() -> None:
    base, strict, _ = sets()
    for found in (base, strict):
        ball = chebyshev(found)
        rows, low = found.rows()
        room = (rows @ ball.centre - low) / np.linalg.norm(rows, axis=1)
        assert room.min() == pytest.approx(ball.radius, rel=1e-6)
        others = draw(found, 300, np.random.default_rng(0))
        assert ((others @ rows.T - low) / np.linalg.norm(rows, axis=1)).min(-1).max() <= ball.radius * (1 + 1e-6)


# --- sampling against known volumes


@pytest.mark.parametrize("d", [2, 5])
def test_draws_are_even_over_a_box(d: int) -> None:
    theta = uniform(Feasible(np.empty((0, d)), np.empty(0), 1.0).chord, np.full(d, 0.9), 3000, np.random.default_rng(1))
    # four standard errors of a uniform number's mean and variance: 1/3 and 4/45
    assert np.abs(theta.mean(0)).max() < 4 * math.sqrt(1 / 3 / 3000)
    np.testing.assert_allclose((theta**2).mean(0), 1 / 3, atol=4 * math.sqrt(4 / 45 / 3000))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_the_share_of_a_simplex_in_its_box_is_one_over_d_factorial(d: int) -> None:
    """theta >= 0 and sum theta <= 1 within 0 <= theta <= 1."""
    box = Feasible(np.eye(d), np.zeros(d), 1.0)
    simplex = Feasible(np.r_[np.eye(d), -np.ones((1, d))], np.r_[np.zeros(d), -1.0], 1.0)
    inside = simplex.holds(draw(box, 4000, np.random.default_rng(0))).mean()
    share = 1 / math.factorial(d)
    assert inside == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))
    mean = draw(simplex, 2000, np.random.default_rng(1)).mean(0)
    var = d / (d + 1) ** 2 / (d + 2)  # of a coordinate of Dirichlet(1, ..., 1)
    np.testing.assert_allclose(mean, 1 / (d + 1), atol=4 * math.sqrt(var / 2000))


def test_draws_are_those_of_rejection() -> None:
    base, strict, _ = sets(12)
    rng = np.random.default_rng(3)
    cloud = rng.uniform(-base.bound, base.bound, size=(400_000, 3))
    kept = cloud[base.holds(cloud)]
    walked = draw(base, 3000, rng, 200)
    assert base.holds(walked * (1 + 1e-12)).mean() > 0.99
    assert len(kept) > 500
    error = np.sqrt(kept.var(0) * (1 / len(kept) + 1 / 3000))
    assert (np.abs(walked.mean(0) - kept.mean(0)) < 4 * error).all()
    share = strict.holds(kept).mean()
    error = math.sqrt(share * (1 - share) * (1 / len(kept) + 1 / 3000))
    assert strict.holds(walked).mean() == pytest.approx(share, abs=4 * error)


def test_a_needle_is_crossed_as_a_ball_is() -> None:
    """A thousand times as long as wide: directions that knew nothing of it would stay near the start."""
    needle = Feasible(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([-1e-3, -1e-3]), 1.0)
    theta = draw(needle, 2000, np.random.default_rng(0), 200)
    along = theta.sum(1) / 2
    assert (along**2).mean() == pytest.approx(1 / 3, abs=4 * math.sqrt(4 / 45 / 2000) + 0.005)  # 0.005: its ends


def test_draws_of_a_sublevel_set_are_within_and_reach_its_border() -> None:
    """One pair of difference (1): the loss is at most eta from -tau log(e^eta - 1) on."""
    eta, tau = 0.3, 0.5
    found = sublevel([[1.0]], eta, 4.0, temperature=tau)
    theta = uniform(found.chord, found.start(), 3000, np.random.default_rng(0), 20)[:, 0]
    border = -tau * math.log(math.expm1(eta))
    assert found.holds(theta[:, None]).all()
    assert theta.mean() == pytest.approx((border + 4) / 2, abs=4 * (4 - border) / math.sqrt(12 * 3000) + 1e-3)
    assert border <= theta.min() < border + 0.02
    assert theta.max() > 4 - 0.02
    with pytest.raises(Undefined, match="no reward within the bound 4 has a loss of 1e-09 or less"):
        sublevel([[1.0]], 1e-9, 4.0).start()


def test_the_start_is_where_the_loss_is_least() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)) + 0.3
    found = sublevel(x, 1e9, 50.0, temperature=np.arange(1, 41) / 10, weight=np.arange(40) / 10)
    plain = optimize.minimize(lambda theta: float(found.loss(theta)), np.zeros(3), options={"gtol": 1e-8}).x
    np.testing.assert_allclose(found.start(), 0.95 * plain, rtol=1e-3)  # the solver's; 0.95: a step inside


# --- ambiguity


def test_angles_at_the_edges() -> None:
    assert angles([[1e-9, 1.0], [0.0, 3.0]], [0, 1]) == pytest.approx([math.degrees(1e-9), 0], rel=1e-6)
    assert np.isnan(angles([[0.0, 0.0]], [0, 1])).all()
    assert angles([5.0, 0.0], [0.0, -2.0]) == pytest.approx(90, abs=1e-12)


def test_squared_distances_average_to_the_variance() -> None:
    theta = np.random.default_rng(0).normal(size=(50, 3))
    assert squared_distances(theta).mean() == pytest.approx(np.trace(np.cov(theta.T, ddof=0)), rel=1e-12)


def test_a_mean_exceeds_another_by_four_standard_errors() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 1000))
    one, other = one - one.mean(), other - other.mean()
    error = math.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 1000)
    assert exceeds(one + 4.01 * error, other)
    assert not exceeds(one + 3.99 * error, other)
    assert not exceeds(one, other + 4.01 * error)


# --- Theorem 1, max-margin


@pytest.mark.parametrize("seed", range(3))
def test_stricter_failures_are_a_subset_and_as_sets_of_vectors_a_smaller_one(seed: int) -> None:
    base, strict, failing = sets(seed=seed)
    lowest = [least(strict, x) for x in base.differences]
    assert min(lowest) >= M - 1e-6  # the solver's
    assert not implied(base, base.differences[failing], STRICT).all()
    assert (widths(strict, np.eye(3)) <= widths(base, np.eye(3)) + 1e-6).all()
    assert strict.holds(draw(base, 500, np.random.default_rng(0))).mean() < 1


@pytest.mark.parametrize("seed", range(3))
def test_modulo_scale_nothing_is_pruned(seed: int) -> None:
    """(M_fail / M) theta is in F_FA for every theta in F, so far as the bound allows; so each ranking stays."""
    base, strict, _ = sets(seed=seed)
    theta = draw(base, 500, np.random.default_rng(0))
    longer = strict._replace(bound=base.bound * STRICT / M)
    assert longer.holds(theta * (STRICT / M) * (1 + 1e-9)).mean() > 0.99  # but for those on the bound
    assert not strict.holds(theta).all()
    assert strict.scalable(theta).all()
    assert not strict.scalable(-theta).any()


def test_a_failure_that_another_pair_implies_leaves_the_set_as_it_was() -> None:
    """x_f = 3 x_0: x_0's margin of 0.8 gives it 2.4, and 1.6 asks nothing new."""
    x = np.array([[1.0, 0.5], [0.2, 1.0], [3.0, 1.5]])
    base = feasible(x, M, 5.0)
    strict = base.stricter(np.array([False, False, True]), STRICT)
    assert implied(base, x, STRICT).tolist() == [False, False, True]
    assert strict.holds(draw(base, 1000, np.random.default_rng(0))).all()
    np.testing.assert_allclose(widths(strict, np.eye(2)), widths(base, np.eye(2)), atol=1e-9)


def test_the_rewards_left_may_vary_more_and_be_further_from_the_truth() -> None:
    """Corollary 1 names "variance across seeds or distance to a ground-truth reward".

    Pairs (1, 1), (1, -1) and (1, 0): F is a triangle that opens away from its apex (M, 0), |theta_1| <= theta_0 - M,
    up to the bound.  The third pair's stricter margin cuts the apex off and leaves the wide end: of a triangle of
    height h and base 2h the total variance is h^2 / 18 + h^2 / 6, of its base alone h^2 / 3.
    """
    base = feasible([[1.0, 1.0], [1.0, -1.0], [1.0, 0.0]], M, 1.7)
    strict = base.stricter(np.array([False, False, True]), STRICT)
    rng = np.random.default_rng(0)
    every, left = draw(base, 4000, rng), draw(strict, 4000, rng)
    height = 1.7 - M
    spread = squared_distances(every)
    error = spread.std() / math.sqrt(4000)
    assert spread.mean() == pytest.approx(height**2 * (1 / 18 + 1 / 6), abs=4 * error)
    assert (widths(strict, np.eye(2)) <= widths(base, np.eye(2)) + 1e-9).all()
    assert exceeds(squared_distances(left), spread)
    assert exceeds(angles(left, [1, 0]), angles(every, [1, 0]))


# --- Theorem 1, max-entropy


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs that no reward ranks all right, the fifth of them called failures, and rewards of low loss."""
    x = np.random.default_rng(0).normal(size=(40, 3)) + np.eye(3)[0] * 0.8
    base = sublevel(x, 25.0, 5.0)
    return x, np.arange(40) < 8, uniform(base.chord, base.start(), 400, np.random.default_rng(1), 30)


def test_a_weight_above_one_never_undercuts(noisy: tuple[np.ndarray, ...]) -> None:
    x, failing, theta = noisy
    base, weighted = sublevel(x, 25.0, 5.0), sublevel(x, 25.0, 5.0, weight=np.where(failing, 2.0, 1.0))
    assert not undercut(weighted, base, theta).any()
    assert undercut(base, weighted, theta).all()
    assert weighted.holds(theta).sum() < base.holds(theta).sum() == len(theta)


def test_a_lower_temperature_undercuts_and_leaves_the_sublevel_set(noisy: tuple[np.ndarray, ...]) -> None:
    x, failing, theta = noisy
    base, sharp = sublevel(x, 25.0, 5.0), sublevel(x, 25.0, 5.0, temperature=np.where(failing, 0.5, 1.0))
    found = undercut(sharp, base, theta)
    assert 0 < found.mean() < 1
    one = theta[found][:1]
    between = float(sharp.loss(one)[0] + base.loss(one)[0]) / 2
    assert sharp._replace(eta=between).holds(one).all()
    assert not base._replace(eta=between).holds(one).any()


def test_where_every_failure_is_ranked_right_sharpening_lowers_the_loss_of_every_reward() -> None:
    base, _, failing = sets()
    theta = draw(base, 300, np.random.default_rng(0))
    plain = sublevel(base.differences, 1.0, 9.0)
    assert undercut(plain._replace(temperature=np.where(failing, 0.5, 1.0)), plain, theta).all()
    assert not undercut(plain._replace(temperature=np.where(failing, 0.5, 1.0)), plain, -theta).any()


@pytest.mark.parametrize(("eta", "wider"), [(0.3, True), (math.log(2), None), (1.2, False)])
def test_for_one_pair_the_inclusion_turns_around_at_log_2(eta: float, wider: bool | None) -> None:
    theta = np.linspace(-5, 5, 1001)[:, None]
    plain, sharp = (sublevel([[1.0]], eta + 1e-12, 9.0, temperature=tau).holds(theta).sum() for tau in (1.0, 0.5))
    assert plain == sharp if wider is None else (sharp > plain) == wider


def test_what_lies_around_the_start_has_a_higher_loss() -> None:
    x = np.random.default_rng(2).normal(size=(25, 2)) + 0.4
    found = sublevel(x, 1e9, 50.0, temperature=0.7)
    low = found.start() / 0.95
    around = low + 1e-3 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1.0]])
    assert (found.loss(around) > found.loss(low)).all()
