"""The numbers of evaluators, on whole data sets or on slices of the pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairl_bench.engine.slices import discordant, evaluate_slices, slices_of
from fairl_bench.engine.stages.judgements import JUDGED
from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.engine.stages.rewards import LIKELIHOODS
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import ReadOnly, read_only, unchanged_by
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.kinds.upstream import Refits
from fairl_bench.store import artefacts
from fairl_bench.suite.suite import PAIRS
from fairl_bench.values.data import Floats, Scored
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.stage import Stage

Numbers = Sequence[Measure | Evidence]
AllScores = Mapping[str, NDArray[np.floating[Any]]]


class Measures(StageKind[Numbers, list[Measure]]):
    """The numbers of an evaluator from the scores of a run."""

    name = "measures"
    save = staticmethod(artefacts.save_measures)
    load = staticmethod(artefacts.load_measures)

    @staticmethod
    def title(evaluator: str, run: str, pairs: str = "") -> str:
        """``fidelity of max-margin on toy, replicate 0, seed 1``, and which pairs it is of if not of all."""
        return f"{evaluator} of {run}{pairs and ', '}{pairs}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Numbers]]:
        """Evaluate the scores."""
        (stage,) = job
        evaluator = inputs.registry.build(Evaluator, stage.parts["evaluator"])
        scores: AllScores = inputs.load(stage.inputs["scores"]) if "scores" in stage.inputs else {}
        scored = ReadOnly({name: _scored(stage, inputs, name, scores) for name in evaluator.needs()})
        if "baseline" in stage.inputs:
            return [Answer(stage, _of_slices(stage, inputs, evaluator, scored), {})]
        if SLICE in stage.settings:
            return [Answer(stage, _of_discordant(stage, inputs, evaluator, scored), {})]
        asked = {**_refits(stage, inputs, evaluator, scored), **_likelihoods(stage, inputs, evaluator)}
        upstream = ReadOnly({**inputs.upstream(stage), **asked})
        with unchanged_by(evaluator, scored=scored, upstream=upstream):
            return [Answer(stage, answers.measures(evaluator, evaluator.evaluate(scored, **upstream)), {})]


SLICE: Final = "slice"
"""The setting of the numbers of a slice that no baseline chooses: its name."""

REFIT: Final = "refit/"
"""The beginning of the role of the scores of a reward that is learnt again; the role of its request follows."""


def _refits(
    stage: Stage, inputs: StageInputs, evaluator: Evaluator, scored: Mapping[str, Scored]
) -> dict[str, ReadOnly[str, Floats]]:
    """The rewards of trainings on resampled pairs, by role and data ``[n, texts]``."""
    found = {}
    for role in (role for role, start in evaluator.upstream().items() if isinstance(start, Refits)):
        keys = [key for name, key in stage.inputs.items() if name.startswith(f"{REFIT}{role}/")]
        every = [inputs.load(key) for key in keys]
        by_data = {}
        for name, one in scored.items():
            rewards = [_scored(stage, inputs, name, scores).reward for scores in every]
            by_data[name] = read_only(np.reshape(rewards, (len(every), len(one.reward))))
        found[role] = ReadOnly(by_data)
    return found


def _likelihoods(stage: Stage, inputs: StageInputs, evaluator: Evaluator) -> dict[str, ReadOnly[str, Likelihoods]]:
    """How likely the texts of each of the data are, by the role in which the evaluator asks for it."""
    found = {}
    for role in (role for role, start in evaluator.upstream().items() if isinstance(start, AskLikelihoods)):
        by_data = {}
        for name in evaluator.needs():
            dataset, _, part = name.partition("/")
            _, rows = inputs.texts(stage.inputs[dataset], stage.inputs.get("split", ""), part)
            said: Likelihoods = inputs.load(stage.inputs[f"{LIKELIHOODS}{dataset}/{role}"])
            by_data[name] = said.take(rows)
        found[role] = ReadOnly(by_data)
    return found


def _of_slices(stage: Stage, inputs: StageInputs, evaluator: Evaluator, scored: Mapping[str, Scored]) -> list[Measure]:
    """The numbers on the pairs that the baseline fails on."""
    baseline: AllScores = inputs.load(stage.inputs["baseline"])
    sliced = {
        name: slices_of(scored[name], _scored(stage, inputs, name, baseline).reward, stage.settings["near_tie"])
        for name in evaluator.data
        if name in PAIRS
    }
    upstream = inputs.upstream(stage)
    with unchanged_by(evaluator, scored=scored, sliced=sliced, upstream=upstream):
        return [*evaluate_slices(evaluator, scored, sliced, upstream)]


def _of_discordant(
    stage: Stage, inputs: StageInputs, evaluator: Evaluator, scored: Mapping[str, Scored]
) -> list[Measure]:
    """The numbers on the pairs whose two ``gold`` labels differ."""
    upstream = inputs.upstream(stage)
    with unchanged_by(evaluator, scored=scored, upstream=upstream):
        return [*discordant(evaluator, scored, [name for name in evaluator.data if name in PAIRS], upstream)]


def _scored(stage: Stage, inputs: StageInputs, name: str, scores: AllScores) -> Scored:
    """The examples of a data set, or of one part of the pairs, with what judges say of them and their rewards.

    Without scores the rewards are NaN.
    """
    dataset, _, part = name.partition("/")
    examples, rows = inputs.texts(stage.inputs[dataset], stage.inputs.get("split", ""), part)
    reward = scores[dataset][rows] if dataset in scores else np.full(len(examples), np.nan)
    start = f"{JUDGED}{name}/"
    asked = {role.removeprefix(start): key for role, key in stage.inputs.items() if role.startswith(start)}
    judged = {truth: inputs.load(key) for truth, key in asked.items()}
    return Scored(examples.knowing(judged) if judged else examples, read_only(reward.astype(np.float64)))
