"""What a plan costs before it is paid for: stages, texts to embed, steps to train, and a rough time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from fairl_bench.engine.execute import missing
from fairl_bench.engine.plan import Plan
from fairl_bench.engine.shards import count_of
from fairl_bench.engine.stages.likelihoods import LikelihoodsShard, TextLikelihoods
from fairl_bench.engine.stages.models import CANDIDATES, LanguageModels
from fairl_bench.kinds.lm import LM, TOKENS_OF_A_PROMPT
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.store.store import Store
from fairl_bench.suite.registry import Registry
from fairl_bench.values.stage import UPSTREAM, Stage

_SECONDS_A_TEXT = 0.008  # all-MiniLM-L6-v2 on two cores, texts of 25 words
_SECONDS_A_STEP = 0.0003  # a run's step on one core, 384 -> 64 -> 1, batch 32
_SECONDS_TO_START = 6.0  # importing torch and an encoder
_OPERATIONS_A_SECOND = 1.1e11  # of language models in float32, on two cores with AVX2 at once
_TOKENS_OF_A_TEXT = 24  # whose likelihood is asked for, where nobody knows
_LIKELIHOODS = (TextLikelihoods.name, LikelihoodsShard.name)


N = TypeVar("N", int, float)


class Work(NamedTuple):
    """What is to do.  Numbers are None where a part cannot tell its size beforehand."""

    stages: dict[str, tuple[int, int]]  # kind -> finished, all
    texts: int | None
    steps: int | None  # at most: early stopping ends most runs before
    models: int = 0  # language models to make
    completions: int | None = 0  # texts to draw from them, at most: prompts of a data set may be equal
    likelihoods: int | None = 0  # texts that they read to say how likely they are; each model counts
    operations: float | None = 0.0  # of language models, floating-point; None: not known of all of them

    def seconds(self) -> float | None:
        """Roughly, on two cores; long texts and large encoders take more.

        Language models count only where the operations of all are known.
        """
        if self.texts is None or self.steps is None:
            return None
        work = self.texts * _SECONDS_A_TEXT + self.steps * _SECONDS_A_STEP
        work += (self.operations or 0.0) / _OPERATIONS_A_SECOND
        return work + _SECONDS_TO_START if work else 0.0


def estimate(plan: Plan, store: Store, registry: Registry) -> Work:
    """The work that a run of this plan would do now."""
    todo = missing(plan, store)
    left, every = Counter(stage.kind for stage in todo), Counter(stage.kind for stage in plan.stages.values())
    sizes: dict[str, int | None] = {}
    for stage in todo:
        for key in stage.inputs.values() if {"encoder", "lm"} & {*stage.parts} or stage.kind == "reward" else ():
            if key not in sizes and plan.stages[key].kind == "examples":
                sizes[key] = _size(plan.stages[key], registry)
    texts = [_texts(stage, sizes) for stage in todo if "encoder" in stage.parts]
    weighing = [stage for stage in todo if "lm" in stage.parts and f"{UPSTREAM}lm" in stage.inputs]
    likely = [_texts(stage, sizes) for stage in weighing if stage.kind in _LIKELIHOODS]
    steps = [_steps(stage, plan, sizes) for stage in todo if stage.kind == "reward" and stage.stack is not None]
    stages = {kind: (n - left[kind], n) for kind, n in every.items()}
    drawing = [stage for stage in weighing if stage.kind not in _LIKELIHOODS]
    completions = [_completions(stage, plan, sizes) for stage in drawing]
    trained = (stage for stage in todo if stage.kind == "reward" and stage.stack is None)
    operations = [
        *(
            None
            for stage in trained
            if any(plan.stages[key].kind == LanguageModels.name for key in stage.inputs.values())
        ),
        *(_made(stage, registry) for stage in todo if stage.kind == LanguageModels.name),
        *(
            _read(stage, n, stage.settings["sampling"]["max_new_tokens"], registry)
            for stage, n in zip(drawing, completions, strict=True)
        ),
        *(
            _read(stage, n, _tokens(plan.stages[stage.inputs["examples"]]), registry)
            for stage, n in zip((one for one in weighing if one.kind in _LIKELIHOODS), likely, strict=True)
        ),
    ]
    return Work(stages, _sum(texts), _sum(steps), left["lm"], _sum(completions), _sum(likely), _sum(operations))


def _tokens(examples: Stage) -> int:
    """How many tokens a text has: those that were drawn have at most as many as that was told."""
    sampling = examples.parts.get("source", {}).get("sampling", {})
    return int(sampling.get("max_new_tokens", _TOKENS_OF_A_TEXT))


def _made(stage: Stage, registry: Registry) -> float | None:
    """How many operations the making of a language model takes."""
    return registry.build(LM, stage.parts["lm"]).operations()


def _read(stage: Stage, texts: int | None, tokens: int, registry: Registry) -> float | None:
    """How many operations so many texts take by the language model of a stage: two a weight and token."""
    weights = registry.build(LM, stage.parts["lm"]).weights()
    if weights == 0:
        return 0.0
    return None if weights is None or texts is None else 2.0 * weights * texts * (tokens + TOKENS_OF_A_PROMPT)


def _texts(stage: Stage, sizes: Mapping[str, int | None]) -> int | None:
    """How many texts a stage embeds or reads."""
    texts = sizes[stage.inputs["examples"]]
    return None if texts is None else count_of(stage.settings, texts)


def _completions(stage: Stage, plan: Plan, sizes: Mapping[str, int | None]) -> int | None:
    """How many texts a stage draws, at most."""
    settings, times = stage.settings, stage.settings.get(CANDIDATES, 1)
    if "prompts" in stage.parts:
        return count_of(settings, times * settings["n"])
    texts = sizes[key := stage.inputs["examples"]]
    if settings["prompts"] == "withheld":
        texts = 1
    elif texts is not None and "source" in plan.stages[key].parts:  # the two texts of a pair share their prompt
        texts //= 2
    return None if texts is None else count_of(settings, times * settings["each"] * texts)


def _size(stage: Stage, registry: Registry) -> int | None:
    """How many texts an ``examples`` stage holds."""
    if "testset" in stage.parts:
        return registry.build(TestSet, stage.parts["testset"]).size()
    pairs = registry.build(Source, stage.parts["source"]).size()
    return None if pairs is None else 2 * pairs


def _steps(stage: Stage, plan: Plan, sizes: Mapping[str, int | None]) -> int | None:
    texts = sizes[stage.inputs["pairs"]]
    if texts is None:
        return None
    split, training = plan.stages[stage.inputs["split"]].settings, stage.settings["training"]
    share = 1 - split["validation"] - split["test"]
    return int(training["epochs"] * math.ceil(share * texts / 2 / training["batch"]))


def _sum(numbers: Sequence[N | None]) -> N | int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None
