"""Rewards that are trained, and the scores that they give to every text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds.method import Method, truth_of_labels
from fairl_bench.pairs.preferences import Parts, preferences
from fairl_bench.science.streams import stream
from fairl_bench.store import artefacts
from fairl_bench.store.checks import finite_reward, finite_rows
from fairl_bench.values.data import Embeddings, Examples, Floats
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.stage import Stage
from fairl_bench.values.training import Head, Inputs, Reward, Task, Training

RESAMPLE = "resample"
"""The setting of a reward that is learnt from a resample of the training pairs: the number of the resample, from 0."""


def run_title(method: str, model: str, replicate: int, seed: int | None) -> str:
    """``max-margin on toy, replicate 0, seed 1``: the title of a run's reward and of its scores."""
    run = f"{method} on {model}, replicate {replicate}"
    return run if seed is None else f"{run}, seed {seed}"


class Rewards(StageKind[Reward, Reward]):
    """A reward that a method has learnt from the training pairs."""

    name = "reward"
    save = staticmethod(artefacts.save_fitted_reward)
    load = staticmethod(artefacts.load_fitted_reward)
    title = staticmethod(run_title)

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Reward]]:
        """Train the rewards of a job together."""
        pairs, split, embeddings = (inputs.load(job[0].inputs[role]) for role in ("pairs", "split", "embeddings"))
        likelihoods, upstream = _likelihoods(job[0], inputs, "pairs"), inputs.upstream(job[0])
        parts = cache(partial(preferences, pairs, split, embeddings, likelihoods))
        methods = [inputs.registry.build(Method, stage.parts["method"]) for stage in job]
        tasks = [_task(stage, method, parts, upstream) for stage, method in zip(job, methods, strict=True)]
        runs = [(method, task) for method, (task, _) in zip(methods, tasks, strict=True)]
        with unchanged_by(methods, task=runs[0][1]):
            rewards = answers.rewards(methods, type(methods[0]).fit_many(runs))
        for stage, reward, (_, left_out) in zip(job, rewards, tasks, strict=True):
            finite_reward(reward)
            equal = {"equal_vectors_left_out": left_out} if left_out else {}
            yield Answer(stage, reward, {"trained_together": len(job), **reward.facts, **equal})


def _likelihoods(stage: Stage, inputs: StageInputs, dataset: str) -> dict[str, Likelihoods]:
    """The likelihoods of a data set that the method asks for, by role."""
    start = f"{LIKELIHOODS}{dataset}/"
    return {role.removeprefix(start): inputs.load(key) for role, key in stage.inputs.items() if role.startswith(start)}


def _task(stage: Stage, method: Method, parts: Any, upstream: Mapping[str, Any]) -> tuple[Task, int]:
    """The pairs that a method learns from, and the number of pairs with equal vectors that were left out."""
    settings = stage.settings
    training = Training.model_validate({**settings["training"], "device": settings["device"]})
    leave_equal = method.reads_vectors and training.equal_vectors == "drop"
    divided: Parts = parts(leave_equal=leave_equal, truth=truth_of_labels(method))
    seed = 0 if settings["seed"] is None else settings["seed"]
    head = Head(**settings["head"])
    numbers = (settings["replicate"], seed)
    train = divided.train
    if RESAMPLE in settings:  # the same for all methods and seeds
        train = divided.resampled(stream("refits", settings["replicate"], settings[RESAMPLE]))
    return Task(train, divided.validation, head, training, *numbers, upstream), divided.left_out


class Scores(StageKind[Mapping[str, Floats], Mapping[str, NDArray[np.floating[Any]]]]):
    """The rewards of every text, by data set."""

    name = "scores"
    save = staticmethod(artefacts.save_scores)
    load = staticmethod(artefacts.load_scores)
    title = staticmethod(run_title)

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Mapping[str, Floats]]]:
        """Score the texts of each data set."""
        (stage,) = job
        method = inputs.registry.build(Method, stage.parts["method"])
        reward: Reward = inputs.load(stage.inputs["reward"])
        upstream = inputs.upstream(stage)
        scores = {}
        for role, key in stage.inputs.items():
            if role.startswith(VECTORS):
                name = role.removeprefix(VECTORS)
                examples: Examples = inputs.load(stage.inputs[name])
                given = _likelihoods(stage, inputs, name), upstream
                scores[name] = _scored(method, reward, examples, inputs.load(key), *given)
                what = f"the reward of {name} by {method.use!r}"
                finite_rows(what, scores[name], examples.text, "lower training.lr, or mend it")
        return [Answer(stage, scores, {})]


VECTORS = "embeddings/"
"""Before the name of a data set: the role of its vectors among the inputs of scores."""


LIKELIHOODS = "likelihoods/"
"""Before the name of a data set and a role of the method's upstream: the role of its likelihoods."""


def _scored(
    method: Method,
    reward: Reward,
    examples: Examples,
    embeddings: Embeddings,
    likelihoods: Mapping[str, Likelihoods],
    upstream: Mapping[str, Any],
) -> Floats:
    """The reward of each example; equal texts are scored once where nothing but the text and its vector is read."""
    if method.reads_prompts or likelihoods:
        vectors = embeddings.vectors[embeddings.row]
        inputs = Inputs(examples.text, vectors, examples.prompt, likelihoods, upstream)
        row = np.arange(len(examples))
    else:
        first, row = np.unique(embeddings.row, return_index=True)[1], embeddings.row
        inputs = Inputs(tuple(examples.text[i] for i in first), embeddings.vectors, upstream=upstream)
    with unchanged_by(method, reward=reward, inputs=inputs):
        scores = answers.scores(method, method.score(reward, inputs), len(inputs.text))
    return scores[row]
