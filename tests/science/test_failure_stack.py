from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from fairl_bench.builtin.detectors.margins import All, BottomFraction, MarginThreshold, Random
from fairl_bench.builtin.detectors.supervised import LineSix, Supervised
from fairl_bench.builtin.detectors.uncertainty import Laplace, McDropout
from fairl_bench.science import heads
from fairl_bench.science.failure_stack import FailureStack
from fairl_bench.science.failures import Coupling, FailurePlan, Signal
from fairl_bench.science.fit import fit
from fairl_bench.science.losses import bradley_terry, hinge
from fairl_bench.science.runs import Comparisons, Fitted, Recipe, Run
from fairl_bench.science.selection import Selection
from fairl_bench.science.stack import Data, Stack
from fairl_bench.science.streams import stream

# odd on purpose: nothing is a multiple of a vector register, and the last batch is short
D, WIDTH, BATCH, N = 7, 5, 3, 11
SHAPES = pytest.mark.parametrize("width", [None, WIDTH], ids=["linear", "mlp"])
COUPLINGS = pytest.mark.parametrize("coupling", ["base-stopped", "both-stopped", "full"])
NONE = Comparisons(np.empty(0, np.int64), np.empty(0, np.int64))
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
    train: Comparisons
    validation: Comparisons
    gold: Gold


def problem(n: int = N, held_out: int = 6, d: int = D, seed: int = 0, flipped: float = 1 / 3) -> Problem:
    """Gaussian vectors; a pair prefers the row with the larger first number, but for a flipped third."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(2 * (n + held_out), d)).astype(np.float32)
    sides = rng.permutation(len(vectors)).reshape(-1, 2)
    wrong = (vectors[sides[:, 0], 0] < vectors[sides[:, 1], 0]) ^ (rng.random(len(sides)) < flipped)
    sides[wrong] = sides[wrong][:, ::-1]
    label = np.where(vectors[:, 0] > 0, 1, -1).astype(np.int8)
    train, validation = Comparisons(*sides[:n].T.copy()), Comparisons(*sides[n:].T.copy())
    return Problem(vectors, train, validation, (label[train.preferred], label[train.rejected]))


def plan(**fields: Any) -> FailurePlan:
    known: dict[str, Any] = {"loss": cold, "failing": misranked, "weight": lambda turn: 2.0, "rate": lambda turn: 1.0}
    return FailurePlan(**{**known, "penalty": 0.0, **fields})


def run(failures: FailurePlan | None, loss: Any = entropy, seed: int = 0, name: str = "one", **fields: Any) -> Run:
    return Run(name, loss, 0, seed, failures=failures, **fields)


def recipe(width: int | None, **fields: Any) -> Recipe:
    return Recipe(
        width=width, **{"lr": 1e-2, "batch": BATCH, "epochs": 6, "selection": Selection(patience=None), **fields}
    )


def train_on(given: Problem, runs: list[Run], how: Recipe, validation: bool = True) -> list[Fitted]:
    return fit(runs, given.vectors, given.train, given.validation if validation else NONE, how, given.gold)


def start(width: int | None, purpose: str = "initial", seed: int = 0, d: int = D) -> Arrays:
    return heads.layout(d, width).arrays(heads.initial(d, width, stream(purpose, 0, seed)))


def stack_of(runs: list[Run], given: Problem, how: Recipe) -> Stack:
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


def mixed(second_path: bool, round_epochs: int = 1) -> list[Run]:
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


# --- rounds and steps


@SHAPES
def test_mining_by_step_and_by_round_agree_where_all_pairs_fail(width: int | None) -> None:
    given = problem()
    by = [
        train_on(given, [run(plan(failing=everybody, by_step=by_step, rounds=6))], recipe(width))[0]
        for by_step in (False, True)
    ]
    assert by[0].train_loss == by[1].train_loss
    assert by[0].validation_loss == by[1].validation_loss
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
        best = int(np.argmin(fitted.validation_loss[below:]))
        assert fitted.validation_loss[fitted.kept_epoch - 1] == pytest.approx(fitted.validation_loss[below + best])


def test_the_kept_epoch_after_lambda_has_fallen_is_kept_however_good_an_earlier_one_was() -> None:
    given, how = (
        problem(n=20, held_out=20, seed=2),
        recipe(WIDTH, lr=0.1, epochs=30, selection=Selection(patience=None, most_weight=1.0)),
    )
    (fitted,) = train_on(given, [run(plan(weight=falling(10.0, 0.85)))], how)
    losses = fitted.validation_loss
    assert min(losses[:15]) < min(losses[15:])
    assert fitted.kept_epoch == 16 + int(np.argmin(losses[15:]))
    assert fitted.admissible_from == 16


def test_the_best_epoch_of_the_whole_run_is_kept_where_all_are_admissible() -> None:
    given, how = problem(n=20, held_out=20, seed=2), recipe(WIDTH, lr=0.1, epochs=30)
    (fitted,) = train_on(given, [run(plan(weight=falling(10.0, 0.85)))], how)
    assert fitted.kept_epoch == 1 + int(np.argmin(fitted.validation_loss)) < 16
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
    assert entropy(margin).mean().item() == pytest.approx(fitted.validation_loss[fitted.kept_epoch - 1], rel=1e-5)


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
