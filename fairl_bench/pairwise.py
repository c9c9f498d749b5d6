"""The most common kind of method: a loss of the margins of pairs, which the harness trains.

A subclass defines ``loss``; linear and two-layer heads, early stopping and the training of all seeds at once are there.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

import numpy as np

from fairl_bench.errors import FairlError
from fairl_bench.kinds.method import Method, truth_of_labels
from fairl_bench.values.data import Vectors
from fairl_bench.values.training import Preferences, Reward, Stop, Task, Training

if TYPE_CHECKING:
    from torch import Tensor

    from fairl_bench.science.failures import FailurePlan
    from fairl_bench.science.runs import Batch, Fitted, Recipe, RowPairs, Targets, TrainingRun
    from fairl_bench.science.selection import Selection


class PairwiseMethod(Method):
    """A reward that minimises the mean of a loss of the margin ``R(preferred) - R(rejected)``.

    Pairs that have weights (`Preferences.weight`) count by them in the mean, in training and in validation.
    """

    reads_validation: ClassVar[bool] = True

    @abstractmethod
    def loss(self, margin: Tensor) -> Tensor:
        """The loss of each pair: margins ``[..., B]`` in reward units to losses ``[..., B]``, elementwise.

        Where pairs have a `target`, it is called with each margin less its pair's target.
        """

    def target(self, pairs: Preferences) -> Vectors | None:
        """The margin that each of these pairs should have ``[n]``, in reward units; None: they have none."""
        return None

    def weight(self, margin: Tensor, loss: Tensor, batch: Batch) -> Tensor:
        """The weight of each pair ``[..., B]``, 0 or more: what is minimised is the batch's mean of weight times loss.

        Weights are neither scaled nor differentiated.  ``batch.progress``, the share of the epochs that are over, lets
        them change as the training goes on.
        """
        return loss.new_ones(loss.shape)

    def weighs(self) -> bool:
        """Whether it has weights of its own."""
        return type(self).weight is not PairwiseMethod.weight

    def stricter(self, factor: float) -> Self | None:
        """The same loss, ``factor`` times as strict, for failures; None where it has no such form."""
        return None

    def members(self) -> int:
        """How many heads are trained, from different initial values; more than one is an ensemble, see `combine`."""
        return 1

    def combine(self, rewards: Sequence[Reward]) -> Reward:
        """One reward from those of the members; by default the only one."""
        return rewards[0]

    def failure_plan(self) -> FailurePlan | None:
        """How it learns from failures; None: not at all."""
        return None

    def epochs(self, training: Training) -> int:
        """How many epochs it trains at most."""
        return training.epochs

    def fit(self, task: Task) -> Reward:
        """Train one head by Adam (`fairl_bench.science.fit`)."""
        return self.fit_many([(self, task)])[0]

    def stack(self) -> Hashable:
        """Every pairwise method trains beside every other."""
        return "pairwise"

    @classmethod
    def fit_many(cls, runs: Sequence[tuple[Self, Task]]) -> list[Reward]:
        """Train all runs in one loop; each gets the numbers that it would get alone.

        Runs of another form, with other epochs or with failures, are trained in a loop of their own.
        """
        forms = [loop_form(method, task) for method, task in runs]
        rewards: dict[int, Reward] = {}
        for form in dict.fromkeys(forms):
            rows = [i for i, other in enumerate(forms) if other == form]
            rewards |= dict(zip(rows, cls._fit_together([runs[i] for i in rows]), strict=True))
        return [rewards[i] for i in range(len(runs))]

    @classmethod
    def _fit_together(cls, runs: Sequence[tuple[Self, Task]]) -> list[Reward]:
        from fairl_bench.progress import report
        from fairl_bench.science.fit import fit
        from fairl_bench.science.runs import PairWeights, RowPairs

        method, task = runs[0]
        one_each = [(method, task, member) for method, task in shared(runs) for member in range(method.members())]
        plans = {id(method): method.failure_plan() for method, _, _ in one_each}
        fitted = iter(
            fit(
                [run_of(method, task, member, plans[id(method)]) for method, task, member in one_each],
                task.train.vectors,
                RowPairs(task.train.preferred, task.train.rejected),
                validation_pairs(task),
                recipe_of(task, method.epochs(task.training)),
                task.train.gold,
                report,
                task.training.device,
                PairWeights(task.train.weight, task.validation.weight if task.training.stop else None),
            )
        )
        return [method.combine([reward_of(next(fitted)) for _ in range(method.members())]) for method, _ in runs]


M = TypeVar("M", bound=Method)


def loop_form(method: PairwiseMethod, task: Task) -> Hashable:
    """What runs must share, beside their data and settings, to be trained in one loop."""
    plan = method.failure_plan()
    learns = None if plan is None else (plan.rounds, plan.round_epochs, plan.by_step, plan.second_path)
    epochs = method.epochs(task.training)
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise FairlError(f"method {method.use!r}: epochs gave {epochs!r:.40}; it needs a whole number of at least 1")
    return epochs, learns, truth_of_labels(method)


def shared(runs: Sequence[tuple[M, Task]]) -> list[tuple[M, Task]]:
    """The runs with equal methods as one object, so that they share the calls of their loss."""
    methods: list[M] = []
    for method, _ in runs:
        # of one class: whether a plugin's method takes itself for another is not for it to say
        same = (known for known in methods if type(known) is type(method) and known == method)
        methods.append(next(same, method))
    return [(method, task) for method, (_, task) in zip(methods, runs, strict=True)]


def run_of(method: PairwiseMethod, task: Task, member: int, plan: FailurePlan | None) -> TrainingRun:
    """One run of a stack: this member of the method's heads."""
    from fairl_bench.science.runs import TrainingRun

    return TrainingRun(
        name=method.use or type(method).__name__,
        loss=method.loss,
        replicate=task.replicate,
        seed=task.seed,
        member=member,
        weight=method.weight if method.weighs() else None,
        failures=plan,
        targets=_targets(method, task),
    )


def _targets(method: PairwiseMethod, task: Task) -> Targets | None:
    """The targets of the training and of the validation pairs; None where they have none.  Raises `FairlError`."""
    from fairl_bench.science.runs import Targets

    train = method.target(task.train)
    if train is None:
        return None
    validation = method.target(task.validation) if task.training.stop else np.empty(0)
    return Targets(_target(method, train, len(task.train)), _target(method, validation, len(validation_pairs(task)[0])))


def _target(method: PairwiseMethod, answer: object, n: int) -> Vectors:
    """The targets of ``n`` pairs ``[n]``.  Raises `FairlError` for another answer."""
    target = np.asarray(answer)
    if target.shape != (n,) or target.dtype.kind not in "fiu" or not np.isfinite(target).all():
        got = (
            f"{target.dtype} of shape {list(target.shape)}"
            if target.shape != (n,)
            else f"{target.dtype}, not all finite"
        )
        raise FairlError(
            f"method {method.use!r}: target gave {n} pairs {got}; return one finite number a pair, or None"
        )
    return target.astype(np.float32)


def validation_pairs(task: Task) -> RowPairs:
    """The validation pairs; none where nothing is chosen by them."""
    from fairl_bench.science.runs import RowPairs

    read = slice(None) if task.training.stop else slice(0)
    return RowPairs(task.validation.preferred[read], task.validation.rejected[read])


def recipe_of(task: Task, epochs: int) -> Recipe:
    """How the runs of a task are trained, for at most so many epochs."""
    from fairl_bench.science.runs import Recipe

    training = task.training
    return Recipe(
        width=task.head.width if task.head.use == "mlp" else None,
        lr=training.lr,
        batch=training.batch,
        epochs=epochs,
        l2=training.l2,
        selection=selection_of(training.stop, epochs),
    )


def selection_of(stop: Stop | None, epochs: int) -> Selection:
    """The suite's rule for the epoch that is kept, for a method of so many epochs."""
    from fairl_bench.science.selection import Selection

    if stop is None:
        return Selection(patience=None, start=epochs)
    most = 1.0 if stop.admissible == "failure-weight-at-most-1" else math.inf
    return Selection(stop.patience, stop.min_delta, stop.first(epochs), most, stop.monitor, stop.average)


def reward_of(fitted: Fitted) -> Reward:
    """The kept head of a run, with the history and the facts of its training."""
    history = {name: column for name, column in fitted.history.items() if column}
    facts: dict[str, float | int | str | bool] = {
        "kept_epoch": fitted.kept_epoch,
        "admissible_from": fitted.admissible_from,
        "epochs": len(fitted.train_loss),
    }
    if fitted.history["failure_weight"]:
        facts["failure_weight_when_kept"] = fitted.history["failure_weight"][fitted.kept_epoch - 1]
    return Reward(fitted.arrays, history, facts)
