"""The two paths of a failure-aware run: what moves them, what they leave alone, and what comes out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from failure_runs import (
    BATCH,
    SHAPES,
    WIDTH,
    D,
    N,
    cold,
    entropy,
    everybody,
    falling,
    margin_of_one,
    margin_of_two,
    nobody,
    nothing,
    plan,
    problem,
    recipe,
    run,
    same,
    slopes,
    slopes_of,
    stack_of,
    start,
    train_on,
)

from fairl_bench.builtin.detectors.margins import All, BottomFraction, MarginThreshold, Random
from fairl_bench.builtin.detectors.supervised import LineSix, Supervised
from fairl_bench.builtin.detectors.uncertainty import Laplace, McDropout
from fairl_bench.science import heads
from fairl_bench.science.failure_stack import FailureStack
from fairl_bench.science.failures import Coupling
from fairl_bench.science.runs import TrainingRun
from fairl_bench.science.selection import Selection

# --- the failure path stands still where nothing fails


@SHAPES
def test_without_failures_the_failure_path_stands_still_while_others_step(width: int | None) -> None:
    failing = {"none": nobody, "all": everybody}
    runs = [run(plan(failing=failing[name], penalty=0.5), seed=seed, name=name) for seed in (0, 1) for name in failing]
    stack = stack_of(runs, problem(), recipe(width))
    assert isinstance(stack, FailureStack)
    assert stack.second is not None
    before = stack.second.flat.clone()
    with torch.no_grad():
        for epoch in (1, 2):
            stack.epoch(epoch)
    steps = 2 * -(-N // BATCH)
    for at, i in enumerate(stack.active):
        still = runs[i].name == "none"
        assert torch.equal(stack.second.flat[at], before[at]) == still
        assert all(bool((moment[at] == 0).all()) == still for moment in stack.second.moments)
        assert stack.second.steps[at] == (0 if still else steps)
        assert stack.base.steps[at] == steps


def test_moments_wait_out_a_round_without_failures() -> None:
    """Failures in the first round alone: the second round leaves parameters, moments and step count."""
    stack = stack_of(
        [run(plan(failing=lambda signal: everybody(signal) if signal.progress == 0 else nobody(signal), rounds=2))],
        problem(), recipe(WIDTH),
    )  # fmt: skip
    assert isinstance(stack, FailureStack)
    second = stack.second
    assert second is not None
    with torch.no_grad():
        stack.epoch(1)
        left = [second.flat.clone(), *(moment.clone() for moment in second.moments), second.steps.clone()]
        stack.epoch(2)
    assert all(
        torch.equal(now, then) for now, then in zip((second.flat, *second.moments, second.steps), left, strict=True)
    )
    assert second.steps[0] == 4


def test_under_full_coupling_the_second_path_learns_without_failures() -> None:
    stack = stack_of([run(plan(failing=nobody, coupling="full"))], problem(), recipe(None))
    with torch.no_grad():
        stack.epoch(1)
    assert stack.paths()[1].steps[0] == 4


# --- the penalty


@SHAPES
@pytest.mark.parametrize(("penalty", "strength"), [(0.25, 0.25), (None, 2.0), (0.0, 0.0)])
def test_the_penalty_pulls_weights_of_the_failure_path_and_no_bias(
    width: int | None, penalty: float | None, strength: float
) -> None:
    """Without a loss to speak of, the slope is the penalty's own; None is Eq. 3's lambda_t, here 2."""
    failures = plan(loss=nothing, failing=everybody, penalty=penalty)
    on_base, on_second = slopes_of(failures, width, loss=nothing)
    before = start(width, "initial/failures")
    for name, array in before.items():
        expected = strength * array if name.endswith("weight") else np.zeros_like(array)
        np.testing.assert_allclose(on_second[name], expected, rtol=1e-6)  # float32
        assert not on_base[name].any()


def test_the_l2_prior_leaves_the_failure_path_alone() -> None:
    stack = stack_of(
        [run(plan(loss=nothing, failing=everybody), loss=nothing)], problem(), recipe(None, batch=N, l2=0.5)
    )
    on_base, on_second = slopes(stack)
    np.testing.assert_allclose(on_base["weight"], start(None)["weight"], rtol=1e-6)
    assert not on_second["weight"].any()


def test_stacked_runs_keep_their_own_penalties() -> None:
    penalties = [0.0, None, 0.25, 1.0]
    runs = [run(plan(loss=nothing, failing=everybody, penalty=one), loss=nothing) for one in penalties]
    stack = stack_of(runs, problem(), recipe(None, batch=N))
    with torch.no_grad():
        stack.epoch(1)
    weight = start(None, "initial/failures")["weight"]
    for at, i in enumerate(stack.active):
        strength = 2.0 if penalties[i] is None else penalties[i]
        np.testing.assert_allclose(stack.paths()[1].slopes["weight"][at], strength * weight, rtol=1e-6)


def test_the_papers_penalty_empties_the_failure_path_and_the_constant_one_does_not() -> None:
    """science.md 6: at lambda 10 the literal 1/2 lambda ||w_F||^2 left 0.000 where the constant one left 7.0."""
    given = problem(n=120, flipped=0.1)
    norms = {}
    for penalty in (None, 1e-3):
        failures = plan(failing=BottomFraction(end=0.2).failures, weight=lambda turn: 10.0, penalty=penalty)
        (fitted,) = train_on(given, [run(failures)], recipe(16, batch=32, epochs=150), validation=False)
        norms[penalty] = fitted.history["second_norm"][-1]
    assert norms[None] < 0.02
    assert norms[1e-3] > 2


# --- lambda_0


def ranking(coupling: Coupling, weight: float) -> np.ndarray:
    """The centred reward of a run whose lambda_t starts at ``weight``."""
    given = problem(n=60)
    failures = plan(weight=falling(weight, 0.95), coupling=coupling, failing=everybody)
    (fitted,) = train_on(given, [run(failures)], recipe(8, epochs=20), validation=False)
    score = heads.score(fitted.arrays, given.vectors)
    return np.asarray(score - score.mean())


def test_lambda_0_changes_the_reward_under_base_stopped() -> None:
    strong, weak = ranking("base-stopped", 10.0), ranking("base-stopped", 0.1)
    assert np.abs(strong - weak).max() > 0.2 * weak.std()


def test_adam_cancels_lambda_0_under_both_stopped() -> None:
    """R_F's gradient is lambda times one direction, and a step of Adam does not know a gradient's scale."""
    strong, weak = ranking("both-stopped", 10.0), ranking("both-stopped", 0.1)
    assert np.abs(strong - weak).max() < 0.01 * weak.std()  # up to Adam's epsilon of 1e-8


# --- stacked equals alone


def mixed(second_path: bool, round_epochs: int = 1) -> list[TrainingRun]:
    """Detectors, couplings, penalties, losses, lambdas, rates and seeds, out of order."""
    detectors = [
        BottomFraction(start=0.5), MarginThreshold(start=0.3), Random(start=0.4), All(), Supervised(),
        LineSix(), Laplace(start=0.4), McDropout(start=0.4),
    ]  # fmt: skip
    couplings: list[Coupling] = ["base-stopped", "both-stopped", "full"]
    losses = [(entropy, cold), (margin_of_one, margin_of_two), (cold, cold)]
    runs = []
    for i, detector in enumerate([*detectors, *detectors[:3]]):
        loss, strict = losses[i % 3]
        failures = plan(
            loss=strict,
            failing=detector.failures,
            weight=falling((4.0, 0.5, 2.0, 1.3)[i % 4]),
            rate=(lambda turn: 1.0, lambda turn: 0.6)[i % 2],
            coupling=couplings[(i // 2) % 3],
            penalty=(1e-3, None, 0.0)[i % 3],
            second_path=second_path,
            rounds=24 // round_epochs,
            round_epochs=round_epochs,
        )
        runs.append(run(failures, loss, seed=i % 4, name=f"{type(detector).__name__} {i}"))
    return runs


@SHAPES
@pytest.mark.parametrize("second_path", [True, False], ids=["two-paths", "one-path"])
@pytest.mark.parametrize(("batch", "d", "n"), [(BATCH, D, N), (20, 33, 101)])
def test_stacked_equals_alone_bit_for_bit(width: int | None, second_path: bool, batch: int, d: int, n: int) -> None:
    given, how = problem(n=n, d=d), recipe(width, batch=batch, epochs=5, l2=0.01)
    stacked = train_on(given, mixed(second_path), how)
    for one, together in zip(mixed(second_path), stacked, strict=True):
        assert same(train_on(given, [one], how)[0], together), one.name
    assert len({fitted.train_loss[-1] for fitted in stacked}) == len(stacked)


@SHAPES
@pytest.mark.parametrize("round_epochs", [1, 4])
def test_runs_that_stop_at_different_epochs_leave_the_others_alone(width: int | None, round_epochs: int) -> None:
    """With four epochs a round, some stop within one: the others' failures must stay theirs."""
    given, how = problem(held_out=8, seed=2), recipe(width, lr=5e-2, epochs=24, selection=Selection(patience=2))
    stacked = train_on(given, mixed(True, round_epochs), how)
    assert len({len(fitted.train_loss) for fitted in stacked}) > 3
    for one, together in zip(mixed(True, round_epochs), stacked, strict=True):
        assert same(train_on(given, [one], how)[0], together), one.name


def test_failures_found_by_step_are_the_same_stacked_and_alone() -> None:
    given, how = problem(), recipe(WIDTH, epochs=4)
    detectors = [BottomFraction(start=0.5), MarginThreshold(start=0.3), Random(start=0.4), Supervised(), LineSix()]
    runs = [
        run(plan(failing=one.failures, by_step=True, rate=lambda turn: 0.8, rounds=4), seed=i, name=type(one).__name__)
        for i, one in enumerate(detectors)
    ]
    for one, together in zip(runs, train_on(given, runs, how), strict=True):
        assert same(train_on(given, [one], how)[0], together), one.name


# --- what comes out


@SHAPES
def test_history_has_one_entry_an_epoch_of_each_column(width: int | None) -> None:
    (fitted,) = train_on(problem(), [run(plan(weight=falling(4)))], recipe(width))
    lengths = {name: len(column) for name, column in fitted.history.items() if name != "calibrated_loss"}
    assert lengths == dict.fromkeys(("train_loss", "validation_loss", "failure_weight", "failures", "second_norm"), 6)
    assert fitted.history["failure_weight"] == pytest.approx([4 * 0.7**turn for turn in range(6)])


def test_a_baseline_has_no_column_of_failures() -> None:
    (fitted,) = train_on(problem(), [run(None)], recipe(None))
    lengths = {name: len(column) for name, column in fitted.history.items() if name != "calibrated_loss"}
    assert lengths == {"train_loss": 6, "validation_loss": 6, "failure_weight": 0, "failures": 0, "second_norm": 0}


@SHAPES
def test_the_joined_head_is_the_sum_of_both_paths(width: int | None) -> None:
    given = problem()
    stack = stack_of([run(plan(), seed=seed) for seed in (0, 1)], given, recipe(width))
    with torch.no_grad():
        for epoch in (1, 2, 3):
            stack.epoch(epoch)
    for at in (0, 1):
        first, second = (path.arrays(at) for path in stack.paths())
        joined = stack.arrays(at)
        expected = heads.score(first, given.vectors) + heads.score(second, given.vectors)
        np.testing.assert_allclose(heads.score(joined, given.vectors), expected, rtol=0, atol=1e-6)  # float32
        assert joined["weight"].shape == ((D,) if width is None else (2 * width,))
        assert joined["bias"].shape == ()
        assert {array.dtype for array in joined.values()} == {np.dtype(np.float32)}


@SHAPES
def test_the_reward_kept_has_the_validation_loss_of_its_epoch(width: int | None) -> None:
    given = problem()
    (fitted,) = train_on(given, [run(plan(weight=falling(2)))], recipe(width, epochs=10))
    reward = heads.score(fitted.arrays, given.vectors)
    margin = torch.from_numpy(reward[given.validation.preferred] - reward[given.validation.rejected])
    assert entropy(margin).mean().item() == pytest.approx(
        fitted.history["validation_loss"][fitted.kept_epoch - 1], rel=1e-5
    )


@SHAPES
def test_weight_alone_has_no_second_path(width: int | None) -> None:
    given, alone = problem(), run(plan(second_path=False))
    assert len(stack_of([alone], given, recipe(width)).paths()) == 1
    (fitted,) = train_on(given, [alone], recipe(width))
    assert fitted.history["second_norm"] == []
    assert len(fitted.history["failures"]) == 6
    assert fitted.arrays["weight"].shape == ((D,) if width is None else (width,))


def test_the_two_paths_start_apart_and_the_base_path_where_the_baseline_does() -> None:
    stack, baseline = (stack_of([run(one)], problem(), recipe(WIDTH)) for one in (plan(), None))
    assert torch.equal(stack.base.flat, baseline.base.flat)
    assert not torch.equal(stack.paths()[1].flat, stack.base.flat)


def test_a_detector_of_another_shape_is_refused() -> None:
    with pytest.raises(Exception, match=r"the detector of 'short' turned margins \[1, 11\] into \[1, 10\]"):
        train_on(problem(), [run(plan(failing=lambda signal: signal.margin[:, 1:] < 0), name="short")], recipe(None))
