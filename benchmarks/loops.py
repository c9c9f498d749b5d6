"""The loops that one would write to train heads, which `training.py` and `gpu.py` compare with: one model at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, Sampler, TensorDataset

from fairl_bench.science import heads
from fairl_bench.science.runs import RowPairs
from fairl_bench.science.streams import stream

D, WIDTH, BATCH, SEEDS, LAMBDA = 384, 64, 32, 5, 10.0
NAMES: Final = ("mm", "me", "fa-mm-threshold", "fa-mm-bottom", "fa-me-threshold", "fa-me-bottom")
"""The rows of the paper's Table 1; its ground-truth failures by margin threshold, which costs the same."""


def vectors_and_pairs(texts: int, pairs: int) -> tuple[NDArray[np.float32], RowPairs]:
    """Unit vectors of texts, and pairs of them."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((texts, D), np.float32)
    for block in np.array_split(vectors, max(1, texts // 10_000)):
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    rows = rng.choice(texts, 2 * pairs, replace=False)
    return vectors, RowPairs(rows[:pairs].copy(), rows[pairs:].copy())


class Head(torch.nn.Sequential):
    """A two-layer head that starts where ours starts."""

    def __init__(self, purpose: str) -> None:
        super().__init__(torch.nn.Linear(D, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, 1))
        row = heads.initial(D, WIDTH, stream(purpose, 0, 0))
        start = {name: torch.from_numpy(array) for name, array in heads.layout(D, WIDTH).arrays(row).items()}
        with torch.no_grad():
            self[0].weight.copy_(start["hidden.weight"].T)
            self[0].bias.copy_(start["hidden.bias"])
            self[2].weight.copy_(start["weight"][None])
            self[2].bias.copy_(start["bias"])


class Order(Sampler[int]):
    """The order of the pairs in our first epoch."""

    def __init__(self, n: int) -> None:
        self.rows = stream("batches", 0, 0, 1).permutation(n)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Any:
        return iter(self.rows.tolist())


def batches_of_a_dataloader(x: Tensor, sides: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    """The vectors ``[2 B, d]`` of each batch, the preferred first, and its pairs; as a DataLoader gives them."""
    pairs = TensorDataset(x[sides[0]], x[sides[1]], torch.arange(sides.shape[1]))
    for preferred, rejected, pair in DataLoader(pairs, BATCH, sampler=Order(sides.shape[1])):
        yield torch.cat([preferred, rejected]), pair


def batches_of_tensors(x: Tensor, sides: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    """The same, gathered from the vectors as they lie."""
    for pair in torch.from_numpy(Order(sides.shape[1]).rows).to(x.device).split(BATCH):
        yield x.index_select(0, sides.index_select(1, pair).flatten()), pair


Batches = Callable[[Tensor, Tensor], Iterable[tuple[Tensor, Tensor]]]


def loop(batches: Batches, x: Tensor, sides: Tensor, name: str) -> float:
    """One epoch of one run by autograd and `torch.optim.Adam`; its mean base loss."""
    n = sides.shape[1]
    hinge: Callable[[Tensor, float], Tensor] = lambda m, k: (0.8 * k - m).clamp(min=0)  # noqa: E731
    loss = hinge if "mm" in name else (lambda m, k: softplus(-m * k))
    base = Head("initial").to(x.device)
    second = Head("initial/failures").to(x.device) if name.startswith("fa-") else None
    parameters = [*base.parameters(), *(second.parameters() if second else ())]
    adam = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    failing = None if second is None else failures(x, sides, base, second, name.endswith("bottom"))
    total = torch.zeros((), device=x.device)
    for both, pair in batches(x, sides):
        adam.zero_grad()
        margin = margins(base, both)
        if second is None or failing is None:
            losses = loss(margin, 1)
            objective = losses.mean()
        else:
            extra, mask = margins(second, both), failing[pair]
            losses = loss(margin + extra.detach(), 1)
            few = mask.sum().clamp(min=1)
            penalty = 0.5e-3 * sum((layer.weight**2).sum() for layer in (second[0], second[2]))
            objective = losses.mean() + LAMBDA * (loss(margin + extra, 2) * mask).sum() / few + penalty
        objective.backward()
        adam.step()
        total += losses.detach().sum()
    return float(total) / n


def margins(head: Head, both: Tensor) -> Tensor:
    preferred, rejected = head(both)[:, 0].chunk(2)
    return preferred - rejected


@torch.no_grad()
def failures(x: Tensor, sides: Tensor, base: Head, second: Head, lowest: bool) -> Tensor:
    """Which pairs fail before the first step."""
    margin = torch.cat(
        [margins(base, both) + margins(second, both) for both in (x[block.flatten()] for block in sides.split(4096, 1))]
    )
    if not lowest:
        return margin <= 0.5
    mask = torch.zeros(len(margin), dtype=torch.bool, device=x.device)
    mask[margin.argsort(stable=True)[: round(0.2 * len(margin))]] = True
    return mask


LOOPS: Final = {"DataLoader loop": batches_of_a_dataloader, "tensor loop": batches_of_tensors}
