"""Promises of a method: it learns, repeats itself, and its rewards can be kept and used alone."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import numpy as np

from fairl_bench.errors import DataError
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source
from fairl_bench.science.classification import auc
from fairl_bench.testing.givens import Givens, Problem
from fairl_bench.testing.planted import Planted, planted
from fairl_bench.testing.planted_models import PlantedSource
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
    source: Source | None = None,
    upstream: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """The method learns, repeats itself, means what it says of seeds, stacks and models, and scores every text.

    ``at_least`` is the AUC that it must reach against the sign of the true reward, on texts it has not seen.

    A method that takes language models or a judge from its source takes them from ``source``, by default one that knows
    two models of the planted problem, and its truth.  It is given made-up likelihoods of the planted texts, whose
    log-ratio is the true reward up to a number a prompt, and the folders of language models: small ones that have
    learnt nothing, or those that its own language models make.  ``upstream`` holds what else it asks for, by role:
    completions, pairs.
    """
    source = source or PlantedSource.named("planted")
    placed = _placed(method, source)
    with tempfile.TemporaryDirectory() as room:
        given = Givens(placed, source, Path(room), upstream)
        _check_method(placed, given, at_least, head, seeds)
    check_spec(method, registry)


def _check_method(method: Method, given: Givens, at_least: float, head: Head | None, seeds: Sequence[int]) -> None:
    problem = given.to(planted(head=head))
    tasks = [_with_seed(problem.task, seed) for seed in seeds]
    first = _fitted(method, tasks[0])
    scores = np.array(_scores(method, first.kept(), problem.inputs))
    alone = [first, *(_fitted(method, task) for task in tasks[1:])]
    # equal, and not the same objects
    again = _fitted(method, _with_seed(given.to(planted(head=head)).task, seeds[0]))
    must(
        _equal(again, first),
        "fitted twice on equal input, it gave other arrays; draw all randomness from fairl_bench.stream, and keep "
        "nothing from one fit to the next",
    )
    _check_seeds(method, alone)
    _check_stack(method, seeds, tasks, alone)
    _check_scores(scores, problem.planted, at_least)
    _check_company(method, first, scores, problem)
    _check_kept(method, first, scores, problem.inputs)
    _check_given(method, given)
    _check_read(method, first, scores, problem)
    _check_another(method, given.to(planted(head=head, seed=1)), at_least - 0.1)
    _check_learns(method, first, tasks[0])  # last: one that remembers seems to learn nothing


def _placed(method: Method, source: Source) -> Method:
    """The method with what it takes from a source."""
    try:
        placed: object = method.of(source)
    except DataError as error:
        raise AssertionError(
            f"of raised DataError: {error}; give check_method a 'source' that knows it, or name it in the method"
        ) from error
    must(
        isinstance(placed, type(method)),
        f"of gave {placed!r:.60}; return a method of the same class, such as self.model_copy(update={{...}})",
    )
    return cast("Method", placed)


def _check_seeds(method: Method, alone: Sequence[Reward]) -> None:
    """Another seed gives another reward exactly where the method says so."""
    differs = not all(_equal(alone[0], other) for other in alone[1:])
    if method.seeded:
        must(differs, "another seed gave the same arrays; use task.seed, or declare seeded = False")
    else:
        must(not differs, "another seed gave other arrays; declare seeded = True, so that every seed is run")


def _check_learns(method: Method, first: Reward, task: Task) -> None:
    """Other training pairs give another reward exactly where the method says so."""
    half = replace(task, train=task.train.take(np.arange(0, len(task.train), 2)))
    same_reward = _equal(_fitted(method, half), first)
    if method.learns:
        must(not same_reward, "half of the training pairs gave the same arrays; declare learns = False")
    else:
        must(same_reward, "half of the training pairs gave other arrays; leave learns = True")


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


def _check_company(method: Method, reward: Reward, scores: Floats, problem: Problem) -> None:
    """A text has one score, whichever texts are beside it."""
    rows = problem.planted.held_out[::-3]
    alone, tolerance = _scores(method, reward.kept(), problem.inputs_of(rows)), 1e-4 * float(np.abs(scores).max())
    must(
        alone.shape == (len(rows),) and bool(np.allclose(alone, scores[rows], rtol=1e-4, atol=tolerance)),
        "beside fewer texts, and in another order, a text has another score; score each text by itself",
    )


def _check_given(method: Method, given: Givens) -> None:
    """It says what it is given of the models that it asks for."""
    if method.given in ("truth", "scored elsewhere"):
        return
    models = given.models_of_the_source()
    expected = ("texts", "one model", "both models")[min(len(models), 2)]
    if len(models) == 1 and method.given == "both models":
        raise AssertionError("it asks for one language model and declares given = 'both models'; say 'one model'")
    must(
        not models or method.given == expected,
        f"it asks for {', '.join(models)} and declares given = {method.given!r}; say {expected!r}",
    )
    must(
        bool(method.upstream()) or method.given == "texts",
        f"it asks for no language model and declares given = {method.given!r}; say 'texts', or ask for it in upstream",
    )


def _check_read(method: Method, reward: Reward, scores: Floats, problem: Problem) -> None:
    """It declares what its score reads, and reads what it asks for."""
    kept = reward.kept()
    if problem.inputs.prompt and not method.reads_prompts:
        other = replace(problem.inputs, prompt=problem.inputs.prompt[::-1])
        must(
            same(_scores(method, kept, other), scores),
            "with other prompts its scores are other ones; declare reads_prompts = True",
        )
    read_by_score = False
    for role in problem.likelihoods:
        other_problem = problem.with_another(role)
        in_score = not same(_scores(method, kept, other_problem.inputs), scores)
        read_by_score |= in_score
        must(
            in_score or not _equal(_fitted(method, other_problem.task), _fitted(method, problem.task)),
            f"it asks for the likelihoods {role!r}, and with other ones it learns and scores the same; leave them out "
            "of upstream",
        )
    if problem.likelihoods and method.reads_upstream and len(problem.likelihoods) == len(method.upstream()):
        must(
            read_by_score,
            "its scores read nothing that upstream asks for; declare reads_upstream = False, so that no language model "
            "has to read what it scores",
        )


def _check_kept(method: Method, reward: Reward, scores: Floats, inputs: Inputs) -> None:
    """A reward scores the same after other fits, and after it was stored."""
    must(
        np.array_equal(_scores(method, reward.kept(), inputs), scores),
        "after it was fitted again, it scores an older reward otherwise; let score read the reward's arrays alone",
    )
    tolerance = 1e-3 * float(np.abs(scores).max())
    must(
        bool(np.allclose(_scores(method, _stored(reward), inputs), scores, rtol=1e-3, atol=tolerance)),
        "a reward that was stored and read again scores otherwise; keep all that score needs in the reward's arrays, "
        "which are stored as float32",
    )


def _check_another(method: Method, another: Problem, at_least: float) -> None:
    """It learns another problem too, after the first."""
    reward = _fitted(method, another.task)
    reached = _reached(np.asarray(method.score(reward, another.inputs)), another.planted)
    must(
        reached >= at_least,
        f"fitted on another problem after the first, its reward reaches AUC {reached:.3f} there; keep nothing from one "
        "fit to the next",
    )


def _fitted(method: Method, task: Task) -> Reward:
    """The fitted reward in arrays of its own: a part may fill those that it gave anew."""
    reward = answer(method, lambda: method.fit(task), task=task)
    return Reward({name: np.array(array) for name, array in reward.arrays.items()}, reward.history, reward.facts)


def _scores(method: Method, reward: Reward, inputs: Inputs) -> Floats:
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
    return replace(task, seed=seed)


def _equal(one: Reward, other: Reward) -> bool:
    return one.arrays.keys() == other.arrays.keys() and all(
        same(one.arrays[name], other.arrays[name]) for name in one.arrays
    )
