"""The gradients of both paths against independent references, and the limits where they become something known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from failure_runs import (
    COUPLINGS,
    SHAPES,
    Arrays,
    D,
    N,
    Problem,
    close,
    cold,
    entropy,
    everybody,
    falling,
    margin_of_one,
    margin_of_two,
    plan,
    problem,
    recipe,
    run,
    slopes,
    slopes_of,
    stack_of,
    start,
    train_on,
)
from torch import Tensor

from fairl_bench.science import heads
from fairl_bench.science.failures import Coupling, FailurePlan
from fairl_bench.science.runs import Recipe
from fairl_bench.science.selection import Selection
from fairl_bench.science.streams import stream

# --- an independent reference: the objectives in float64, differentiated by finite differences


def reward64(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    if "hidden.weight" in arrays:
        x = np.maximum(x @ arrays["hidden.weight"] + arrays["hidden.bias"], 0)
    return np.asarray(x @ arrays["weight"] + arrays["bias"])


def margin64(arrays: Arrays, given: Problem) -> np.ndarray:
    reward = reward64(arrays, given.vectors.astype(np.float64))
    return np.asarray(reward[given.train.preferred] - reward[given.train.rejected])


def differences(objective: Callable[[Arrays], float], at: Arrays) -> Arrays:
    """The gradient by central differences; their error is of the order of 1e-9."""
    found = {}
    for name, array in at.items():
        slope = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = array.copy()
                moved[index] += step
                ends.append(objective({**at, name: moved}))
            slope[index] = (ends[0] - ends[1]) / 2e-6
        found[name] = slope
    return found


def entropy64(tau: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda margin: np.logaddexp(0, -margin / tau)


def hinge64(required: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda margin: np.maximum(0, required - margin)


LOSSES = pytest.mark.parametrize(
    ("base", "strict", "base64", "strict64"),
    [
        (entropy, cold, entropy64(1), entropy64(0.5)),
        (margin_of_one, margin_of_two, hinge64(1), hinge64(2)),
    ],
    ids=["max-entropy", "max-margin"],
)


@SHAPES
@COUPLINGS
@LOSSES
@pytest.mark.parametrize("penalty", [0.3, None])
def test_each_path_steps_down_its_own_objective(
    width: int | None, coupling: Coupling, penalty: float | None, base: Any, strict: Any, base64: Any, strict64: Any
) -> None:
    """Base-stopped: R_D against both losses, R_F against L_fail; both-stopped: each its own; full: both both."""
    given, weight = problem(), 2.5
    first, second = (
        {name: np.asarray(array, np.float64) for name, array in start(width, purpose).items()}
        for purpose in ("initial", "initial/failures")
    )
    m_first, m_second = margin64(first, given), margin64(second, given)
    failing = m_first + m_second <= 0
    assert 0 < failing.sum() < N
    mu = weight if penalty is None else penalty

    def base_objective(arrays: Arrays) -> float:
        margin = margin64(arrays, given) + m_second
        extra = weight * strict64(margin)[failing].mean() if coupling != "both-stopped" else 0.0
        return float(base64(margin).mean() + extra)

    def failure_objective(arrays: Arrays) -> float:
        margin = m_first + margin64(arrays, given)
        extra = base64(margin).mean() if coupling == "full" else 0.0
        squares = sum(float((arrays[name] ** 2).sum()) for name in arrays if name.endswith("weight"))
        return float(weight * strict64(margin)[failing].mean() + extra + mu / 2 * squares)

    failures = plan(loss=strict, weight=lambda turn: weight, coupling=coupling, penalty=penalty)
    got = slopes_of(failures, width, loss=base)
    close(got[0], differences(base_objective, first))
    close(got[1], differences(failure_objective, second))


@SHAPES
def test_weight_alone_steps_down_the_sum_of_both_losses(width: int | None) -> None:
    given = problem()
    first = {name: np.asarray(array, np.float64) for name, array in start(width).items()}
    failing = margin64(first, given) <= 0

    def objective(arrays: Arrays) -> float:
        margin = margin64(arrays, given)
        return float(entropy64(1)(margin).mean() + 2 * entropy64(0.5)(margin)[failing].mean())

    for coupling in ("base-stopped", "both-stopped", "full"):
        (got,) = slopes_of(plan(second_path=False, coupling=coupling), width)
        close(got, differences(objective, first))


# --- against a plain PyTorch loop: rounds, short batches, empty S_t, lambda_t


class Head(torch.nn.Module):
    """`nn.Linear` layers that start as a path does."""

    def __init__(self, width: int | None, purpose: str) -> None:
        super().__init__()
        arrays = start(width, purpose)
        top = torch.nn.Linear(D if width is None else width, 1)
        layers: list[torch.nn.Module] = [top]
        with torch.no_grad():
            top.weight.copy_(torch.from_numpy(arrays["weight"])[None])
            top.bias.copy_(torch.from_numpy(arrays["bias"]))
            if width is not None:
                hidden = torch.nn.Linear(D, width)
                hidden.weight.copy_(torch.from_numpy(arrays["hidden.weight"]).T)
                hidden.bias.copy_(torch.from_numpy(arrays["hidden.bias"]))
                layers = [hidden, torch.nn.ReLU(), top]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[:, 0]  # type: ignore[no-any-return]

    def squares(self) -> Tensor:
        return sum(((p**2).sum() for name, p in self.named_parameters() if name.endswith("weight")), torch.zeros(()))


def plain_torch(given: Problem, how: Recipe, failures: FailurePlan) -> np.ndarray:
    """The same training by autograd and stop-gradients; the rewards of all texts at the end."""
    one, two = Head(how.width, "initial"), Head(how.width, "initial/failures")
    adams = [torch.optim.Adam(head.parameters(), lr=how.lr) for head in (one, two)]
    x = torch.from_numpy(given.vectors)
    preferred, rejected = torch.from_numpy(given.train.preferred), torch.from_numpy(given.train.rejected)

    def margin(head: Head, rows: Tensor) -> Tensor:
        return head(x[preferred[rows]]) - head(x[rejected[rows]])  # type: ignore[no-any-return]

    everything = torch.arange(N)
    for epoch in range(1, how.epochs + 1):
        turn, late = divmod(epoch - 1, failures.round_epochs)
        weight = failures.weight(turn)
        if not late:
            found = (margin(one, everything) + margin(two, everything)).detach() <= 0
        order = torch.from_numpy(stream("batches", 0, 0, epoch).permutation(N))
        for rows in torch.split(order, how.batch):
            some = found[rows]
            base, second = margin(one, rows), margin(two, rows)
            loss = torch.zeros(())
            if failures.coupling == "full":
                seen = strict = base + second
            elif failures.coupling == "base-stopped":
                seen, strict = base + second.detach(), base + second
            else:
                seen, strict = base + second.detach(), base.detach() + second
            loss = entropy(seen).mean()
            if some.any():
                loss = loss + weight * failures.loss(strict[some]).mean()
            mu = weight if failures.penalty is None else failures.penalty
            for adam in adams:
                adam.zero_grad()
            (loss + mu / 2 * two.squares()).backward()  # type: ignore[no-untyped-call]
            adams[0].step()
            if some.any() or failures.coupling == "full":
                adams[1].step()
    return np.asarray((one(x) + two(x)).detach().numpy())


@SHAPES
@COUPLINGS
@pytest.mark.parametrize("penalty", [0.02, None])
def test_fit_equals_a_plain_pytorch_loop(width: int | None, coupling: Coupling, penalty: float | None) -> None:
    given, how = problem(), recipe(width, epochs=8)
    failures = plan(weight=falling(3), coupling=coupling, penalty=penalty, rounds=4, round_epochs=2)
    (fitted,) = train_on(given, [run(failures)], how, validation=False)
    got = heads.score(fitted.arrays, given.vectors)
    expected = plain_torch(given, how, failures)
    # rewards up to a constant: the bias's gradient is rounding, of which Adam makes whole steps; float32 by 32 steps
    np.testing.assert_allclose(got - got.mean(), expected - expected.mean(), rtol=0, atol=2e-5)
    assert 0 < fitted.history["failures"][0] < N


# --- where it becomes something known


def test_full_coupling_without_failures_gives_the_baselines_gradient_on_each_path() -> None:
    """Linear: R_D + R_F is one head of weight w_D + w_F, and both paths see its gradient."""
    stack = stack_of([run(plan(weight=lambda turn: 0.0, coupling="full"))], problem(), recipe(None, batch=N))
    together = stack.paths()[0].flat + stack.paths()[1].flat
    on_base, on_second = slopes(stack)
    baseline = stack_of([run(None)], problem(), recipe(None, batch=N))
    baseline.base.flat.copy_(together)
    (expected,) = slopes(baseline)
    assert all(np.array_equal(on_base[name], on_second[name]) for name in on_base)
    close(on_base, expected)


@SHAPES
def test_lambda_zero_without_a_second_path_is_the_baseline(width: int | None) -> None:
    given, how = problem(), recipe(width, selection=Selection(patience=3))
    (with_plan,) = train_on(given, [run(plan(weight=lambda turn: 0.0, second_path=False))], how)
    (baseline,) = train_on(given, [run(None)], how)
    assert with_plan.train_loss == baseline.train_loss
    assert with_plan.kept_epoch == baseline.kept_epoch
    assert all(np.array_equal(with_plan.arrays[name], baseline.arrays[name]) for name in baseline.arrays)


@SHAPES
def test_all_pairs_failing_under_the_same_loss_weigh_one_plus_lambda(width: int | None) -> None:
    (weighed,) = slopes_of(None, width, weight=lambda margin, loss, batch: 3.0 * torch.ones_like(loss))
    (alone,) = slopes_of(plan(loss=entropy, failing=everybody, second_path=False), width)
    close(alone, weighed)


def test_all_pairs_failing_under_the_same_loss_split_one_plus_lambda_between_linear_paths() -> None:
    """Base-stopped: (1 + lambda) g for the base path and lambda g for the other; both-stopped: g and lambda g."""
    for coupling, share in (("base-stopped", 3.0), ("both-stopped", 1.0), ("full", 3.0)):
        on_base, on_second = slopes_of(plan(loss=entropy, failing=everybody, coupling=coupling), None)
        whole = 3.0 if coupling == "full" else 2.0
        close(on_base, {name: array * share / whole for name, array in on_second.items()})
