from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from fairl_bench.science.list_losses import best_of_k, choices, plackett_luce
from fairl_bench.science.losses import bradley_terry

Loss = Callable[[Tensor, Tensor, float], Tensor]
BOTH = pytest.mark.parametrize("loss", [plackett_luce, best_of_k])


def ranked(k: int, length: int | None = None) -> Tensor:
    """A list whose texts are in order, the best first ``[k, k, 1]``; those from ``length`` on fill it up."""
    place = torch.arange(k)
    real = place < (k if length is None else length)
    return ((place[:, None] < place) & real & real[:, None])[..., None]


def tiers(*sizes: int) -> Tensor:
    """A list of tiers whose texts are tied, the best tier first ``[k, k, 1]``."""
    tier = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return (tier[:, None] < tier)[..., None]


def known(k: int, *pairs: tuple[int, int]) -> Tensor:
    """A list of ``k`` texts of which these pairs ``(better, worse)`` are known ``[k, k, 1]``."""
    below = torch.zeros(k, k, 1, dtype=torch.bool)
    for better, worse in pairs:
        below[better, worse] = True
    return below


def rewards(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)[:, None]


def drawn(k: int, n: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(k, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope(loss: Loss, reward: Tensor, below: Tensor, temperature: float = 1.0) -> Tensor:
    at = reward.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(at, below, temperature).sum(), at)
    return found


# --- by hand


def test_three_texts_by_hand() -> None:
    """exp(r) = 6, 3, 1: the first of three with 6/10, the second of two with 3/4."""
    reward = rewards(math.log(6), math.log(3), 0.0)
    assert plackett_luce(reward, ranked(3), 1.0).item() == pytest.approx(-math.log(6 / 10 * 3 / 4), rel=1e-12)
    assert best_of_k(reward, ranked(3), 1.0).item() == pytest.approx(-math.log(6 / 10), rel=1e-12)
    by_text = choices(reward, ranked(3), 1.0)[:, 0].tolist()
    assert by_text == pytest.approx([-math.log(6 / 10), -math.log(3 / 4), 0.0], rel=1e-12)


def test_two_that_are_tied_for_the_best_by_hand() -> None:
    """exp(r) = 4, 2, 1, 1, the first two above the others: they are chosen of 4 + 2 and of 2 + 2."""
    reward, below = rewards(math.log(4), math.log(2), 0.0, 0.0), tiers(2, 2)
    assert plackett_luce(reward, below, 1.0).item() == pytest.approx(-math.log(4 / 6 * 2 / 4), rel=1e-12)
    assert best_of_k(reward, below, 1.0).item() == pytest.approx(-math.log(4 / 6 * 2 / 4) / 2, rel=1e-12)


# --- two texts


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 7.0])
def test_a_list_of_two_is_bradley_terry(loss: Loss, temperature: float, dtype: torch.dtype) -> None:
    """To the last bit, loss and slope; 64 lists, so that vector registers are full."""
    reward = (3 * drawn(2, 64)).to(dtype)
    margin = (reward[0] - reward[1]).requires_grad_()
    expected = bradley_terry(margin, temperature)
    (by_margin,) = torch.autograd.grad(expected.sum(), margin)
    assert torch.equal(loss(reward, ranked(2), temperature), expected.detach())
    assert torch.equal(slope(loss, reward, ranked(2), temperature), torch.stack([by_margin, -by_margin]))


@BOTH
def test_rewards_far_apart_give_finite_losses(loss: Loss) -> None:
    """Of float32, where exp overflows past 88."""
    for reward in (rewards(500.0, 0.0, -500.0), rewards(-500.0, 0.0, 500.0)):
        found = loss(reward.float(), ranked(3), 1.0)
        assert torch.isfinite(found).all()
        assert torch.isfinite(slope(loss, reward.float(), ranked(3))).all()
    assert plackett_luce(rewards(-500.0, 0.0, 500.0), ranked(3), 1.0).item() == pytest.approx(1500, rel=1e-12)
    assert best_of_k(rewards(-500.0, 0.0, 500.0), ranked(3), 1.0).item() == pytest.approx(1000, rel=1e-12)


def test_a_small_loss_is_kept() -> None:
    """In float32 the log of 1 + 1e-12 is 0."""
    reward = torch.tensor([[27.6], [0.0], [-1.0]])
    expected = math.exp(-27.6) + math.exp(-28.6)
    assert best_of_k(reward, ranked(3), 1.0).item() == pytest.approx(expected, rel=1e-5)


# --- what changes nothing


@BOTH
def test_a_constant_added_to_the_rewards_of_a_list_changes_nothing(loss: Loss) -> None:
    reward = drawn(5, 4)
    moved = reward + torch.tensor([0.0, 1.0, -3.0, 100.0], dtype=torch.float64)
    torch.testing.assert_close(loss(moved, ranked(5), 1.0), loss(reward, ranked(5), 1.0), rtol=0, atol=1e-12)
    total = slope(loss, reward, ranked(5)).sum(0)
    torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=1e-14)


@BOTH
@pytest.mark.parametrize("below", [ranked(4), tiers(2, 1, 1), known(4, (0, 2), (1, 2), (1, 3))])
def test_the_places_of_the_texts_in_a_list_change_nothing(loss: Loss, below: Tensor) -> None:
    reward = drawn(4)
    expected, steep = loss(reward, below, 0.7), slope(loss, reward, below, 0.7)
    for order in map(list, permutations(range(4))):
        turned = below[order][:, order]
        torch.testing.assert_close(loss(reward[order], turned, 0.7), expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(slope(loss, reward[order], turned, 0.7), steep[order], rtol=1e-12, atol=1e-15)


@BOTH
def test_lists_of_different_lengths_are_each_as_alone(loss: Loss) -> None:
    lengths = (2, 5, 3, 4)
    reward = drawn(5, len(lengths))
    below = torch.cat([ranked(5, length) for length in lengths], 2)
    together, steep = loss(reward, below, 0.5), slope(loss, reward, below, 0.5)
    for at, length in enumerate(lengths):
        alone = reward[:length, at : at + 1]
        torch.testing.assert_close(together[at : at + 1], loss(alone, ranked(length), 0.5), rtol=1e-12, atol=0)
        own = slope(loss, alone, ranked(length), 0.5)
        torch.testing.assert_close(steep[:length, at : at + 1], own, rtol=1e-12, atol=1e-15)
        assert steep[length:, at].tolist() == [0.0] * (5 - length)


@BOTH
def test_what_fills_a_list_up_is_not_read(loss: Loss) -> None:
    reward = drawn(4)
    other = reward.clone()
    other[2:] = 1e6
    assert torch.equal(loss(reward, ranked(4, 2), 1.0), loss(other, ranked(4, 2), 1.0))


@BOTH
def test_losses_are_those_of_each_list_whatever_the_leading_axes(loss: Loss) -> None:
    reward = drawn(4, 6).repeat(3, 2, 1, 1) * torch.arange(1.0, 7).reshape(3, 2, 1, 1)
    below = torch.cat([ranked(4), tiers(2, 2), tiers(1, 3), ranked(4, 3), tiers(4), ranked(4, 2)], 2)
    together = loss(reward, below.expand(3, 2, -1, -1, -1), 1.0)
    assert together.shape == (3, 2, 6)
    for a in range(3):
        for b in range(2):
            torch.testing.assert_close(together[a, b], loss(reward[a, b], below, 1.0), rtol=1e-12, atol=0)


# --- ties


@BOTH
@pytest.mark.parametrize("k", [2, 3, 8])
def test_a_list_that_is_tied_throughout_has_a_constant_loss(loss: Loss, k: int) -> None:
    for seed in range(3):
        reward = 5 * drawn(k, seed=seed)
        assert loss(reward, tiers(k), 1.0).item() == 0.0
        assert slope(loss, reward, tiers(k)).abs().max().item() == 0.0


@BOTH
def test_tied_texts_share_evenly_and_are_not_set_against_one_another(loss: Loss) -> None:
    """Texts of one reward have one slope, and that of each does not depend on the rewards of those beside it."""
    even = slope(loss, rewards(1.0, 1.0, 1.0, 0.0), tiers(3, 1))[:, 0]
    assert even[0] == even[1] == even[2] < 0
    assert even[3] == pytest.approx(-3 * even[0].item(), rel=1e-12)
    uneven = slope(loss, rewards(1.0, 9.0, -9.0, 0.0), tiers(3, 1))[:, 0]
    assert uneven[0] == even[0]


def test_several_best_have_a_share_each_of_one_loss() -> None:
    """However many there are, a list counts once: three that are alike are as one."""
    alike = best_of_k(rewards(1.0, 1.0, 1.0, 0.0, 0.5), tiers(3, 2), 1.0)
    alone = best_of_k(rewards(1.0, 0.0, 0.5), tiers(1, 2), 1.0)
    assert alike.item() == pytest.approx(alone.item(), rel=1e-12)


def test_the_best_of_k_does_not_read_the_order_of_the_others() -> None:
    reward = drawn(4)
    assert best_of_k(reward, ranked(4), 1.0).item() == best_of_k(reward, tiers(1, 3), 1.0).item()
    assert plackett_luce(reward, ranked(4), 1.0).item() != plackett_luce(reward, tiers(1, 3), 1.0).item()
    assert plackett_luce(reward, tiers(1, 3), 1.0).item() == best_of_k(reward, tiers(1, 3), 1.0).item()


def test_pairs_of_which_no_two_follow_from_one_another_are_pairs() -> None:
    """Where two are tied above a third, each is a Bradley-Terry pair with it."""
    reward = rewards(0.3, -1.2, 0.8)
    pairs = bradley_terry(reward[:2] - reward[2], 1.0).sum()
    assert plackett_luce(reward, tiers(2, 1), 1.0).item() == pytest.approx(pairs.item(), rel=1e-12)


# --- probabilities


def by_orders(reward: Tensor, below: Tensor) -> float:
    """The chance of all that is known: the sum over the orders that agree with it, each drawn text by text."""
    weights = np.exp(reward[:, 0].numpy())
    total = 0.0
    for order in permutations(range(len(weights))):
        place = np.argsort(order)
        if all(place[i] < place[j] for i, j in np.argwhere(below[..., 0].numpy())):
            total += np.prod([weights[text] / weights[list(order[at:])].sum() for at, text in enumerate(order)])
    return total


@pytest.mark.parametrize(
    "below",
    [
        ranked(4),
        tiers(1, 3),  # a star
        tiers(1, 1, 2),
        tiers(4),  # nothing is known
        known(4, (0, 1), (0, 2), (0, 3), (1, 3)),  # a tree
        known(5, (0, 1), (2, 3), (2, 4)),  # two trees
    ],
)
def test_the_loss_is_the_chance_of_what_is_known_where_no_text_is_below_two_that_are_tied(below: Tensor) -> None:
    reward = drawn(len(below))
    found = math.exp(-plackett_luce(reward, below, 1.0).item())
    assert found == pytest.approx(by_orders(reward, below), rel=1e-12)


def test_a_text_below_two_that_are_tied_makes_it_a_product_of_choices() -> None:
    """The two events are not independent: each makes the other likelier."""
    reward = drawn(3)
    assert math.exp(-plackett_luce(reward, tiers(2, 1), 1.0).item()) < by_orders(reward, tiers(2, 1))


def test_the_chances_of_all_orders_add_up_to_one() -> None:
    reward = drawn(4)
    total = sum(
        plackett_luce(reward[list(order)], ranked(4), 0.6).neg().exp().item() for order in permutations(range(4))
    )
    assert total == pytest.approx(1, rel=1e-12)
    best = sum(
        best_of_k(reward[[at, *(i for i in range(4) if i != at)]], tiers(1, 3), 0.6).neg().exp().item()
        for at in range(4)
    )
    assert best == pytest.approx(1, rel=1e-12)


@BOTH
@pytest.mark.parametrize("below", [ranked(5), ranked(5, 3), tiers(2, 1, 2), known(4, (0, 2), (1, 2), (1, 3))])
def test_the_slope_is_that_of_finite_differences(loss: Loss, below: Tensor) -> None:
    reward, step = drawn(len(below)), 1e-6
    numeric = torch.zeros_like(reward)
    for at in range(len(reward)):
        moved = torch.zeros_like(reward)
        moved[at] = step
        up, down = (loss(reward + sign * moved, below, 0.4) for sign in (1, -1))
        numeric[at] = (up - down) / (2 * step)
    torch.testing.assert_close(slope(loss, reward, below, 0.4), numeric, rtol=0, atol=1e-8)


def torch_cross_entropy(reward: Tensor, order: Sequence[int]) -> tuple[float, float]:
    """Both losses of one ranked list by PyTorch's own cross-entropy, stage by stage."""
    stages = [
        torch.nn.functional.cross_entropy(reward[list(order[at:])].T, torch.tensor([0])).item()
        for at in range(len(order) - 1)
    ]
    return sum(stages), stages[0]


def test_both_agree_with_cross_entropy() -> None:
    reward = drawn(6)
    whole, first = torch_cross_entropy(reward, range(6))
    assert plackett_luce(reward, ranked(6), 1.0).item() == pytest.approx(whole, rel=1e-12)
    assert best_of_k(reward, ranked(6), 1.0).item() == pytest.approx(first, rel=1e-12)
