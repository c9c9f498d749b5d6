"""Small failure-aware runs, and their gradients and results, for the tests of `fairl_bench.science.failure_stack`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from fairl_bench.science import heads
from fairl_bench.science.failure_stack import FailureStack
from fairl_bench.science.failures import FailurePlan, Signal
from fairl_bench.science.fit import fit
from fairl_bench.science.losses import bradley_terry, hinge
from fairl_bench.science.runs import Fitted, Recipe, RowPairs, TrainingRun
from fairl_bench.science.selection import Selection
from fairl_bench.science.stack import Data, Stack
from fairl_bench.science.streams import stream

# odd on purpose: nothing is a multiple of a vector register, and the last batch is short
D, WIDTH, BATCH, N = 7, 5, 3, 11
SHAPES = pytest.mark.parametrize("width", [None, WIDTH], ids=["linear", "mlp"])
COUPLINGS = pytest.mark.parametrize("coupling", ["base-stopped", "both-stopped", "full"])
NONE = RowPairs(np.empty(0, np.int64), np.empty(0, np.int64))
Arrays = Mapping[str, np.ndarray]
Gold = tuple[np.ndarray, np.ndarray]


def entropy(margin: Tensor) -> Tensor:
    return bradley_terry(margin, 1.0)


def cold(margin: Tensor) -> Tensor:
    return bradley_terry(margin, 0.5)


def margin_of_one(margin: Tensor) -> Tensor:
    return hinge(margin, 1.0)


def margin_of_two(margin: Tensor) -> Tensor:
    return hinge(margin, 2.0)


def nothing(margin: Tensor) -> Tensor:
    return 0 * margin


def misranked(signal: Signal) -> Tensor:
    return signal.margin <= 0


def nobody(signal: Signal) -> Tensor:
    return torch.zeros(signal.margin.shape, dtype=torch.bool)


def everybody(signal: Signal) -> Tensor:
    return torch.ones(signal.margin.shape, dtype=torch.bool)


def falling(start: float, factor: float = 0.7) -> Callable[[int], float]:
    return lambda turn: start * factor**turn


class Problem(NamedTuple):
    vectors: np.ndarray
    train: RowPairs
    validation: RowPairs
    gold: Gold


def problem(n: int = N, held_out: int = 6, d: int = D, seed: int = 0, flipped: float = 1 / 3) -> Problem:
    """Gaussian vectors; a pair prefers the row with the larger first number, but for a flipped third."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2 * (n + held_out), d)).astype(np.float32)
    sides = rng.permutation(len(vectors)).reshape(-1, 2)
    wrong = (vectors[sides[:, 0], 0] < vectors[sides[:, 1], 0]) ^ (rng.random(len(sides)) < flipped)
    sides[wrong] = sides[wrong][:, ::-1]
    label = np.where(vectors[:, 0] > 0, 1, -1).astype(np.int8)
    train, validation = RowPairs(*sides[:n].T.copy()), RowPairs(*sides[n:].T.copy())
    return Problem(vectors, train, validation, (label[train.preferred], label[train.rejected]))


def plan(**fields: Any) -> FailurePlan:
    known: dict[str, Any] = {"loss": cold, "failing": misranked, "weight": lambda turn: 2.0, "rate": lambda turn: 1.0}
    return FailurePlan(**{**known, "penalty": 0.0, **fields})


def run(
    failures: FailurePlan | None, loss: Any = entropy, seed: int = 0, name: str = "one", **fields: Any
) -> TrainingRun:
    return TrainingRun(name, loss, 0, seed, failures=failures, **fields)


def recipe(width: int | None, **fields: Any) -> Recipe:
    return Recipe(
        width=width, **{"lr": 1e-2, "batch": BATCH, "epochs": 6, "selection": Selection(patience=None), **fields}
    )


def train_on(given: Problem, runs: list[TrainingRun], how: Recipe, validation: bool = True) -> list[Fitted]:
    return fit(runs, given.vectors, given.train, given.validation if validation else NONE, how, given.gold)


def start(width: int | None, purpose: str = "initial", seed: int = 0, d: int = D) -> Arrays:
    return heads.layout(d, width).arrays(heads.initial(d, width, stream(purpose, 0, seed)))


def stack_of(runs: list[TrainingRun], given: Problem, how: Recipe) -> Stack:
    data = Data.of(given.vectors, given.train, NONE, given.gold)
    return Stack(runs, data, how) if runs[0].failures is None else FailureStack(runs, data, how)


def slopes(stack: Stack, at: int = 0) -> list[Arrays]:
    """Each path's gradient in one step over all pairs; Adam reads it and leaves it as it is."""
    with torch.no_grad():
        stack.epoch(1)
    return [path.layout.arrays(path.slope[at].numpy()) for path in stack.paths()]


def slopes_of(failures: FailurePlan | None, width: int | None, **fields: Any) -> list[Arrays]:
    return slopes(stack_of([run(failures, **fields)], problem(), recipe(width, batch=N)))


def close(got: Arrays, expected: Arrays, tolerance: float = 1e-5) -> None:
    """Equal up to float32 rounding, relative to the largest number of the gradient."""
    assert got.keys() == expected.keys()
    largest = max(float(np.abs(one).max()) for one in expected.values())
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, rtol=0, atol=tolerance * largest, err_msg=name)


def same(one: Fitted, other: Fitted) -> bool:
    """Bit for bit, history and all."""
    return (
        one[1:] == other[1:]
        and one.arrays.keys() == other.arrays.keys()
        and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)
    )
