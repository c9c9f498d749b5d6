"""Listwise losses: of the rewards of lists and of what is known to be worse than what, on tensors of any shape.

``reward [..., k, B]`` holds ``B`` lists of ``k`` texts; ``below [..., k, k, B]`` is true at ``i, j`` where text j is
worse than text i.  A text that fills a short list up is below nothing and above nothing, and counts in no loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def choices(reward: Tensor, below: Tensor, temperature: float) -> Tensor:
    """Return the loss of each text as a choice ``[..., k, B]``: it was chosen among itself and the texts below it.

    By Luce's choice axiom (Luce 1959) that has probability ``exp(r_i / tau) / (exp(r_i / tau) + sum_j exp(r_j / tau))``
    with j over the texts below i; the loss is ``-log`` of it, in nats, and 0 where nothing is below.
    """
    import torch
    from torch.nn.functional import softplus

    gap = (reward[..., None, :, :] - reward[..., :, None, :]) / temperature  # [..., i, j, B]: r_j - r_i
    chosen = below.any(-2)
    # a text with nothing below it is set against itself: the gradient of a logsumexp of nothing is NaN
    itself = torch.eye(below.shape[-3], dtype=torch.bool, device=below.device)[..., None]
    against = below | (itself & ~chosen[..., None, :])
    # softplus, not one logsumexp over the text and those below: it keeps small losses, and is Bradley-Terry for k = 2
    others = gap.masked_fill(~against, -torch.inf).logsumexp(-2)
    return softplus(others) * chosen


def plackett_luce(reward: Tensor, below: Tensor, temperature: float) -> Tensor:
    """Return the negative log-likelihood of each list's order ``[..., B]``, the sum of its choices.

    Plackett 1975, Luce 1959; ListMLE (Xia et al. 2008) for a reward that is trained.  Tied texts have a choice each and
    are not set against one another: Breslow's ties (1974) without the tied texts beside the chosen one.  So it is the
    probability of all that is known of the order where no text is below two that are tied, and otherwise a product of
    choices as if they were independent.
    """
    return choices(reward, below, temperature).sum(-2)


def best_of_k(reward: Tensor, below: Tensor, temperature: float) -> Tensor:
    """Return the loss of the best text as a choice ``[..., B]``: InfoNCE (van den Oord et al. 2018, arXiv:1807.03748).

    Several that are tied for the best have an even share of the loss, each against the texts below it.
    """
    best = below.any(-2) & ~below.any(-3)
    return (choices(reward, below, temperature) * best).sum(-2) / best.sum(-2).clamp(min=1)
