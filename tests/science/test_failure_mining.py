"""When failures are looked for, how many are learnt from, and which epoch is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from failure_runs import (
    SHAPES,
    WIDTH,
    D,
    N,
    everybody,
    falling,
    misranked,
    nobody,
    plan,
    problem,
    recipe,
    run,
    same,
    stack_of,
    start,
    train_on,
)
from torch import Tensor

from fairl_bench.builtin.detectors.margins import Random
from fairl_bench.science import heads
from fairl_bench.science.failures import Signal
from fairl_bench.science.selection import Selection
from fairl_bench.science.streams import stream

# --- rounds and steps


@SHAPES
def test_mining_by_step_and_by_round_agree_where_all_pairs_fail(width: int | None) -> None:
    given = problem()
    by = [
        train_on(given, [run(plan(failing=everybody, by_step=by_step, rounds=6))], recipe(width))[0]
        for by_step in (False, True)
    ]
    assert by[0].train_loss == by[1].train_loss
    assert by[0].history["validation_loss"] == by[1].history["validation_loss"]
    assert all(np.array_equal(by[0].arrays[name], by[1].arrays[name]) for name in by[0].arrays)


@SHAPES
def test_mining_by_step_and_by_round_agree_in_one_full_batch(width: int | None) -> None:
    """Between the start of a round and its only step nothing moves, so that both see one reward."""
    given = problem()
    by = [
        train_on(given, [run(plan(by_step=by_step, rate=lambda turn: 0.5))], recipe(width, batch=N), False)[0]
        for by_step in (False, True)
    ]
    assert all(np.array_equal(by[0].arrays[name], by[1].arrays[name]) for name in by[0].arrays)


class Watching:
    """A detector that writes down what it is shown."""

    def __init__(self) -> None:
        self.seen: list[Signal] = []

    def __call__(self, signal: Signal) -> Tensor:
        self.seen.append(signal)
        return misranked(signal)


@pytest.mark.parametrize(("round_epochs", "calls"), [(1, 6), (2, 3), (4, 2)])
def test_failures_are_mined_once_a_round_from_all_pairs(round_epochs: int, calls: int) -> None:
    watching = Watching()
    failures = plan(failing=watching, rounds=calls, round_epochs=round_epochs)
    (fitted,) = train_on(problem(), [run(failures)], recipe(WIDTH))
    assert [signal.margin.shape for signal in watching.seen] == [(1, N)] * calls
    progress = [signal.progress for signal in watching.seen]
    assert progress == pytest.approx(np.linspace(0, 1, calls))
    for column in ("failures", "failure_weight"):
        by_round = [fitted.history[column][at : at + round_epochs] for at in range(0, 6, round_epochs)]
        assert all(len(set(one)) == 1 for one in by_round)


def test_by_step_a_detector_sees_the_real_pairs_of_the_batch_with_their_labels_and_numbers() -> None:
    watching, given = Watching(), problem()
    how = recipe(None, epochs=2, lr=1e-30)  # a step of nothing: a margin names its pair
    train_on(given, [run(plan(failing=watching, by_step=True, rounds=2))], how)
    assert [signal.margin.shape for signal in watching.seen] == [(1, 3), (1, 3), (1, 3), (1, 2)] * 2
    assert all(signal.features is None for signal in watching.seen)
    for epoch, signals in enumerate((watching.seen[:4], watching.seen[4:])):
        assert {signal.progress for signal in signals} == {float(epoch)}
        order = stream("batches", 0, 0, epoch + 1).permutation(N)
        uniform = stream("failures", 0, 0, epoch).random((2, N), np.float32)[0]
        drawn, golds = [], []
        for signal in signals:
            assert signal.uniform is not None
            assert signal.gold is not None
            drawn.append(signal.uniform[0].numpy())
            golds.append(torch.stack(signal.gold)[:, 0].numpy())
        assert np.array_equal(np.concatenate(drawn), uniform[order])
        assert np.array_equal(np.concatenate(golds, 1), np.stack(given.gold)[:, order])


def test_a_detector_sees_the_rewards_labels_and_numbers_of_all_pairs() -> None:
    watching, given = Watching(), problem()
    train_on(given, [run(plan(failing=watching), seed=3)], recipe(WIDTH, epochs=1))
    (signal,) = watching.seen
    first, second = start(WIDTH, seed=3), start(WIDTH, "initial/failures", seed=3)
    reward = heads.score(first, given.vectors) + heads.score(second, given.vectors)
    np.testing.assert_allclose(signal.preferred[0], reward[given.train.preferred], atol=1e-5)  # float32
    np.testing.assert_allclose(signal.rejected[0], reward[given.train.rejected], atol=1e-5)
    assert signal.uniform is not None
    assert np.array_equal(signal.uniform[0], stream("failures", 0, 3, 0).random((2, N), np.float32)[0])
    assert signal.gold is not None
    assert all(np.array_equal(got, label) for got, label in zip(signal.gold, given.gold, strict=True))


@SHAPES
def test_the_features_of_a_signal_times_their_weights_are_its_margins(width: int | None) -> None:
    watching = Watching()
    train_on(problem(), [run(plan(failing=watching), seed=seed) for seed in (0, 1)], recipe(width, epochs=1))
    (signal,) = watching.seen
    assert signal.features is not None
    with torch.no_grad():
        stack = stack_of([run(plan(failing=watching), seed=seed) for seed in (0, 1)], problem(), recipe(width))
        stack.start(1)  # before any step
        first = watching.seen[-1]
        assert first.features is not None
        x, weights = first.features()
    assert x.shape == (2, N, D if width is None else 2 * width)
    np.testing.assert_allclose((x * weights[:, None]).sum(-1), first.margin, atol=1e-5)  # float32


# --- p_t


@pytest.mark.parametrize("by_step", [False, True])
def test_a_sampling_rate_of_zero_learns_from_no_failure(by_step: bool) -> None:
    given = problem()
    none = run(plan(rate=lambda turn: 0.0, by_step=by_step))
    empty = run(plan(failing=nobody, by_step=by_step))
    one, other = (train_on(given, [which], recipe(WIDTH))[0] for which in (none, empty))
    assert same(one, other)
    assert one.history["failures"] == [0.0] * 6


@pytest.mark.parametrize("by_step", [False, True])
def test_a_sampling_rate_of_one_learns_from_all_failures(by_step: bool) -> None:
    (fitted,) = train_on(problem(), [run(plan(failing=everybody, by_step=by_step))], recipe(None))
    assert fitted.history["failures"] == [float(N)] * 6


def test_a_sampling_rate_of_a_half_takes_about_half_anew_each_round_and_again_the_same() -> None:
    given, half = problem(n=400), run(plan(failing=everybody, rate=lambda turn: 0.5))
    one, other = (train_on(given, [half], recipe(None, batch=64))[0] for _ in range(2))
    assert same(one, other)
    counts = one.history["failures"]
    assert len(set(counts)) > 1
    # four standard errors of the mean share of 6 x 400 draws
    assert np.mean(counts) / 400 == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2400))


def test_what_is_sampled_does_not_depend_on_what_a_random_detector_draws() -> None:
    """Else p_t would take the failures of low numbers, which are all that `random` flags."""
    given = problem(n=400)
    half = run(plan(failing=Random(start=0.3, end=0.3).failures, rate=lambda turn: 0.5))
    (fitted,) = train_on(given, [half], recipe(None, batch=64))
    # four standard errors of 6 rounds of 120 draws
    assert np.mean(fitted.history["failures"]) / 120 == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(720))


# --- which epoch is kept


def test_no_run_stops_or_is_kept_while_lambda_is_above_1() -> None:
    """A large step spoils the validation at once: patience 1 would stop in the second epoch."""
    given, how = (
        problem(n=20, held_out=20, seed=2),
        recipe(WIDTH, lr=0.1, epochs=40, selection=Selection(patience=1, most_weight=1.0)),
    )
    (free,) = train_on(given, [run(None)], how)
    assert len(free.train_loss) < 6
    for start_at, first in ((10.0, 15), (2.0, 6), (1.0, 1)):  # 10 * 0.85^14 = 1.03, 10 * 0.85^15 = 0.87
        failures = plan(weight=falling(start_at, 0.85), rounds=40)
        (fitted,) = train_on(given, [run(failures)], how)
        weights = fitted.history["failure_weight"]
        below = next(i for i, weight in enumerate(weights) if weight <= 1)
        assert below == (0 if first == 1 else first if start_at == 10 else 5)
        assert fitted.kept_epoch > below
        assert below + 1 < len(fitted.train_loss) < 40
        assert len(fitted.train_loss) == fitted.kept_epoch + 1
        best = int(np.argmin(fitted.history["validation_loss"][below:]))
        assert fitted.history["validation_loss"][fitted.kept_epoch - 1] == pytest.approx(
            fitted.history["validation_loss"][below + best]
        )


def test_the_kept_epoch_after_lambda_has_fallen_is_kept_however_good_an_earlier_one_was() -> None:
    given, how = (
        problem(n=20, held_out=20, seed=2),
        recipe(WIDTH, lr=0.1, epochs=30, selection=Selection(patience=None, most_weight=1.0)),
    )
    (fitted,) = train_on(given, [run(plan(weight=falling(10.0, 0.85)))], how)
    losses = fitted.history["validation_loss"]
    assert min(losses[:15]) < min(losses[15:])
    assert fitted.kept_epoch == 16 + int(np.argmin(losses[15:]))
    assert fitted.admissible_from == 16


def test_the_best_epoch_of_the_whole_run_is_kept_where_all_are_admissible() -> None:
    given, how = problem(n=20, held_out=20, seed=2), recipe(WIDTH, lr=0.1, epochs=30)
    (fitted,) = train_on(given, [run(plan(weight=falling(10.0, 0.85)))], how)
    assert fitted.kept_epoch == 1 + int(np.argmin(fitted.history["validation_loss"])) < 16
    assert fitted.admissible_from == 1


@pytest.mark.parametrize("validation", [True, False])
def test_a_constant_lambda_above_1_keeps_the_last_epoch(validation: bool) -> None:
    given, how = problem(), recipe(WIDTH, lr=0.1, epochs=12, selection=Selection(patience=1, most_weight=1.0))
    (fitted,) = train_on(given, [run(plan(weight=lambda turn: 1.5))], how, validation)
    assert fitted.kept_epoch == len(fitted.train_loss) == 12
    (unstopped,) = train_on(
        given, [run(plan(weight=lambda turn: 1.5))], how._replace(selection=Selection(patience=None)), False
    )
    assert all(np.array_equal(fitted.arrays[name], unstopped.arrays[name]) for name in fitted.arrays)
