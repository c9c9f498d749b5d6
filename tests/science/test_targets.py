"""Runs whose pairs have a target: the margin that each pair should have."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from failure_runs import (
    BATCH,
    SHAPES,
    WIDTH,
    N,
    close,
    entropy,
    everybody,
    plan,
    problem,
    recipe,
    run,
    same,
    slopes,
    stack_of,
    start,
    train_on,
)
from torch import Tensor

from fairl_bench.builtin.detectors.margins import All
from fairl_bench.builtin.methods.failure_aware import FailureAware
from fairl_bench.builtin.methods.pairwise import MaxEntropy
from fairl_bench.builtin.schedules import Constant
from fairl_bench.errors import FairlError
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.science import heads
from fairl_bench.science.calibrated import calibrated_loss
from fairl_bench.science.fit import fit
from fairl_bench.science.runs import RowPairs, Targets, TrainingRun
from fairl_bench.science.selection import Selection
from fairl_bench.testing import planted
from fairl_bench.values.data import Vectors
from fairl_bench.values.training import Head, Preferences, Stop, Task, Training


def square(margin: Tensor) -> Tensor:
    return margin.square()


def targets(n: int = N, held_out: int = 6, seed: int = 5) -> Targets:
    rng = np.random.default_rng(seed)
    return Targets(rng.normal(size=n).astype(np.float32), rng.normal(size=held_out).astype(np.float32))


def margins(arrays: Any, vectors: np.ndarray, pairs: RowPairs) -> np.ndarray:
    reward = heads.score(arrays, vectors)
    return np.asarray(reward[pairs.preferred] - reward[pairs.rejected])


def mixed() -> list[TrainingRun]:
    """Runs with targets and without, two losses, two seeds."""
    return [
        run(None, loss, seed, name, targets=target)
        for seed in (0, 1)
        for name, loss, target in (
            ("squares", square, targets()),
            ("entropy", entropy, None),
            ("other targets", square, targets(seed=6)),
            ("entropy with targets", entropy, targets()),
            ("plain squares", square, None),
        )
    ]


# --- the loss sees a margin less its target


@SHAPES
def test_the_slope_is_that_of_the_loss_beyond_the_target(width: int | None) -> None:
    given, wanted = problem(), targets()
    (found,) = slopes(stack_of([run(None, square, targets=wanted)], given, recipe(width, batch=N)))
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in start(width).items()}
    stacked = {name: leaf[None] for name, leaf in leaves.items()}
    x = torch.from_numpy(given.vectors)[None]
    reward = heads.forward(stacked, x)[0][0]
    beyond = reward[given.train.preferred] - reward[given.train.rejected] - torch.from_numpy(wanted.train)
    (beyond**2).mean().backward()
    close(found, {name: leaf.grad.numpy() for name, leaf in leaves.items() if leaf.grad is not None})


@SHAPES
def test_the_losses_of_an_epoch_are_those_beyond_the_targets(width: int | None) -> None:
    """With a step size of nothing every epoch sees the start; batches are shuffled, and targets go with their pairs."""
    given, wanted = problem(), targets()
    (one,) = train_on(given, [run(None, square, targets=wanted)], recipe(width, lr=1e-30))
    expected = ((margins(start(width), given.vectors, given.train) - wanted.train) ** 2).mean()
    held_out = ((margins(start(width), given.vectors, given.validation) - wanted.validation) ** 2).mean()
    np.testing.assert_allclose(one.train_loss, expected, rtol=1e-5)  # float32
    np.testing.assert_allclose(one.history["validation_loss"], held_out, rtol=1e-5)


def test_a_head_learns_the_targets() -> None:
    """Targets that are the gaps of a linear reward give that reward, its scale included."""
    given = problem(n=200)
    theta = np.arange(1.0, 8.0)
    reward = given.vectors @ theta
    gaps = (reward[pairs.preferred] - reward[pairs.rejected] for pairs in (given.train, given.validation))
    wanted = Targets(*(gap.astype(np.float32) for gap in gaps))
    how = recipe(None, lr=0.05, batch=32, epochs=200, selection=Selection(patience=None))
    (one,) = train_on(given, [run(None, square, targets=wanted)], how)
    np.testing.assert_allclose(one.arrays["weight"], theta, atol=0.01)  # Adam has not quite come to rest


# --- what targets leave alone


@SHAPES
def test_runs_with_and_without_targets_get_the_numbers_that_they_get_alone(width: int | None) -> None:
    given = problem()
    how = recipe(width, selection=Selection(patience=2), epochs=30, lr=5e-2)
    together = train_on(given, mixed(), how)
    assert len({len(one.train_loss) for one in together}) > 2  # some stop before others
    for one, stacked in zip(mixed(), together, strict=True):
        assert same(train_on(given, [one], how)[0], stacked), one.name
    assert len({stacked.train_loss[-1] for stacked in together}) == len(together)


@SHAPES
def test_targets_of_nothing_change_nothing(width: int | None) -> None:
    given = problem()
    none = Targets(np.zeros(N, np.float32), np.zeros(6, np.float32))
    (zero,), (without,) = (train_on(given, [run(None, square, targets=one)], recipe(width)) for one in (none, None))
    assert same(zero, without)


# --- the choice of an epoch


def test_the_base_loss_that_is_watched_is_beyond_the_targets_and_the_calibrated_loss_is_of_the_margins() -> None:
    given = problem(n=60, held_out=40)
    wanted = Targets(3 * targets(60).train, 3 * targets(held_out=40).validation)
    one = run(None, square, targets=wanted)
    for monitor in ("base-loss", "calibrated-loss"):
        how = recipe(WIDTH, lr=0.05, epochs=25, selection=Selection(patience=None, monitor=monitor))  # type: ignore[arg-type]
        (found,) = train_on(given, [one], how)
        watched = found.history["validation_loss" if monitor == "base-loss" else "calibrated_loss"]
        assert found.kept_epoch == 1 + int(np.argmin(watched))
        margin = margins(found.arrays, given.vectors, given.validation)
        kept = {"base-loss": ((margin - wanted.validation) ** 2).mean(), "calibrated-loss": calibrated_loss(margin)}
        assert kept[monitor] == pytest.approx(watched[found.kept_epoch - 1], rel=1e-4)  # float32, another order


# --- failures


def test_the_failure_loss_is_beyond_the_targets_too() -> None:
    """With one path and all pairs failing, lambda = 2 makes the slope three times as steep."""
    given, wanted = problem(), targets()
    failures = plan(loss=square, failing=everybody, second_path=False)
    (alone,) = slopes(stack_of([run(None, square, targets=wanted)], given, recipe(WIDTH, batch=N)))
    (both,) = slopes(stack_of([run(failures, square, targets=wanted)], given, recipe(WIDTH, batch=N)))
    close(both, {name: 3 * array for name, array in alone.items()})


# --- methods


class Towards(PairwiseMethod):
    """The squared distance of each margin from a tenth of the pair's row number."""

    def loss(self, margin: Tensor) -> Tensor:
        return margin.square()

    def target(self, pairs: Preferences) -> Vectors:
        return (pairs.preferred / 10).astype(np.float32)


def task(seed: int = 0, **training: Any) -> Task:
    settings = Training(**{"lr": 1e-2, "batch": BATCH, "epochs": 4, **training})
    given = planted(n=25, d=4).task
    return Task(given.train, given.validation, Head(width=WIDTH), settings, 0, seed)


@pytest.mark.parametrize("stop", [Stop(monitor="base-loss"), None])
def test_a_method_gives_the_targets_of_its_pairs(stop: Stop | None) -> None:
    given = task(stop=stop)
    reward = Towards().fit(given)
    pairs = [RowPairs(part.preferred, part.rejected) for part in (given.train, given.validation)]
    held_out = pairs[1] if stop else RowPairs(pairs[1][0][:0], pairs[1][1][:0])
    wanted = Targets(*((side.preferred / 10).astype(np.float32) for side in (pairs[0], held_out)))
    one = TrainingRun("towards", square, 0, 0, targets=wanted)
    how = recipe(WIDTH, epochs=4, selection=Selection(40, 0.004, 1, monitor="base-loss", average=3))
    how = how if stop else how._replace(selection=Selection(None, start=4))
    (expected,) = fit([one], given.train.vectors, pairs[0], held_out, how)
    assert all(np.array_equal(reward.arrays[name], array) for name, array in expected.arrays.items())


def test_a_failure_aware_method_has_the_targets_of_its_base() -> None:
    given = task()
    aware = FailureAware(
        base=Towards(),
        detector=All(),
        failure_weight=Constant(value=0.0),
        sampling=Constant(value=1.0),
        rounds=4,
        failure_head=False,
        failure_loss="same",
    )
    reward, plain = aware.fit(given), Towards().fit(given)
    assert all(np.array_equal(reward.arrays[name], array) for name, array in plain.arrays.items())


class Wrong(MaxEntropy):
    """Targets that a test names."""

    answers: ClassVar[dict[str, Any]] = {
        "one": 1.0,
        "short": np.zeros(3),
        "words": np.full(25, "a"),
        "endless": np.full(25, np.inf),
    }
    which: str = ""

    def target(self, pairs: Preferences) -> Any:
        return self.answers[self.which]


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        ("one", r"float64 of shape \[\]"),
        ("short", r"float64 of shape \[3\]"),
        ("words", "<U1, not all finite"),
        ("endless", "float64, not all finite"),
    ],
)
def test_targets_that_are_no_finite_number_a_pair_are_refused(which: str, sentence: str) -> None:
    with pytest.raises(FairlError, match=f"target gave 25 pairs {sentence}; return one finite number a pair, or None"):
        Wrong(which=which).fit(task())
