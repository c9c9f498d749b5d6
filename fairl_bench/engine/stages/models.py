"""Language models, and what they complete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fairl_bench.engine.shards import rows_of
from fairl_bench.engine.stages.kind import Answer, StageInputs, StageKind
from fairl_bench.errors import DataError
from fairl_bench.guards import answers
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds.lm import LM, Prompts
from fairl_bench.science.streams import stream
from fairl_bench.store import artefacts
from fairl_bench.values.data import Examples
from fairl_bench.values.language_models import Asked, Completions, Sampling
from fairl_bench.values.stage import Stage

CANDIDATES: Final = "candidates"
"""The setting that says how many completions stand in the place of each; where there is none, one."""


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

    @staticmethod
    def title_of_texts(examples: str, role: str) -> str:
        """``draws for the prompts of pairs of toy, replicate 0``."""
        return f"{role} for the prompts of {examples}"

    def perform(self, job: Sequence[Stage], inputs: StageInputs) -> Iterable[Answer[Completions]]:
        """Draw the completions, or merge those that were drawn."""
        (stage,) = job
        completions, told = _drawn(stage, inputs) if stage.parts else (Completions.merged(inputs.shards(stage)), {})
        empty = sum(not text.strip() for text in completions.text)
        return [Answer(stage, completions, {**told, "completions": len(completions), "empty": empty})]


class CompletionsShard(LanguageModelCompletions):
    """The completions of some of the prompts."""

    name = "completions-shard"


Facts = Mapping[str, float | int | str | bool]


def _drawn(stage: Stage, inputs: StageInputs) -> tuple[Completions, Facts]:
    """The completions of the prompts, or of one shard of them, by a language model, with its facts about them."""
    site = inputs.site(stage)
    lm = inputs.registry.build(LM, stage.parts["lm"])
    every, asking = _asked(stage, inputs, site.replicate)
    requests = every.take(rows_of(stage.settings, len(every)))
    with unchanged_by((lm, *asking), upstream=site.upstream):
        texts, drawn, told = answers.completions(lm, lm.complete(requests, site), len(requests))
    return Completions(requests.prompt, texts, requests.row, requests.draw, drawn), told


def _asked(stage: Stage, inputs: StageInputs, replicate: int) -> tuple[Asked, tuple[Prompts, ...]]:
    """All that is asked for, and the part that has the prompts, if they are not those of examples."""
    settings = stage.settings
    sampling, voice, each = Sampling(**settings["sampling"]), settings["voice"], settings["each"]
    if "examples" in stage.inputs:
        examples: Examples = inputs.load(stage.inputs["examples"])
        of_texts = examples.prompt if settings["prompts"] == "given" else ("",)
        return ask_each(of_texts, each, sampling, voice, replicate).repeated(settings.get(CANDIDATES, 1)), ()
    prompts = inputs.registry.build(Prompts, stage.parts["prompts"])
    more = {"each": each, "occasion": settings["occasion"]}
    asked = ask(prompts, settings["n"], sampling, voice, replicate, **more)
    return asked.repeated(settings.get(CANDIDATES, 1)), (prompts,)


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


def ask_each(prompts: Sequence[str], each: int, sampling: Sampling, voice: str, replicate: int) -> Asked:
    """``each`` completions to draw of every different prompt: draw 0 of every one, then draw 1, and so on.

    The row of a prompt is made of its text, so that its completions do not depend on the other prompts.
    """
    texts = tuple(dict.fromkeys(prompts))
    numbers = tuple(int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) for text in texts)
    draw = tuple(i for i in range(each) for _ in texts)
    return Asked(texts * each, numbers * each, draw, sampling, voice, replicate)
