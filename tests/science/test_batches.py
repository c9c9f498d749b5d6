"""The batches of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairl_bench.science.batches import Step, steps
from fairl_bench.science.streams import stream

SEEDS = [(0, 1), (0, 0), (0, 1), (2, 0)]


def drawn(n: int, size: int, sides: int = 2, epoch: int = 1) -> tuple[torch.Tensor, list[Step]]:
    train = torch.arange(sides * n).view(sides, n)
    return train, list(steps(train, SEEDS, epoch, size))


@pytest.mark.parametrize(("n", "size"), [(11, 3), (12, 3), (1, 32), (500, 3), (70, 32)])
def test_each_run_sees_every_pair_once_in_the_order_of_its_seed(n: int, size: int) -> None:
    _, found = drawn(n, size)
    assert [one.real for one in found] == [size] * (n // size) + [n % size] * (n % size > 0)
    for run, seed in enumerate(SEEDS):
        seen = torch.cat([one.picked[run, : one.real] for one in found])
        assert np.array_equal(seen, stream("batches", *seed, 1).permutation(n))


@pytest.mark.parametrize("sides", [2, 3, 100])
def test_rows_are_those_of_the_pairs_run_by_run_and_side_by_side(sides: int) -> None:
    train, found = drawn(11, 3, sides)
    for one in found:
        expected = [train[side, one.picked[run]] for run in range(len(SEEDS)) for side in range(sides)]
        assert torch.equal(one.rows, torch.cat(expected))


def test_the_last_pair_fills_a_batch_up_to_whole_registers() -> None:
    _, found = drawn(70, 20)
    assert [one.picked.shape[1] for one in found] == [32, 32, 32, 32]
    for one in found:
        assert (one.picked[:, one.real :] == one.picked[:, one.real - 1 : one.real]).all()


def test_another_epoch_has_another_order() -> None:
    assert not torch.equal(drawn(70, 32)[1][0].picked, drawn(70, 32, epoch=2)[1][0].picked)
