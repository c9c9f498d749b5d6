"""The Adam step of a stack, whole and masked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairl_bench.science import heads
from fairl_bench.science.paths import Path

D, WIDTH, RUNS = 5, 3, 4


def path(seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    return Path(heads.layout(D, WIDTH), [heads.initial(D, WIDTH, rng) for _ in range(RUNS)], lr=0.01)


def sloped(one: Path, seed: int) -> Path:
    one.slope.copy_(torch.from_numpy(np.random.default_rng(seed).normal(size=one.slope.shape)))
    return one


@pytest.mark.parametrize("steps", [1, 20])
def test_a_masked_step_is_the_step_of_those_in_the_mask(steps: int) -> None:
    asked, unasked = path(), path()
    for seed in range(steps):
        mask = torch.from_numpy(np.random.default_rng(100 + seed).random(RUNS) < 0.6)
        sloped(asked, seed).step(mask)
        sloped(unasked, seed).masked_step(mask)
        assert torch.equal(asked.steps, unasked.steps)
        # float32: the fused kernel divides once where this multiplies
        torch.testing.assert_close(unasked.flat, asked.flat, rtol=1e-5, atol=1e-6)


def test_an_empty_mask_moves_nothing() -> None:
    for step in (Path.step, Path.masked_step):
        one = sloped(path(), 1)
        before = one.flat.clone()
        step(one, torch.zeros(RUNS, dtype=torch.bool))
        assert torch.equal(one.flat, before)
        assert not one.steps.any()


def test_a_full_mask_is_no_mask() -> None:
    one, other = sloped(path(), 1), sloped(path(), 1)
    one.step()
    other.step(torch.ones(RUNS, dtype=torch.bool))
    assert torch.equal(one.flat, other.flat)


def test_a_step_is_that_of_torch_adam() -> None:
    one = path()
    theirs = torch.nn.Parameter(one.flat.clone())
    adam = torch.optim.Adam([theirs], lr=0.01)
    for seed in range(5):
        theirs.grad = sloped(one, seed).slope.clone()
        one.step()
        adam.step()
    torch.testing.assert_close(one.flat, theirs.detach(), rtol=1e-5, atol=1e-6)  # float32 rounding of two kernels
