from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.science.losses import BradleyTerry, Hinge, bradley_terry, hinge

MARGINS = torch.linspace(-5, 5, 101, dtype=torch.float64)


def slope(loss: object, margin: torch.Tensor) -> torch.Tensor:
    at = margin.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(at).sum(), at)  # type: ignore[operator]
    return found


def test_hinge_by_hand() -> None:
    losses = hinge(torch.tensor([-1.0, 0.0, 0.5, 0.75, 2.0]), 0.75)
    assert losses.tolist() == [1.75, 0.75, 0.25, 0.0, 0.0]


def test_bradley_terry_by_hand() -> None:
    losses = bradley_terry(torch.tensor([0.0, 1.0, -2.0], dtype=torch.float64), 0.5)
    by_hand = [math.log(2), math.log(1 + math.exp(-2)), math.log(1 + math.exp(4))]
    np.testing.assert_allclose(losses.numpy(), by_hand, rtol=1e-12)


@given(st.floats(-20, 20), st.floats(0.05, 20))
def test_bradley_terry_is_the_negative_log_probability_of_the_preference(margin: float, temperature: float) -> None:
    loss = bradley_terry(torch.tensor(margin, dtype=torch.float64), temperature).item()
    # numpy's own stable log(exp(0) + exp(-z)); torch's is a straight line past 20, where e^-20 = 2.1e-9
    assert loss == pytest.approx(np.logaddexp(0, -margin / temperature), rel=1e-12, abs=2.1e-9)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 4.0])
def test_the_slope_of_bradley_terry_is_the_chance_of_error_over_tau(temperature: float) -> None:
    expected = -torch.sigmoid(-MARGINS / temperature) / temperature
    found = slope(lambda margin: bradley_terry(margin, temperature), MARGINS)
    # torch's softplus is a straight line past 20: e^-20 = 2.1e-9 of slope
    torch.testing.assert_close(found, expected, rtol=0, atol=2.1e-9 / temperature)
    step, curved = 1e-6, MARGINS.abs() < 19 * temperature
    at = MARGINS[curved]
    numeric = (bradley_terry(at + step, temperature) - bradley_terry(at - step, temperature)) / (2 * step)
    torch.testing.assert_close(found[curved], numeric, rtol=0, atol=1e-6)


def test_the_slope_of_hinge_is_minus_one_below_the_margin_and_zero_above() -> None:
    found = slope(lambda margin: hinge(margin, 0.8), torch.tensor([-3.0, 0.79, 0.81, 3.0]))
    assert found.tolist() == [-1.0, -1.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("loss", [Hinge(0.8), Hinge(2.0), BradleyTerry(1.0), BradleyTerry(0.3), BradleyTerry(4.0)])
def test_the_slope_that_a_loss_knows_is_that_of_autograd_to_the_last_bit(
    loss: Hinge | BradleyTerry, dtype: torch.dtype
) -> None:
    margins = torch.cat([MARGINS, torch.tensor([0.8, 2.0, 1e4, -1e4], dtype=torch.float64)]).to(dtype)  # kinks, far out
    assert torch.equal(loss.slope(margins), slope(loss, margins))


def test_losses_of_equal_fields_are_equal() -> None:
    """So that runs of equal methods share a call."""
    assert Hinge(0.8) == Hinge(0.8) != Hinge(1.0)
    assert BradleyTerry(1.0) == BradleyTerry(1.0) != Hinge(1.0)


def test_bradley_terry_is_finite_where_the_printed_formula_overflows() -> None:
    margin = torch.tensor([-1e4])
    assert torch.log1p(torch.exp(-margin)).isinf().all()  # the paper's Eq. 2 as printed
    assert bradley_terry(margin, 1.0).item() == 1e4
    assert slope(lambda one: bradley_terry(one, 1.0), margin).item() == -1.0
    assert bradley_terry(-margin, 1.0).item() == 0.0


def test_a_cold_softplus_of_the_shortfall_is_hinge() -> None:
    required = 0.8
    gaps = []
    for tau in (1.0, 0.1, 0.01, 0.001):
        soft = tau * bradley_terry(MARGINS - required, tau)
        gaps.append((soft - hinge(MARGINS, required)).abs().max().item())
    # the gap is largest at the kink, where it is tau log 2
    assert gaps == pytest.approx([tau * math.log(2) for tau in (1.0, 0.1, 0.01, 0.001)], rel=1e-6)


def test_a_hot_bradley_terry_is_linear_in_the_margin() -> None:
    tau = 1e4
    # softplus(-z) = log 2 - z / 2 + z^2 / 8: the rest is below 25 / 8e8
    losses = bradley_terry(MARGINS, tau)
    torch.testing.assert_close(losses, math.log(2) - MARGINS / (2 * tau), rtol=0, atol=1e-7)


def test_scaling_margin_and_temperature_together_changes_nothing() -> None:
    torch.testing.assert_close(bradley_terry(3 * MARGINS, 3.0), bradley_terry(MARGINS, 1.0), rtol=0, atol=1e-12)


def test_scaling_margin_and_requirement_scales_hinge() -> None:
    torch.testing.assert_close(hinge(3 * MARGINS, 2.4), 3 * hinge(MARGINS, 0.8), rtol=0, atol=1e-12)


def test_a_sharper_temperature_lowers_the_loss_of_a_rightly_ranked_pair_and_raises_that_of_a_wrong_one() -> None:
    """Science 5.5: the derivative by tau has the sign of the margin, so Theorem 1's sharpening case fails."""
    for margin in (0.1, 1.0, 3.0):
        right, wrong = torch.tensor(margin), torch.tensor(-margin)
        assert bradley_terry(right, 0.5) < bradley_terry(right, 1.0)
        assert bradley_terry(wrong, 0.5) > bradley_terry(wrong, 1.0)


@pytest.mark.parametrize(("loss", "field"), [(hinge, 0.8), (bradley_terry, 0.7)])
def test_losses_are_elementwise_whatever_the_leading_axes(loss: object, field: float) -> None:
    margins = torch.linspace(-2, 2, 24).reshape(2, 3, 4)
    together = loss(margins, field)  # type: ignore[operator]
    assert together.shape == margins.shape
    for one, alone in zip(margins.flatten(), together.flatten(), strict=True):
        assert loss(one, field) == pytest.approx(alone.item(), rel=1e-6)  # type: ignore[operator]


@pytest.mark.parametrize(("loss", "field"), [(hinge, 0.8), (bradley_terry, 0.7)])
def test_weight_two_equals_repeating_the_pair(loss: object, field: float) -> None:
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(6, 4)))  # differences of 6 pairs
    weight = torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0, 1.0], dtype=torch.float64)
    repeated = torch.repeat_interleave(vectors, weight.long(), 0)

    def grad(rows: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        theta = torch.full((4,), 0.3, dtype=torch.float64, requires_grad=True)
        total = (weights * loss(rows @ theta, field)).sum() / weights.sum()  # type: ignore[operator]
        (found,) = torch.autograd.grad(total, theta)
        return found

    weighted, twice = grad(vectors, weight), grad(repeated, torch.ones(8, dtype=torch.float64))
    torch.testing.assert_close(weighted, twice, rtol=0, atol=1e-12)
    assert not torch.allclose(weighted, grad(vectors, torch.ones(6, dtype=torch.float64)), atol=1e-3)
