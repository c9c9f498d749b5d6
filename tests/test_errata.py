"""What the paper gets wrong (science.md 5), as computations small enough to check by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import optimize

from fairl_bench.builtin.detectors.margins import BottomFraction
from fairl_bench.builtin.detectors.supervised import LineSix, Supervised
from fairl_bench.science.disagreement import Counts, mcnemar
from fairl_bench.science.failures import Signal
from fairl_bench.science.losses import bradley_terry, hinge


def softplus(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(0, x))


def misranked_pairs(n: int = 60, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Differences of pairs that no linear reward can all rank, and the fifth of them called failures."""
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x + np.eye(d)[0] * 0.5, np.arange(n) < n // 5


# --- 1: Algorithm 1 line 6


def test_1_line_6_flags_exactly_the_rejected_texts_that_are_right() -> None:
    """y = -1 and R = -2 is right: y R = 2 >= 0 is flagged by line 6 and passed by section 4.3."""
    rejected = torch.tensor([-2.0, 2.0])
    gold = (torch.ones(2, dtype=torch.int8), -torch.ones(2, dtype=torch.int8))
    signal = Signal(torch.tensor([3.0, 3.0]), rejected, gold=gold)
    assert LineSix().failures(signal).tolist() == [True, False]
    assert Supervised(centre="zero").failures(signal).tolist() == [False, True]


# --- 2: the bias


@pytest.mark.parametrize("loss", [lambda margin: hinge(margin, 0.8), lambda margin: bradley_terry(margin, 1.0)])
def test_2_a_bias_has_no_gradient_and_moves_every_sign(loss: object) -> None:
    assert callable(loss)
    draw = np.random.default_rng(0)
    preferred, rejected = (torch.from_numpy(draw.normal(size=(30, 4))) for _ in range(2))
    theta = torch.from_numpy(draw.normal(size=4))
    bias = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    good, bad = preferred @ theta + bias, rejected @ theta + bias
    (slope,) = torch.autograd.grad(loss(good - bad).mean(), bias)
    assert abs(slope.item()) < 1e-12
    with torch.no_grad():
        assert torch.allclose(loss(good - bad), loss((good + 99) - (bad + 99)), atol=1e-12)
    assert not torch.equal(good > 0, good + 99 > 0)


# --- 3: a linear second path


def test_3_under_full_coupling_the_penalised_optimum_has_no_failure_path() -> None:
    """Any theta_F > 0 can move to theta_D at no loss and less penalty; what is left is the weighted baseline."""
    x, failing = misranked_pairs()
    d, weight = x.shape[1], 2.0

    def unpenalised(theta: np.ndarray) -> float:
        margin = x @ theta
        return float(softplus(-margin).mean() + weight * softplus(-2 * margin[failing]).mean())

    def objective(both: np.ndarray) -> float:
        return unpenalised(both[:d] + both[d:]) + weight / 2 * float(both[d:] @ both[d:])

    started = np.random.default_rng(1).normal(size=2 * d)
    optimum = optimize.minimize(objective, started, tol=1e-10, options={"gtol": 1e-7}).x
    alone = optimize.minimize(unpenalised, started[:d], options={"gtol": 1e-7}).x
    assert np.abs(started[d:]).max() > 0.5
    np.testing.assert_allclose(optimum[d:], 0, atol=1e-5)  # the solver's
    np.testing.assert_allclose(optimum[:d], alone, atol=1e-4)
    assert np.linalg.norm(alone) > 0.1


def test_3_base_stopped_has_a_failure_path_at_rest_but_the_same_linear_reward() -> None:
    """At rest grad L_base + lambda grad L_fail = 0 whatever R_F: with a linear head, S_t still and time enough,
    the second path changes how a reward gets there, not where.
    """
    x, failing = misranked_pairs()
    weight, mu = 2.0, 0.5

    def slopes(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        margin = x @ theta
        base = -(x.T / (1 + np.exp(margin))).T.mean(0)
        fail = -2 * (x[failing].T / (1 + np.exp(2 * margin[failing]))).T.mean(0)
        return base, fail

    first, second = np.random.default_rng(1).normal(size=(2, x.shape[1]))
    for _ in range(6000):
        base, fail = slopes(first + second)
        first, second = first - 0.1 * (base + weight * fail), second - 0.1 * (weight * fail + mu * second)
    base, fail = slopes(first + second)
    np.testing.assert_allclose(base + weight * fail, 0, atol=1e-6)
    np.testing.assert_allclose(second, -weight * fail / mu, atol=1e-6)
    assert np.linalg.norm(second) > 0.1


# --- 4: a bottom fraction


def test_4_a_shrinking_bottom_fraction_goes_toward_the_hardest() -> None:
    margins = torch.from_numpy(np.random.default_rng(0).normal(size=200))
    left = [
        margins[BottomFraction().failures(Signal(margins, torch.zeros(200), float(progress)))]
        for progress in (0.0, 0.25, 0.5, 0.75)
    ]
    assert [len(one) for one in left] == [40, 30, 20, 10]
    means = [one.mean().item() for one in left]
    assert means == sorted(means, reverse=True)
    assert len({one.min().item() for one in left}) == 1  # the worst pair never leaves


# --- 5: sharpening


@pytest.mark.parametrize("tau", [0.5, 1.0, 3.0])
def test_5_the_slope_by_temperature_has_the_sign_of_the_margin(tau: float) -> None:
    margin = torch.tensor([-4.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 4.0], dtype=torch.float64)
    at = torch.full_like(margin, tau, requires_grad=True)
    (slope,) = torch.autograd.grad(bradley_terry(margin, at).sum(), at)  # type: ignore[arg-type]
    assert torch.equal(slope.sign(), margin.sign())
    expected = torch.sigmoid(-margin / tau) * margin / tau**2
    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-15)


def test_5_sharpening_lowers_the_loss_of_a_near_tie_that_is_ranked_right() -> None:
    """Margin 0.1: log(1 + e^-0.1) = 0.6444 at tau 1, log(1 + e^-0.2) = 0.5981 at tau 1/2."""
    margin = torch.tensor(0.1, dtype=torch.float64)
    assert bradley_terry(margin, 1.0).item() == pytest.approx(0.6444, abs=1e-4)
    assert bradley_terry(margin, 0.5).item() == pytest.approx(0.5981, abs=1e-4)


@pytest.mark.parametrize(("eta", "reversed_"), [(0.1, True), (0.6, True), (0.8, False), (2.0, False)])
def test_5_for_a_single_pair_sharpening_widens_the_sublevel_set_below_log_2(eta: float, reversed_: bool) -> None:
    """The loss is at most eta where the margin is at least -tau log(e^eta - 1), which is 0 at eta = log 2."""
    margin = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    plain, sharp = bradley_terry(margin, 1.0) <= eta, bradley_terry(margin, 0.5) <= eta
    assert margin[plain][0].item() == pytest.approx(-math.log(math.expm1(eta)), abs=0.004)  # the grid's step
    assert (eta < math.log(2)) == reversed_
    wide, narrow = (sharp, plain) if reversed_ else (plain, sharp)
    assert bool((wide | ~narrow).all())
    assert int(wide.sum()) > int(narrow.sum())


def test_5_sharpening_leaves_the_sublevel_set_of_many_pairs_and_up_weighting_does_not() -> None:
    """Theorem 1 on random theta: the claimed dominance L_FA >= L fails for sharpening, holds for a weight above 1
    and for Eq. 3's added term.
    """
    x, failing = misranked_pairs()
    margins = x @ np.random.default_rng(2).normal(size=(x.shape[1], 500))
    base = softplus(-margins).sum(0)
    others = softplus(-margins[~failing]).sum(0)
    sharpened = others + softplus(-2 * margins[failing]).sum(0)
    weighted = others + 3 * softplus(-margins[failing]).sum(0)
    added = base + 10 * softplus(-2 * margins[failing]).mean(0)
    assert 0 < (sharpened < base).sum() < 500
    assert (weighted > base).all()
    assert (added > base).all()
    # a counterexample to the inclusion: a theta within the sharpened set at some eta, and not within the base's
    theta = int(np.argmax(base - sharpened))
    eta = (base[theta] + sharpened[theta]) / 2
    assert sharpened[theta] <= eta < base[theta]


# --- 6: max-margin, and the corollary


def test_6_modulo_scale_a_stricter_margin_prunes_nothing() -> None:
    """theta in F makes (M_fail / M) theta feasible: the same reward, up to its unit."""
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=(12, 3)))  # any theta > 0 ranks them all
    failing, required, strict = np.arange(12) < 3, 0.8, 1.6
    feasible, cut = 0, 0
    for theta in np.abs(rng.normal(size=(400, 3))) * 3:
        if (x @ theta >= required).all():
            feasible += 1
            cut += int(not (x[failing] @ theta >= strict).all())
            scaled = strict / required * theta
            assert (x @ scaled >= required).all()
            assert (x[failing] @ scaled >= strict).all()
    assert feasible > cut > 0  # as sets of vectors they differ


def test_6_a_failure_constraint_that_another_pair_implies_prunes_nothing() -> None:
    """With x_f = 3 x_0, theta x_0 >= M gives theta x_f >= 3 M > M_fail = 2 M: F_FA = F, not a strict subset."""
    x = np.array([[1.0, 0.5], [0.2, 1.0], [3.0, 1.5]])
    required = 0.8
    # the least that the failure's margin can be within F
    least = optimize.linprog(x[2], A_ub=-x, b_ub=[-required] * 3, bounds=(None, None))
    assert least.status == 0
    assert least.fun == pytest.approx(3 * required, abs=1e-9)
    assert least.fun >= 2 * required


def test_6_a_subset_may_have_the_larger_variance() -> None:
    """-1, 0, 0, 0, 1 has variance 2/5; without the zeros it is 1."""
    rewards = np.array([-1.0, 0.0, 0.0, 0.0, 1.0])
    assert rewards.var() == pytest.approx(0.4, abs=1e-12)
    assert rewards[rewards != 0].var() == 1


def test_6_the_diameter_of_an_unbounded_set_does_not_shrink() -> None:
    """Every multiple of a feasible theta from 1 up is feasible: both sets have points as far apart as one likes."""
    x, theta = np.array([[1.0, 0.5], [0.2, 1.0]]), np.array([2.0, 2.0])
    for required in (0.8, 1.6):
        assert all((x @ (scale * theta) >= required).all() for scale in (1, 10, 1e6))


# --- 7, 8, 9: the tables' arithmetic


def test_7_up_to_24_percent_is_failure_aware_against_failure_aware() -> None:
    margin, entropy = 0.686, 0.709
    gold, own = {"margin": 0.669, "entropy": 0.628}, {"margin": 0.850, "entropy": 0.822}
    assert 1 - gold["entropy"] / own["entropy"] == pytest.approx(0.236, abs=5e-4)
    assert max(1 - gold["margin"] / margin, 1 - gold["entropy"] / entropy) == pytest.approx(0.114, abs=5e-4)
    assert min(own.values()) > max(margin, entropy, *gold.values())  # self-supervised: the worst, not the lowest


def test_8_table_2_adds_up() -> None:
    both, ours, theirs, neither = 7245, 1001, 457, 1297
    assert both + ours + theirs + neither == 10_000
    assert 804 + 109 + 29 + 58 == 1000
    assert ours - theirs == 544
    accuracy = (both + theirs) / 100, (both + ours) / 100
    assert accuracy == pytest.approx((77.02, 82.46), abs=1e-12)
    assert accuracy[1] - accuracy[0] == pytest.approx(5.44, abs=1e-12)


def test_8_mcnemar_of_table_2() -> None:
    found = mcnemar(Counts(both=7245, first=457, second=1001, neither=1297))
    assert found[:2] == pytest.approx((203.0, 202.2), abs=0.05)
    assert found[:2] == pytest.approx((544**2 / 1458, 543**2 / 1458), rel=1e-12)


def test_9_table_3s_gain_is_an_unweighted_mean_of_relative_gains() -> None:
    """Both, FA alone, IRL alone of the test set, by subtype: obscene, threat, insult, identity attack."""
    table = np.array([[4382, 496, 89], [108, 31, 24], [2528, 403, 155], [250, 41, 18]])
    both, ours, theirs = table.T
    gains = 100 * ((both + ours) / (both + theirs) - 1)
    assert gains == pytest.approx([9.10, 5.30, 9.24, 8.58], abs=0.005)
    assert gains.mean() == pytest.approx(8.06, abs=0.005)
    assert gains.std() == pytest.approx(1.61, abs=0.005)  # of a population; of a sample it would be 1.86
    assert gains.std(ddof=1) == pytest.approx(1.86, abs=0.005)
    assert table[0].sum() == 4967 > 3619
