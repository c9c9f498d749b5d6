"""How likely completions are under a language model, and how far one model has moved from another."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import torch

from fairl_bench.science.endings import End, before_end
from fairl_bench.science.generation import Drawn


class Divergence(NamedTuple):
    """How far each completion ``[batch]`` moved, float64, drawn from a policy's whole distribution at temperature 1.

    The means of ``k1`` and ``k3`` both estimate the KL of a completion from the base without bias, in nats (Schulman
    2020, "Approximating KL divergence"): k1 is the log-ratio, k3 adds to each token ``ratio - 1``, whose mean is 0.
    """

    k1: torch.Tensor
    k3: torch.Tensor
    surprise: torch.Tensor  # -log probability under the base, nats
    tokens: torch.Tensor  # the one that ends it counts as one


def divergence(policy: Any, base: Any, drawn: Drawn, end: End) -> Divergence:
    """Return how far the policy that drew these completions is from its base, up to the first ``end`` of each."""
    kept = before_end(drawn.new, end)
    ours, theirs = (log_probabilities(model, drawn).masked_fill(~kept, 0.0) for model in (policy, base))
    ratio = theirs - ours
    return Divergence(-ratio.sum(1), (ratio.expm1() - ratio).sum(1), -theirs.sum(1), kept.sum(1))


def log_probabilities(model: Any, drawn: Drawn) -> torch.Tensor:
    """Return the log-probability of each new token ``[batch, new]`` float64; after the end they mean nothing."""
    new = drawn.new
    attention = torch.cat([drawn.attention, torch.ones_like(new)], 1)
    inputs = {"input_ids": drawn.tokens, "attention_mask": attention}
    if "position_ids" in inspect.signature(model.forward).parameters:
        inputs["position_ids"] = (attention.cumsum(1) - 1).clamp_min(0)  # padding on the left moves no token
    with torch.inference_mode():
        logits = model(**inputs).logits
    # the token before says how likely the next one is
    log = logits[:, -new.shape[1] - 1 : -1].double().log_softmax(-1)
    found: torch.Tensor = log.gather(2, new[..., None]).squeeze(2)
    return found
