"""The batches of an epoch: an order of all pairs for each seed, cut into steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fairl_bench.science.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

# Texts are computed in multiples of this many.  Then every run's numbers start at a cache line and fill whole vector
# registers, or products, exp and log would round otherwise in one place of a stack than in another.
_WHOLE = 64
_BLOCK = 64  # steps that are looked up at once: what is small is cheaper by the dozen


class Step(NamedTuple):
    """The pairs of one step of every run, or its lists."""

    picked: Tensor  # [runs, B] of which the first ``real`` count; the last of them fills the batch up
    rows: Tensor  # [runs * sides * B] of the vectors: run by run, and of each the preferred texts first
    real: int


def steps(train: Tensor, seeds: Sequence[tuple[int, ...]], epoch: int, size: int) -> Iterator[Step]:
    """Yield the steps of an epoch of pairs ``train [2, n]``, or of lists ``[k, n]``, ``size`` of them a step.

    Runs whose ``seeds`` are equal see the same batches.
    """
    import torch

    n, distinct = train.shape[1], sorted(set(seeds))
    drawn = np.stack([stream("batches", *seed, epoch).permutation(n) for seed in distinct])
    orders = torch.from_numpy(drawn).to(train.device)
    mine = torch.tensor([distinct.index(seed) for seed in seeds])
    whole, rest = divmod(n, size)
    for start in range(0, whole, _BLOCK):
        yield from _cut(train, orders, mine, start * size, min(_BLOCK, whole - start), size)
    if rest:
        yield from _cut(train, orders, mine, whole * size, 1, rest)


def _cut(train: Tensor, orders: Tensor, mine: Tensor, start: int, count: int, real: int) -> Iterator[Step]:
    """Yield so many steps of ``real`` pairs each, from the place ``start`` of the orders ``[seeds, n]`` on."""
    import torch

    unit = max(1, _WHOLE // len(train))
    filled = torch.arange(-(-real // unit) * unit).clamp(max=real - 1)
    places = start + real * torch.arange(count)[:, None] + filled  # [count, B]
    # index_select: indexing by [] takes five times as long
    picked = orders.index_select(1, places.flatten()).view(-1, *places.shape).index_select(0, mine)
    rows = train.index_select(1, picked.flatten()).view(-1, *picked.shape)  # [sides, runs, count, B]
    for pairs, texts in zip(picked.unbind(1), rows.permute(2, 1, 0, 3).flatten(1).unbind(), strict=True):
        yield Step(pairs, texts, real)
