"""A causal language model trained from scratch by next-token prediction on one stream of tokens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from fairl_bench.errors import NotFinite
from fairl_bench.science import checkpoints

Tokens = NDArray[np.int64]
Draw = Callable[[int], np.random.Generator]
"""The randomness of a step, by its number: a resumed training needs none kept."""

CHECKPOINT_SECONDS = 60.0


class Recipe(NamedTuple):
    """How the model is trained: AdamW, a linear warm-up, then half a cosine down to 0."""

    steps: int = 250
    batch: int = 32
    length: int = 64  # tokens of a window
    lr: float = 6e-3
    warmup: float = 0.1  # share of the steps
    decay: float = 0.01
    clip: float = 1.0  # norm of the gradient, at most
    bfloat16: bool = False  # in the products; weights stay float32


def rate(step: int, recipe: Recipe) -> float:
    """The learning rate of step ``step`` (from 0).

    >>> [rate(step, Recipe(steps=5, lr=1.0, warmup=0.2)) for step in range(5)]
    [1.0, 1.0, 0.8535533905932737, 0.5, 0.14644660940672627]
    """
    warm = math.ceil(recipe.warmup * recipe.steps)
    if step < warm:
        return recipe.lr * (step + 1) / warm
    return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / (recipe.steps - warm)))


def pretrain(
    model: Any,
    tokens: Tokens,
    recipe: Recipe,
    draw: Draw,
    checkpoint: Path,
    said: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Train ``model`` in place; the loss of each step, nats a token.

    A step reads ``batch`` windows of ``length`` tokens at places that ``draw(step)`` gives, and learns each window's
    next tokens.  Weights and optimizer are kept in ``checkpoint`` every `CHECKPOINT_SECONDS`; where that file exists
    training goes on from there, and ends with the same weights.  Raises `NotFinite` at the step whose loss is not.
    """
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.lr, betas=(0.9, 0.95), weight_decay=recipe.decay, fused=True
    )
    losses = _restored(model, optimizer, checkpoint)
    kept = time.monotonic()
    model.train()
    for step in range(len(losses), recipe.steps):
        optimizer.param_groups[0]["lr"] = rate(step, recipe)
        windows = torch.from_numpy(_windows(tokens, recipe, draw(step))).to(device)  # [batch, length + 1]
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
            loss = _loss(model, windows)
        if not math.isfinite(now := loss.item()):
            raise NotFinite(f"the loss of step {step + 1} of {recipe.steps} is {now}; lower lr, or use a wider dtype")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        losses.append(now)
        said(step + 1, losses[-1])
        if time.monotonic() - kept >= CHECKPOINT_SECONDS:
            _keep(model, optimizer, losses, checkpoint)
            kept = time.monotonic()
    return losses


@torch.no_grad()
def perplexity(model: Any, tokens: Tokens, recipe: Recipe) -> float:
    """The exponential of the mean loss over ``tokens``, read in windows one after the other.

    The first token has nothing before it and is not predicted; NaN where there is no other.
    """
    device = next(model.parameters()).device
    model.eval()
    starts = np.arange(0, len(tokens) - recipe.length, recipe.length)
    windows = [tokens[some[:, None] + np.arange(recipe.length + 1)] for some in _chunks(starts, recipe.batch)]
    rest = tokens[len(starts) * recipe.length :]
    if len(rest) > 1:
        windows.append(rest[None])
    nats = sum(_loss(model, torch.from_numpy(some).to(device)).item() * some[:, 1:].size for some in windows)
    return math.exp(nats / (len(tokens) - 1)) if windows else math.nan


def _chunks(values: Tokens, size: int) -> list[Tokens]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _windows(tokens: Tokens, recipe: Recipe, rng: np.random.Generator) -> Tokens:
    starts = rng.integers(0, len(tokens) - recipe.length, recipe.batch)
    windows: Tokens = tokens[starts[:, None] + np.arange(recipe.length + 1)]
    return windows


def _loss(model: Any, windows: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=windows[:, :-1], use_cache=False).logits
    return cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())


def _keep(model: Any, optimizer: torch.optim.Optimizer, losses: list[float], checkpoint: Path) -> None:
    half = checkpoint.with_suffix(".half")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "losses": losses}, half)
    checkpoints.replace(half, checkpoint)


def _restored(model: Any, optimizer: torch.optim.Optimizer, checkpoint: Path) -> list[float]:
    """Put weights and optimizer back and return the losses so far; none without a complete checkpoint."""
    if not checkpoints.is_whole(checkpoint):
        return []
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    losses: list[float] = state["losses"]
    return losses
