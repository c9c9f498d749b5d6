"""Weights that the pairs bring: in the training, in the losses of both parts, and in the failures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fairl_bench.builtin.methods.mean_difference import MeanDifference
from fairl_bench.builtin.methods.pairwise import MaxEntropy
from fairl_bench.science.calibrated import calibrated_loss
from fairl_bench.science.failures import FailurePlan, Signal
from fairl_bench.science.fit import fit
from fairl_bench.science.losses import bradley_terry
from fairl_bench.science.runs import Fitted, PairWeights, Recipe, RowPairs, TrainingRun
from fairl_bench.science.selection import Selection
from fairl_bench.values.training import Preferences, Stop, Task, Training

SHAPES = pytest.mark.parametrize("width", [None, 5], ids=["linear", "mlp"])
N, HELD, D = 11, 6, 7
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(2 * (N + HELD), D)).astype(np.float32)
ROWS = RNG.permutation(len(VECTORS)).reshape(2, -1)
TRAIN, VALIDATION = (RowPairs(*ROWS[:, part]) for part in (slice(0, N), slice(N, None)))


def loss(margin: torch.Tensor) -> torch.Tensor:
    return bradley_terry(margin, 1.0)


def everywhere(signal: Signal) -> torch.Tensor:
    return torch.ones_like(signal.preferred, dtype=torch.bool)


FAILING = FailurePlan(loss, everywhere, lambda turn: 0.7, lambda turn: 1.0, rounds=6, second_path=False)


def fitted(
    train: RowPairs, validation: RowPairs, weights: PairWeights, width: int | None, *, batch: int = 64, plan: Any = None
) -> Fitted:
    """Six epochs, one step each unless the batch is small: then the order of the pairs does not matter."""
    recipe = Recipe(width, lr=1e-2, batch=batch, epochs=6, selection=Selection(monitor="calibrated-loss"))
    return fit([TrainingRun("one", loss, 0, 0, failures=plan)], VECTORS, train, validation, recipe, weights=weights)[0]


def repeated(pairs: RowPairs, times: NDArray[np.int64]) -> RowPairs:
    return RowPairs(*(np.repeat(side, times) for side in pairs))


def close(one: Fitted, other: Fitted) -> None:
    for name in one.arrays.keys() - {"bias"}:  # whose slope is nothing but rounding
        np.testing.assert_allclose(one.arrays[name], other.arrays[name], rtol=0, atol=2e-5)  # float32, six Adam steps
    for name, column in one.history.items():
        np.testing.assert_allclose(column, other.history[name], rtol=1e-5)  # float32


@SHAPES
@pytest.mark.parametrize("plan", [None, FAILING], ids=["alone", "failures"])
def test_weight_two_equals_repeating_the_pair(width: int | None, plan: FailurePlan | None) -> None:
    times, held = np.ones(N, np.int64), np.ones(HELD, np.int64)
    times[[2, 5]], held[1] = 2, 3
    weights = PairWeights(0.25 * times, 4.0 * held)  # the scale of the weights is nothing
    weighted = fitted(TRAIN, VALIDATION, weights, width, plan=plan)
    twice = fitted(repeated(TRAIN, times), repeated(VALIDATION, held), PairWeights(), width, plan=plan)
    if plan is not None:  # these are counted in pairs
        assert (weighted.history.pop("failures"), twice.history.pop("failures")) == ([N] * 6, [N + 2] * 6)
    close(weighted, twice)
    plain = fitted(TRAIN, VALIDATION, PairWeights(), width, plan=plan)
    assert np.abs(plain.arrays["weight"] - twice.arrays["weight"]).max() > 1e-3


@SHAPES
def test_equal_weights_change_no_bit(width: int | None) -> None:
    plain = fitted(TRAIN, VALIDATION, PairWeights(), width, batch=3)
    equal = fitted(TRAIN, VALIDATION, PairWeights(np.full(N, 0.1), np.full(HELD, 0.3)), width, batch=3)
    assert plain.history == equal.history
    assert all(np.array_equal(plain.arrays[name], equal.arrays[name]) for name in plain.arrays)


@SHAPES
def test_a_weight_that_is_next_to_nothing_leaves_a_pair_out(width: int | None) -> None:
    weight = np.ones(N)
    weight[4] = 1e-9
    without = RowPairs(*(np.delete(side, 4) for side in TRAIN))
    close(fitted(TRAIN, VALIDATION, PairWeights(weight), width), fitted(without, VALIDATION, PairWeights(), width))


def test_the_losses_told_are_weighted_means() -> None:
    weight = np.arange(1.0, N + 1)
    found = fitted(TRAIN, VALIDATION, PairWeights(weight, np.arange(1.0, HELD + 1)), None)
    first = fit([TrainingRun("one", loss, 0, 0)], VECTORS, TRAIN, VALIDATION, Recipe(None, lr=1e-30, epochs=1))[0]
    score = VECTORS @ first.arrays["weight"]
    losses = np.logaddexp(0, -(score[TRAIN.preferred] - score[TRAIN.rejected]))
    assert found.history["train_loss"][0] == pytest.approx(np.average(losses, weights=weight), rel=1e-5)  # float32


def test_the_calibrated_loss_of_a_weight_of_two_is_that_of_the_margin_twice() -> None:
    margin = np.random.default_rng(1).normal(0.3, 1.0, 40)
    times = np.random.default_rng(2).integers(1, 4, 40)
    assert calibrated_loss(margin, times / 7) == pytest.approx(calibrated_loss(np.repeat(margin, times)), abs=1e-9)


def test_the_mean_difference_counts_a_pair_of_weight_two_twice() -> None:
    times = np.arange(1, N + 1)
    twice = repeated(TRAIN, times)
    task = [
        Task(Preferences(VECTORS, *TRAIN, weight=times / 3), Preferences(VECTORS, *VALIDATION)),
        Task(Preferences(VECTORS, *twice), Preferences(VECTORS, *VALIDATION)),
    ]
    weighted, repeats = (MeanDifference().fit(one).arrays["weight"] for one in task)
    np.testing.assert_allclose(weighted, repeats, rtol=0, atol=1e-6)  # float32


@pytest.mark.parametrize("stop", [Stop(), None], ids=["validated", "last"])
def test_a_method_learns_by_the_weights_of_its_pairs(stop: Stop | None) -> None:
    times, held = np.arange(1, N + 1), np.arange(1, HELD + 1)
    settings = Training(lr=1e-2, batch=128, epochs=6, stop=stop)
    weighted = Task(
        Preferences(VECTORS, *TRAIN, weight=times / N),
        Preferences(VECTORS, *VALIDATION, weight=1.0 * held),
        training=settings,
    )
    repeats = Task(
        Preferences(VECTORS, *repeated(TRAIN, times)),
        Preferences(VECTORS, *repeated(VALIDATION, held)),
        training=settings,
    )
    one, other = MaxEntropy().fit(weighted), MaxEntropy().fit(repeats)
    for name in one.history:
        np.testing.assert_allclose(one.history[name], other.history[name], rtol=1e-5)  # float32
    np.testing.assert_allclose(one.arrays["weight"], other.arrays["weight"], rtol=0, atol=2e-5)  # float32
    assert one.facts["kept_epoch"] == other.facts["kept_epoch"]


def test_taken_pairs_keep_their_weights() -> None:
    pairs = Preferences(VECTORS, *TRAIN, weight=np.arange(1.0, N + 1))
    taken = pairs.take(np.array([3, 0, 3])).weight
    assert taken is not None
    assert taken.tolist() == [4, 1, 4]
