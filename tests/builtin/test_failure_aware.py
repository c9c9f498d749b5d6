from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fairl_bench.builtin.methods.failure_aware import FailureAware
from fairl_bench.builtin.methods.pairwise import MaxEntropy
from fairl_bench.builtin.schedules import Constant, Exponential
from fairl_bench.kinds.method import Method
from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.science.runs import Batch
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import planted
from fairl_bench.values.training import Head, Inputs, Reward, Task, Training

EVERY = Registry(installed=False)
PROBLEM = planted(n=40)
BASES = ("max-margin", "max-entropy")
HEADS = (Head(use="linear"), Head(use="mlp", width=4))


def spec(base: Any = "max-entropy", detector: Any = "bottom-fraction", **fields: Any) -> dict[str, Any]:
    """The spec of a failure-aware method; a base or a detector may be named alone."""
    base, detector = ({"use": part} if isinstance(part, str) else part for part in (base, detector))
    return {"use": "failure-aware", "base": base, "detector": detector, **fields}


def build(base: Any = "max-entropy", detector: Any = "bottom-fraction", **fields: Any) -> FailureAware:
    built = EVERY.build(Method, spec(base, detector, **fields))
    assert isinstance(built, FailureAware)
    return built


def refused(**fields: Any) -> tuple[tuple[int | str, ...], str]:
    """Where a spec is refused, and why."""
    with pytest.raises(ValidationError) as caught:
        build(**fields)
    (error,) = caught.value.errors()
    return error["loc"], error["msg"]


def detector_spec(name: str) -> dict[str, Any]:
    nested = {"use": "union", "of": [{"use": "margin"}, {"use": "supervised"}]}
    return {"use": "union", "of": [{"use": "random"}, nested]} if name == "union" else {"use": name}


def on(head: Head, seed: int = 0, **training: Any) -> Task:
    one = PROBLEM.task
    settings = Training(**{"lr": 1e-2, "epochs": 7, **training})
    return Task(one.train, one.validation, head, settings, replicate=0, seed=seed)


def finite(method: Method, reward: Reward) -> bool:
    score = method.score(reward, Inputs(PROBLEM.texts, PROBLEM.vectors))
    columns = [np.array(column) for column in reward.history.values()]
    return all(bool(np.isfinite(one).all()) for one in (*reward.arrays.values(), *columns, score))


# --- defaults


def test_defaults_are_those_of_the_project() -> None:
    method = build()
    assert method.failure_loss == "stricter"
    assert method.strictness == 2.0
    assert method.failure_weight == EVERY.build(Exponential, {"use": "exponential", "start": 10.0, "factor": 0.85})
    assert method.sampling == EVERY.build(Constant, {"use": "constant", "value": 1.0})
    assert (method.rounds, method.round_epochs, method.mine) == (60, 1, "round")
    assert (method.failure_head, method.coupling, method.penalty) == (True, "base-stopped", 1e-3)
    plan = method.failure_plan()
    assert (plan.rounds, plan.round_epochs, plan.by_step) == (60, 1, False)
    assert (plan.second_path, plan.coupling, plan.penalty) == (True, "base-stopped", 1e-3)
    assert [plan.weight(turn) for turn in (0, 1, 59)] == pytest.approx([10.0, 8.5, 10 * 0.85**59])
    assert [plan.rate(turn) for turn in (0, 59)] == [1.0, 1.0]


def test_written_out_defaults_are_the_defaults() -> None:
    plain = build().plain()
    assert plain["failure_weight"] == {"use": "exponential", "start": 10.0, "factor": 0.85}
    assert plain["sampling"] == {"use": "constant", "value": 1.0}
    assert EVERY.build(Method, plain) == build()


@pytest.mark.parametrize(
    ("base", "field", "value"), [("max-margin", "margin", 1.6), ("max-entropy", "temperature", 0.5)]
)
def test_the_stricter_loss_asks_twice_as_much(base: str, field: str, value: float) -> None:
    """M_fail = 2M, tau_fail = tau / 2."""
    import torch

    margin = torch.linspace(-3, 3, 13)
    expected: Any = EVERY.build(Method, {"use": base, field: value})
    assert torch.equal(build(base).failure_plan().loss(margin), expected.loss(margin))
    same = build(base, failure_loss="same")
    assert torch.equal(same.failure_plan().loss(margin), same.base.loss(margin))
    assert torch.equal(same.loss(margin), same.base.loss(margin))


def test_methods_of_equal_bases_share_their_losses() -> None:
    """One call of a loss serves all runs of a stack."""
    one, other = build(), build(detector="random")
    assert one.loss == other.loss == MaxEntropy().loss
    assert one.failure_plan().loss == other.failure_plan().loss != one.loss
    assert one.loss != build("max-margin").loss


def test_a_subclass_with_another_loss_is_trained_on_it() -> None:
    class Doubled(MaxEntropy):
        def loss(self, margin: Any) -> Any:
            return 2 * super().loss(margin) + 1

    task = on(HEADS[1], epochs=2)
    plain, doubled = (method.fit(task).history["train_loss"] for method in (MaxEntropy(), Doubled()))
    # Adam's steps do not know the scale of a loss; float32
    np.testing.assert_allclose(doubled, 2 * np.array(plain) + 1, rtol=1e-4)


def test_strictness_says_how_much_the_failure_loss_asks() -> None:
    import torch

    margin = torch.linspace(-3, 3, 13)
    plan = build({"use": "max-margin", "margin": 0.5}, strictness=3.0).failure_plan()
    assert torch.equal(plan.loss(margin), (1.5 - margin).clamp(min=0))


def test_every_setting_reaches_the_plan() -> None:
    method = build(
        rounds=5,
        round_epochs=3,
        mine="step",
        failure_head=False,
        coupling="full",
        penalty="failure-weight",
        failure_weight={"use": "linear", "start": 4.0, "end": 0.0},
        sampling={"use": "cosine", "start": 1.0, "end": 0.0},
    )
    plan = method.failure_plan()
    assert (plan.rounds, plan.round_epochs, plan.by_step) == (5, 3, True)
    assert (plan.second_path, plan.coupling, plan.penalty) == (False, "full", None)
    assert [plan.weight(turn) for turn in range(5)] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert [plan.rate(turn) for turn in (0, 2, 4)] == pytest.approx([1.0, 0.5, 0.0])
    assert method.epochs(Training(epochs=7)) == 15


# --- refused


def test_a_failure_aware_base_is_refused() -> None:
    assert refused(base=spec()) == ((), "base needs a single loss, not 'failure-aware'")


class Flat(PairwiseMethod):
    """No stricter form."""

    def loss(self, margin: Any) -> Any:
        return -margin.sigmoid()


class Pair(MaxEntropy):
    """Two heads."""

    def members(self) -> int:
        return 2


def test_a_base_without_a_stricter_form_needs_the_same_loss() -> None:
    with pytest.raises(ValidationError, match="base '' has no stricter form; set 'failure_loss: same'"):
        EVERY.build(Method, spec(base=Flat()))
    method = build(base=Flat(), failure_loss="same", rounds=2)
    assert finite(method, method.fit(on(HEADS[0])))


def test_an_ensemble_as_base_is_refused() -> None:
    assert refused(base=Pair()) == ((), "base needs a single loss, not ''")


@pytest.mark.parametrize("name", ["laplace", "mc-dropout"])
def test_a_detector_of_all_pairs_is_refused_within_a_step(name: str) -> None:
    reason = f"detector {name!r} needs 'mine: round': it reads all pairs at once"
    assert refused(detector=name, mine="step") == ((), reason)
    nested = {"use": "union", "of": [{"use": "margin"}, {"use": "union", "of": [{"use": name}]}]}
    reason = "detector 'union' needs 'mine: round': it reads all pairs at once"
    assert refused(detector=nested, mine="step") == ((), reason)
    assert build(detector=nested).detector.use == "union"


@pytest.mark.parametrize("name", ["mean-difference", "length"])
def test_a_base_that_is_no_pairwise_method_is_refused(name: str) -> None:
    assert refused(base=name) == (("base",), f"needs a PairwiseMethod, which method {name!r} is not")


def test_a_detector_in_place_of_a_base_is_refused() -> None:
    where, reason = refused(base="bottom-fraction")
    assert where == ("base",)
    assert reason.startswith("method 'bottom-fraction' is unknown")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("strictness", 1.0, "Input should be greater than 1"),
        ("rounds", 0, "Input should be greater than or equal to 1"),
        ("round_epochs", 0, "Input should be greater than or equal to 1"),
        ("coupling", "half", "Input should be 'base-stopped', 'both-stopped' or 'full'"),
        ("failure_loss", "softer", "Input should be 'stricter' or 'same'"),
        ("mine", "epoch", "Input should be 'round' or 'step'"),
    ],
)
def test_a_value_out_of_range_is_refused(field: str, value: Any, reason: str) -> None:
    assert refused(**{field: value}) == ((field,), reason)


@pytest.mark.parametrize("penalty", [-0.5, "none"])
def test_a_penalty_is_a_number_from_0_or_the_failure_weight(penalty: Any) -> None:
    with pytest.raises(ValidationError, match=f"(?s)penalty.*input_value='?{penalty}"):
        build(penalty=penalty)


def test_a_base_and_a_detector_are_needed() -> None:
    for lacking in ("base", "detector"):
        fields = {name: value for name, value in spec().items() if name != lacking}
        with pytest.raises(ValidationError, match=f"(?s){lacking}.*Field required"):
            EVERY.build(Method, fields)


# --- what it must know


@pytest.mark.parametrize(
    ("detector", "truths"),
    [
        ("bottom-fraction", set()),
        ("supervised", {"gold"}),
        ("algorithm-1-line-6", {"gold"}),
        ({"use": "union", "of": [{"use": "margin"}, {"use": "random"}]}, set()),
        ({"use": "union", "of": [{"use": "margin"}, {"use": "union", "of": [{"use": "supervised"}]}]}, {"gold"}),
    ],
)
def test_it_must_know_what_its_detector_must_know(detector: Any, truths: set[str]) -> None:
    assert build(detector=detector).truths() == truths


# --- every combination trains


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.use)
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("detector", EVERY.names("detector"))
def test_every_combination_that_is_admitted_trains(detector: str, base: str, head: Head) -> None:
    methods = [
        build(
            base,
            detector_spec(detector),
            rounds=2,
            coupling=coupling,
            failure_head=failure_head,
            failure_loss=loss,
            mine=mine,
        )
        for coupling, failure_head, loss, mine in product(
            ("base-stopped", "both-stopped", "full"), (True, False), ("stricter", "same"), ("round", "step")
        )
        if mine == "round" or EVERY.find("detector", detector).by_step  # type: ignore[attr-defined]
    ]
    assert len(methods) == (12 if detector in ("laplace", "mc-dropout") else 24)
    forms: dict[Any, list[FailureAware]] = {}
    for method in methods:
        forms.setdefault(method.stack(), []).append(method)
    assert len(forms) == len(methods) // 6
    for form in forms.values():
        for method, reward in zip(form, FailureAware.fit_many([(one, on(head)) for one in form]), strict=True):
            assert finite(method, reward)
            assert reward.facts["epochs"] == 2
            wide = head.use == "mlp" and method.failure_head
            assert reward.arrays["weight"].shape == (16 if head.use == "linear" else 8 if wide else 4,)
            assert ("second_norm" in reward.history) == method.failure_head


def test_methods_of_one_form_train_in_one_stack_as_they_do_alone() -> None:
    methods = [
        build(base, detector_spec(detector), rounds=4, coupling=coupling)
        for base, detector, coupling in (
            ("max-margin", "supervised", "base-stopped"), ("max-entropy", "bottom-fraction", "full"),
            ("max-entropy", "laplace", "both-stopped"), ("max-margin", "union", "base-stopped"),
        )
    ]  # fmt: skip
    runs = [(method, on(HEADS[1], seed)) for seed in (0, 1) for method in methods]
    assert len({method.stack() for method in methods}) == 1
    for (method, task), together in zip(runs, FailureAware.fit_many(runs), strict=True):
        alone = method.fit(task)
        assert all(np.array_equal(alone.arrays[name], together.arrays[name]) for name in alone.arrays)
        assert alone.history == together.history


@pytest.mark.parametrize(
    "fields",
    [{"rounds": 5}, {"round_epochs": 2}, {"mine": "step"}, {"failure_head": False}],
    ids=lambda one: next(iter(one)),
)
def test_methods_of_another_form_train_apart(fields: dict[str, Any]) -> None:
    assert build(**fields).stack() != build().stack()
    assert build().stack() != MaxEntropy().stack()


def test_all_rounds_are_trained_whatever_the_suites_epochs() -> None:
    reward = build(rounds=3, round_epochs=2).fit(on(HEADS[0], epochs=1))
    assert reward.facts["epochs"] == 6
    assert len(reward.history["train_loss"]) == len(reward.history["failures"]) == 6
    assert len(set(reward.history["failure_weight"])) == 3


def test_a_reward_tells_lambda_at_the_epoch_kept() -> None:
    reward = build(rounds=20).fit(on(HEADS[0]))
    at = reward.facts["kept_epoch"]
    assert isinstance(at, int)
    assert reward.facts["failure_weight_when_kept"] == reward.history["failure_weight"][at - 1] <= 1


def test_without_weight_or_second_path_it_is_its_base() -> None:
    method = build(failure_weight={"use": "constant", "value": 0.0}, failure_head=False, rounds=7)
    for head in HEADS:
        got, expected = (one.fit(on(head)) for one in (method, MaxEntropy()))
        assert all(np.array_equal(got.arrays[name], expected.arrays[name]) for name in expected.arrays)
        assert got.history["train_loss"] == expected.history["train_loss"]


class Halves(MaxEntropy):
    """Weighs the pairs that are still misranked by a half."""

    def weight(self, margin: Any, loss: Any, batch: Batch) -> Any:
        return 1 - 0.5 * (margin < 0)


def test_the_weights_of_its_base_are_kept() -> None:
    method = build(base=Halves(), failure_weight={"use": "constant", "value": 0.0}, failure_head=False, rounds=7)
    got, weighed, plain = (one.fit(on(HEADS[0])) for one in (method, Halves(), MaxEntropy()))
    assert not np.array_equal(weighed.arrays["weight"], plain.arrays["weight"])
    assert np.array_equal(got.arrays["weight"], weighed.arrays["weight"])


def test_supervised_failures_without_labels_are_an_error_that_names_the_truth() -> None:
    train = PROBLEM.task.train
    blind = type(train)(train.vectors, train.preferred, train.rejected, train.texts)
    task = Task(blind, PROBLEM.task.validation, HEADS[0], Training(), 0, 0)
    with pytest.raises(ValueError, match="the detector needs the truth 'gold' of the training pairs"):
        build(detector="supervised", rounds=1).fit(task)


@pytest.mark.parametrize("detector", ["bottom-fraction", "supervised"])
@pytest.mark.parametrize("base", BASES)
def test_it_learns_the_planted_direction(base: str, detector: str) -> None:
    problem = planted()
    task = Task(problem.task.train, problem.task.validation, HEADS[0], Training(lr=1e-2), 0, 0)
    weight = build(base, detector, rounds=40).fit(task).arrays["weight"]
    assert weight @ problem.theta / np.linalg.norm(weight) > 0.9
