"""Promises of a method: it learns, repeats itself, and its rewards can be kept and used alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.kinds import Method
from fairl_bench.science.classification import auc
from fairl_bench.testing.planted import Planted, planted
from fairl_bench.testing.promises import answer, check_spec, must, same
from fairl_bench.values.data import Floats
from fairl_bench.values.training import Head, Inputs, Reward, Task

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry


def check_method(
    method: Method,
    *,
    at_least: float = 0.8,
    head: Head | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    registry: Registry | None = None,
) -> None:
    """The method learns, repeats itself, means what it says of seeds and stacks, and scores every text.

    ``at_least`` is the AUC that it must reach against the sign of the true reward, on texts it has not seen.
    """
    problem = planted(head=head)
    tasks = [_with_seed(problem.task, seed) for seed in seeds]
    first = _fitted(method, tasks[0])
    scores = np.array(_scores(method, first.kept(), problem))
    alone = [first, *(_fitted(method, task) for task in tasks[1:])]
    again = _fitted(method, _with_seed(planted(head=head).task, seeds[0]))  # equal, and not the same objects
    must(
        _equal(again, first),
        "fitted twice on equal input, it gave other arrays; draw all randomness from fairl_bench.stream, and keep "
        "nothing from one fit to the next",
    )
    _check_seeds(method, alone)
    _check_stack(method, seeds, tasks, alone)
    _check_scores(scores, problem, at_least)
    _check_kept(method, first, scores, problem)
    _check_another(method, planted(head=head, seed=1), at_least - 0.1)
    check_spec(method, registry)


def _check_seeds(method: Method, alone: Sequence[Reward]) -> None:
    """Another seed gives another reward exactly where the method says so."""
    differs = not all(_equal(alone[0], other) for other in alone[1:])
    if method.seeded:
        must(differs, "another seed gave the same arrays; use task.seed, or declare seeded = False")
    else:
        must(not differs, "another seed gave other arrays; declare seeded = True, so that every seed is run")


def _check_stack(method: Method, seeds: Sequence[int], tasks: Sequence[Task], alone: Sequence[Reward]) -> None:
    """Runs that are fitted together give what each gives alone."""
    if method.stack() is None:
        return
    together = answer(method, lambda: type(method).fit_many([(method, task) for task in tasks]), task=tasks[0])
    for seed, one, other in zip(seeds, alone, together, strict=True):
        must(
            _equal(one, other),
            f"seed {seed} fitted among {len(seeds)} runs differs from seed {seed} alone; make the loss "
            "elementwise over the leading axes, or let stack() return None",
        )


def _check_scores(scores: Floats, problem: Planted, at_least: float) -> None:
    """One finite number a text, which agrees with the true reward."""
    must(
        scores.shape == (len(problem.texts),),
        f"score gave shape {list(scores.shape)} for {len(problem.texts)} texts; return one number a text",
    )
    must(bool(np.isfinite(scores).all()), "score gave NaN or infinity; keep rewards finite")
    reached = _reached(scores, problem)
    must(
        reached >= at_least,
        f"its reward reaches AUC {reached:.3f} on the planted problem, less than {at_least}; "
        "is the sign of the margin right, and is it trained long enough?",
    )


def _check_kept(method: Method, reward: Reward, scores: Floats, problem: Planted) -> None:
    """A reward scores the same after other fits, and after it was stored."""
    must(
        np.array_equal(_scores(method, reward.kept(), problem), scores),
        "after it was fitted again, it scores an older reward otherwise; let score read the reward's arrays alone",
    )
    tolerance = 1e-3 * float(np.abs(scores).max())
    must(
        bool(np.allclose(_scores(method, _stored(reward), problem), scores, rtol=1e-3, atol=tolerance)),
        "a reward that was stored and read again scores otherwise; keep all that score needs in the reward's arrays, "
        "which are stored as float32",
    )


def _check_another(method: Method, another: Planted, at_least: float) -> None:
    """It learns another problem too, after the first."""
    reward = _fitted(method, another.task)
    reached = _reached(np.asarray(method.score(reward, Inputs(another.texts, another.vectors))), another)
    must(
        reached >= at_least,
        f"fitted on another problem after the first, its reward reaches AUC {reached:.3f} there; keep nothing from one "
        "fit to the next",
    )


def _fitted(method: Method, task: Task) -> Reward:
    """The fitted reward in arrays of its own: a part may fill those that it gave anew."""
    reward = answer(method, lambda: method.fit(task), task=task)
    return Reward({name: np.array(array) for name, array in reward.arrays.items()}, reward.history, reward.facts)


def _scores(method: Method, reward: Reward, problem: Planted) -> Floats:
    inputs = Inputs(problem.texts, problem.vectors)
    return np.array(answer(method, lambda: method.score(reward, inputs), reward=reward, inputs=inputs))


def _reached(scores: Floats, problem: Planted) -> float:
    """The AUC on texts that were in no pair."""
    label = np.where(problem.reward >= 0, 1, -1)[problem.held_out]
    return auc(scores[problem.held_out], label)


def _stored(reward: Reward) -> Reward:
    """The reward as another process reads it."""
    from fairl_bench.store.artefacts import load_fitted_reward, save_fitted_reward

    with tempfile.TemporaryDirectory() as folder:
        save_fitted_reward(Path(folder), reward)
        return load_fitted_reward(Path(folder))


def _with_seed(task: Task, seed: int) -> Task:
    return Task(task.train, task.validation, task.head, task.training, task.replicate, seed)


def _equal(one: Reward, other: Reward) -> bool:
    return one.arrays.keys() == other.arrays.keys() and all(
        same(one.arrays[name], other.arrays[name]) for name in one.arrays
    )
