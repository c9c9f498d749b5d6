"""How likely completions are under a language model, and how far one model has moved from another."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from fairl_bench.science.endings import before_end
from fairl_bench.science.generation import Drawn
from fairl_bench.science.shared_prompts import passed


class Divergence(NamedTuple):
    """How far each completion ``[batch]`` moved, float64, drawn from a policy's whole distribution at temperature 1.

    The means of ``k1`` and ``k3`` both estimate the KL of a completion from the base without bias, in nats (Schulman
    2020, "Approximating KL divergence"): k1 is the log-ratio, k3 adds to each token ``ratio - 1``, whose mean is 0.
    """

    k1: torch.Tensor
    k3: torch.Tensor
    surprise: torch.Tensor  # -log probability under the base, nats
    tokens: torch.Tensor  # the one that ends it counts as one


def divergence(base: Any, drawn: Drawn) -> Divergence:
    """Return how far the policy that drew these completions is from a base, up to the first end of each.

    Without ``base`` the policy counts as its own base.
    """
    kept = before_end(drawn.new, drawn.ends)
    ours = drawn.said.masked_fill(~kept, 0.0)
    theirs = ours if base is None else log_probabilities(base, drawn).masked_fill(~kept, 0.0)
    ratio = theirs - ours
    return Divergence(-ratio.sum(1), (ratio.expm1() - ratio).sum(1), -theirs.sum(1), kept.sum(1))


def log_probabilities(model: Any, drawn: Drawn) -> torch.Tensor:
    """Return the log-probability of each new token ``[batch, new]`` float64; after the end they mean nothing.

    Of an end it is that of any of the ends, as in `Drawn.said`.
    """
    new, attention = drawn.new, torch.cat([drawn.attention, torch.ones_like(drawn.new)], 1)
    own = {"attention_mask": attention}
    if "position_ids" in inspect.signature(model.forward).parameters:
        own["position_ids"] = (attention.cumsum(1) - 1).clamp_min(0)  # padding on the left moves no token
    # the token before says how likely the next one is
    logits = passed(model, drawn.tokens, new.shape[1] + 1, use_cache=False, **own).logits[:, :-1]
    # a text at a time: those of a batch have as many float64 as a large vocabulary times all of their tokens
    rows = (slice(i, i + 1) for i in range(len(new)))
    return torch.cat([_said(logits[row], new[row], drawn.ends) for row in rows])


def _said(logits: torch.Tensor, new: torch.Tensor, ends: Sequence[int]) -> torch.Tensor:
    """Return how likely tokens ``[1, new]`` are by logits ``[1, new, vocabulary]``."""
    log = logits.double().log_softmax(-1)
    found = log.gather(2, new[..., None]).squeeze(2)
    if len(ends) < 2:
        return found
    end = torch.tensor(ends, device=new.device)
    return torch.where(torch.isin(new, end), log[..., end].logsumexp(-1), found)
