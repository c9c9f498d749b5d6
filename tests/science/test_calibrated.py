from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from fairl_bench.science.calibrated import calibrated_loss


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_lowest_loss_over_all_scales_whatever_the_margins_own(seed: int, scale: float) -> None:
    margin = np.random.default_rng(seed).normal(0.4, 1.0, 300)
    lowest = minimize_scalar(lambda c: np.logaddexp(0, -c * margin).mean(), bounds=(0, 50), method="bounded").fun
    assert calibrated_loss(scale * margin) == pytest.approx(lowest, abs=1e-9)


def test_margins_that_say_nothing_or_the_contrary_are_worth_a_coin() -> None:
    for margin in ([], [0.0, 0.0], [1.0, -1.0], [-1.0, -2.0, 0.5]):
        assert calibrated_loss(margin) == math.log(2)


def test_pairs_that_are_all_told_apart_cost_nothing_and_ties_cost_a_coin_each() -> None:
    assert calibrated_loss([1e-9, 5.0]) == 0
    assert calibrated_loss([1.0, 0.0, 0.0, 2.0]) == math.log(2) / 2


def test_no_scale_of_a_reward_moves_it() -> None:
    """A temperature, or how long it was trained, changes the base loss of equal rankings."""
    margin = np.random.default_rng(0).normal(0.3, 1.0, 200).astype(np.float32)
    assert calibrated_loss(7 * margin) == pytest.approx(calibrated_loss(margin), abs=1e-6)


def test_one_margin_that_turns_round_costs() -> None:
    margin = np.random.default_rng(1).normal(1.0, 1.0, 50)
    turned = np.where(np.arange(50) == int(margin.argmax()), -margin, margin)
    assert calibrated_loss(turned) > calibrated_loss(margin)


def test_margins_that_cancel_but_for_rounding_are_worth_a_coin() -> None:
    for seed in range(300):
        half = np.random.default_rng(seed).normal(size=600).astype(np.float32)
        margin = np.random.default_rng(seed).permutation(np.concatenate([half, -half]))
        assert calibrated_loss(margin) == pytest.approx(math.log(2), abs=1e-9)


def test_what_is_not_finite_is_not_defined() -> None:
    assert math.isnan(calibrated_loss([math.inf, -1.0, 2.0]))
