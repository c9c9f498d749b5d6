"""Language models, and what they complete."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairl_bench.engine.shards import rows_of
from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.errors import DataError
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds import LM, Prompts
from fairl_bench.science.streams import stream
from fairl_bench.store import artefacts
from fairl_bench.values.language_models import Asked, Completions, Sampling
from fairl_bench.values.stage import Stage


class MadeModel(NamedTuple):
    """The folder of a language model: the one that it was given, or the one where it was already."""

    folder: Path
    was_there: bool


class LanguageModels(StageKind[MadeModel, Path]):
    """A language model, made or found; its answer is the folder that transformers loads."""

    name = "lm"
    checkpoints = True
    load = staticmethod(artefacts.load_lm)

    @staticmethod
    def title(use: str, model: str) -> str:
        """``language model tiny-lm of toy``."""
        return f"language model {use} of {model}"

    def save(self, folder: Path, value: MadeModel, /) -> None:
        """Keep the files of a model; of one that was there already, its folder."""
        (artefacts.save_lm_place if value.was_there else artefacts.save_lm)(folder, value.folder)

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[MadeModel]]:
        """Make the model."""
        (stage,) = job
        site = inputs.site(stage)
        lm = inputs.registry.build(LM, stage.parts["lm"])
        with unchanged_by(lm, upstream=site.upstream):
            model = answers.model(lm, lm.make(site), site.folder)
        return [Answer(stage, MadeModel(model.folder, model.folder != site.folder), model.facts)]


class LanguageModelCompletions(StageKind[Completions, Completions]):
    """The completions of prompts by a language model, or the shards of them, merged."""

    name = "completions"
    checkpoints = True
    save = staticmethod(artefacts.save_completions)
    load = staticmethod(artefacts.load_completions)

    @staticmethod
    def title(model: str, role: str, replicate: int) -> str:
        """``completions of toy, expert, replicate 0``."""
        return f"completions of {model}, {role}, replicate {replicate}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Completions]]:
        """Draw the completions, or merge those that were drawn."""
        (stage,) = job
        completions = _drawn(stage, inputs) if stage.parts else Completions.merged(inputs.shards(stage))
        empty = sum(not text.strip() for text in completions.text)
        return [Answer(stage, completions, {"completions": len(completions), "empty": empty})]


class CompletionsShard(LanguageModelCompletions):
    """The completions of some of the prompts."""

    name = "completions-shard"


def _drawn(stage: Stage, inputs: StageInputs) -> Completions:
    """The completions of the prompts, or of one shard of them, by a language model."""
    site, settings = inputs.site(stage), stage.settings
    lm = inputs.registry.build(LM, stage.parts["lm"])
    prompts = inputs.registry.build(Prompts, stage.parts["prompts"])
    sampling, more = Sampling(**settings["sampling"]), {name: settings[name] for name in ("each", "occasion")}
    every = ask(prompts, settings["n"], sampling, settings["voice"], site.replicate, **more)
    requests = every.take(rows_of(settings, len(every)))
    with unchanged_by((lm, prompts), upstream=site.upstream):
        texts, drawn = answers.completions(lm, lm.complete(requests, site), len(requests))
    return Completions(requests.prompt, texts, requests.row, requests.draw, drawn)


def ask(
    prompts: Prompts, n: int, sampling: Sampling, voice: str, replicate: int, *, each: int = 1, occasion: str = ""
) -> Asked:
    """``n`` completions to draw, ``each`` of a prompt: draw 0 of every prompt, then draw 1, and so on.

    Raises `DataError` without a prompt.
    """
    rng = stream(f"prompts/{occasion}" if occasion else "prompts", replicate)
    texts = answers.prompts(prompts, prompts.texts(-(-n // each), rng))
    if not texts:
        raise DataError(f"prompts {prompts.use!r} hold no text to go on from")
    row, draw = np.arange(n) % len(texts), np.arange(n) // len(texts)
    return Asked(tuple(texts[i] for i in row), tuple(row.tolist()), tuple(draw.tolist()), sampling, voice, replicate)
