"""What each kind of stage does: read its inputs from the store, call its part, keep the answer."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from fairl_bench import answers
from fairl_bench.component import Component
from fairl_bench.data import (
    Completions,
    Embeddings,
    Examples,
    Head,
    Inputs,
    Reward,
    Rows,
    Sampling,
    Scored,
    Site,
    Split,
    Task,
    Training,
    Vectors,
)
from fairl_bench.engine.ask import ask
from fairl_bench.engine.judged_pairs import judged_pairs
from fairl_bench.engine.keys import identity, stage_key
from fairl_bench.engine.preferences import equal_pairs, preferences
from fairl_bench.engine.shards import merged_completions, merged_vectors, rows_of
from fairl_bench.engine.slices import evaluate_slices, slices_of
from fairl_bench.engine.split_sizes import divided
from fairl_bench.engine.stage import SHARD, UPSTREAM, Stage
from fairl_bench.errors import Changed, DamagedArtefact, DataError, FairlError
from fairl_bench.isolation import parent_alone
from fairl_bench.kinds import LM, Encoder, Evaluator, Method, Prompts, Source, TestSet
from fairl_bench.readonly import ReadOnly, lent, read_only
from fairl_bench.records import Evidence, Measure
from fairl_bench.science.streams import stream
from fairl_bench.secrets import hidden_in
from fairl_bench.store import artefacts
from fairl_bench.store.checks import finite_reward, finite_rows, finite_truths
from fairl_bench.store.store import Store
from fairl_bench.suite.drop_ins import look
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.suite import PAIRS
from fairl_bench.truncation import Reading, Readings, readings

_LOADERS: Mapping[str, Callable[[Path], Any]] = {
    "lm": artefacts.load_lm,
    "completions": artefacts.load_completions,
    "completions-shard": artefacts.load_completions,
    "examples": artefacts.load_examples,
    "split": artefacts.load_split,
    "embeddings": artefacts.load_embeddings,
    "embeddings-shard": artefacts.load_embeddings,
    "reward": artefacts.load_reward,
    "scores": artefacts.load_scores,
    "measures": artefacts.load_measures,
}


class Worker:
    """Performs stages against one store; keeps the last few inputs at hand."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store, self.registry = store, registry
        self.load = lru_cache(maxsize=24)(self._load)
        self.part = lru_cache(maxsize=24)(self._part)
        self.read = Readings()

    def _load(self, key: str) -> Any:
        kind, folder = self.store.checked(key)
        if kind not in _LOADERS:
            raise DamagedArtefact(key, f"its kind is {kind!r:.60}, which is none")
        try:
            return _LOADERS[kind](folder)
        except (FairlError, MemoryError):  # a language model that lay elsewhere is gone, say
            raise
        except Exception as error:  # whole, and yet not what its kind is kept as: each format has errors of its own
            raise DamagedArtefact(key, f"it cannot be read as {kind}: {_one_line(error)}") from error

    def perform(self, job: Sequence[Stage]) -> None:
        """Do the stages of one job (one stage, or rewards that train together) and keep each answer."""
        perform = {
            "lm": self._lm,
            "completions": self._completions,
            "completions-shard": self._completions,
            "examples": self._examples,
            "split": self._split,
            "embeddings": self._embeddings,
            "embeddings-shard": self._embeddings,
            "reward": self._rewards,
            "scores": self._scores,
            "measures": self._measures,
        }[job[0].kind]
        try:
            with self.store.told(), readings() as self.read:  # checkpoints are written by the parts themselves
                perform(job)
        except Changed:  # what was loaded is no longer what the store holds
            self.load.cache_clear()
            self.part.cache_clear()
            raise

    def _keep(
        self, stage: Stage, save: Callable[[Path], None], started: float, facts: Mapping[str, Any] | None = None
    ) -> None:
        parent_alone()
        look()
        seconds = round(time.perf_counter() - started, 3)
        where = {"host": platform.node(), "pid": os.getpid()}
        told = {"title": stage.title, "seconds": seconds, **where, **(facts or {})}
        if read := self.read.plain():
            told["read"] = read
        self.store.write(stage.key, stage.kind, save, hidden_in(told))

    def _shards(self, stage: Stage) -> list[Any]:
        """The answers that a stage merges, in their order."""
        numbers = sorted(int(role.removeprefix(SHARD)) for role in stage.inputs if role.startswith(SHARD))
        return [self.load(stage.inputs[f"{SHARD}{i}"]) for i in numbers]

    def _upstream(self, stage: Stage) -> ReadOnly[str, Any]:
        """The answers of the parts that a stage's part starts from, by role."""
        roles = (role for role in stage.inputs if role.startswith(UPSTREAM))
        return ReadOnly({role.removeprefix(UPSTREAM): self.load(stage.inputs[role]) for role in roles})

    def _site(self, stage: Stage) -> Site:
        """A place for long work: its scratch outlives an interruption, its folder starts empty."""
        scratch = self.store.scratch(stage.key)
        folder = scratch / "answer"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (scratch / "work").mkdir(exist_ok=True)
        return Site(folder, scratch / "work", self._upstream(stage), stage.settings["replicate"])

    def _lm(self, job: Sequence[Stage]) -> None:
        (stage,), started = job, time.perf_counter()
        site = self._site(stage)
        lm = self.registry.build(LM, stage.parts["lm"])
        with lent(lm, upstream=site.upstream):
            made = answers.model(lm, lm.make(site), site.folder)
        here = made.folder == site.folder
        save = artefacts.save_lm if here else artefacts.save_lm_place
        self._keep(stage, lambda folder: save(folder, made.folder), started, made.facts)
        self.store.clear(stage.key)

    def _completions(self, job: Sequence[Stage]) -> None:
        (stage,), started = job, time.perf_counter()
        found = self._drawn(stage) if stage.parts else merged_completions(self._shards(stage))
        facts = {"completions": len(found), "empty": sum(not text.strip() for text in found.text)}
        self._keep(stage, partial(artefacts.save_completions, completions=found), started, facts)
        self.store.clear(stage.key)

    def _drawn(self, stage: Stage) -> Completions:
        """What a language model makes of the prompts, or of its shard of them."""
        site, settings = self._site(stage), stage.settings
        lm = self.registry.build(LM, stage.parts["lm"])
        prompts = self.registry.build(Prompts, stage.parts["prompts"])
        sampling, more = Sampling(**settings["sampling"]), {name: settings[name] for name in ("each", "occasion")}
        every = ask(prompts, settings["n"], sampling, settings["voice"], site.replicate, **more)
        asked = every.take(rows_of(settings, len(every)))
        with lent((lm, prompts), upstream=site.upstream):
            texts = answers.completions(lm, lm.complete(asked, site), len(asked))
        return Completions(asked.prompt, texts, asked.row, asked.draw)

    def _examples(self, job: Sequence[Stage]) -> None:
        (stage,), started = job, time.perf_counter()
        replicate = stage.settings["replicate"]
        facts: dict[str, Any] = {}
        if "source" in stage.parts:
            source = self.registry.build(Source, stage.parts["source"])
            examples, dropped = judged_pairs(source, replicate, self._upstream(stage))
            facts |= {f"dropped_{why}": n for why, n in dropped.items()}
        else:
            testset = self.registry.build(TestSet, stage.parts["testset"])
            upstream = self._upstream(stage)
            with lent(testset, upstream=upstream):
                found = testset.examples(stream("world/testset", replicate), **upstream)
                examples = answers.examples(testset.use, found)
            if not len(examples):
                raise DataError(f"test set {testset.use!r} holds no text")
        finite_truths("these examples", examples)
        self._refuse_changed(stage)
        facts |= {f"unknown_{name}": n for name, truth in examples.truths.items() if (n := int((~truth.known()).sum()))}
        facts["examples"] = len(examples)
        self._keep(stage, partial(artefacts.save_examples, examples=examples), started, facts)

    def _refuse_changed(self, stage: Stage) -> None:
        """Raise `DataError` where what was read is no longer what the stage's key was made of."""
        kinds: dict[str, type[Component]] = {"source": Source, "testset": TestSet}
        parts = {role: self.registry.build(kinds[role], spec) for role, spec in stage.parts.items()}
        now = {role: identity(part, self.registry) for role, part in parts.items()}
        if stage_key(stage.kind, now, stage.settings, stage.inputs) != stage.key:
            raise DataError("a file that it reads, or its code, has changed since the run began; run it again")

    def _split(self, job: Sequence[Stage]) -> None:
        (stage,), started = job, time.perf_counter()
        split = divided(self.load(stage.inputs["pairs"]), stage.settings)
        self._keep(stage, partial(artefacts.save_split, split=split), started, split.counts())

    def _embeddings(self, job: Sequence[Stage]) -> None:
        (stage,), started = job, time.perf_counter()
        rows: dict[str, int] = {}
        examples: Examples = self.load(stage.inputs["examples"])
        texts = examples.inputs(stage.settings["embed"])
        row = np.array([rows.setdefault(text, len(rows)) for text in texts], np.int64)
        unique = list(rows)
        if not stage.parts:
            vectors = merged_vectors(self._shards(stage), len(unique))
            self._read_before(stage)
        elif "shard" in stage.settings:
            mine = [unique[i] for i in rows_of(stage.settings, len(unique))]
            # where texts are fewer than shards, one may have none, and not every encoder can do without
            vectors = self._encoded(stage, mine) if mine else np.empty((0, 0), np.float32)
            row = np.arange(len(mine))
        else:
            vectors = self._encoded(stage, unique)
        embeddings = Embeddings(vectors, row)
        facts = {"texts": len(vectors), "dimensions": int(vectors.shape[1])}
        if "shard" not in stage.settings:
            facts |= equal_pairs(examples, embeddings)
        self._keep(stage, partial(artefacts.save_embeddings, embeddings=embeddings), started, facts)

    def _read_before(self, stage: Stage) -> None:
        """Take in what the shards of a stage have read."""
        for role, key in stage.inputs.items():
            if role.startswith(SHARD):
                for told in self.store.manifest(key)["facts"].get("read", ()):
                    self.read.add(Reading(**told))

    def _encoded(self, stage: Stage, texts: Sequence[str]) -> Vectors:
        """The vector of each text.  Raises `DataError` and `NotFinite` for what an encoder must not give."""
        encoder = self.registry.build(Encoder, stage.parts["encoder"])
        corpus, upstream = self._corpus(stage), self._upstream(stage)
        with lent(encoder, upstream=upstream):
            found = encoder.encode(tuple(texts), corpus, **upstream)
            vectors = answers.vectors(encoder, found, len(texts))
        finite_rows(
            f"what encoder {encoder.use!r} gives", vectors, tuple(texts), "use a wider dtype, or mend the encoder"
        )
        return vectors

    def _corpus(self, stage: Stage) -> tuple[str, ...]:
        """The training texts, for an encoder that learns from them."""
        if "pairs" not in stage.inputs:
            return ()
        pairs: Examples = self.load(stage.inputs["pairs"])
        split: Split = self.load(stage.inputs["split"])
        return split.training_texts(pairs, stage.settings["embed"])

    def _rewards(self, job: Sequence[Stage]) -> None:
        started = time.perf_counter()
        first = job[0]
        pairs, split, embeddings = (self.load(first.inputs[role]) for role in ("pairs", "split", "embeddings"))
        parts = cache(partial(preferences, pairs, split, embeddings))
        runs, left_out = [], []
        for stage in job:
            settings = stage.settings
            method = self.registry.build(Method, stage.parts["method"])
            head, training = (
                Head(**settings["head"]),
                Training.model_validate({**settings["training"], "device": settings["device"]}),
            )
            seed = 0 if settings["seed"] is None else settings["seed"]
            found = parts(leave_equal=method.reads_vectors and training.equal_vectors == "drop")
            runs.append((method, Task(found.train, found.validation, head, training, settings["replicate"], seed)))
            left_out.append(found.left_out)
        methods = [method for method, _ in runs]
        with lent(methods, task=runs[0][1]):
            rewards = answers.rewards(methods, type(runs[0][0]).fit_many(runs))
        for stage, reward, without in zip(job, rewards, left_out, strict=True):
            finite_reward(reward)
            facts = {"trained_together": len(job), **reward.facts}
            if without:
                facts["equal_vectors_left_out"] = without
            self._keep(stage, partial(artefacts.save_reward, reward=reward), started, facts)

    def _scores(self, job: Sequence[Stage]) -> None:
        (stage,), started = job, time.perf_counter()
        method = self.registry.build(Method, stage.parts["method"])
        reward: Reward = self.load(stage.inputs["reward"])
        scores = {}
        for name in (role.removeprefix("embeddings/") for role in stage.inputs if role.startswith("embeddings/")):
            embeddings: Embeddings = self.load(stage.inputs[f"embeddings/{name}"])
            examples: Examples = self.load(stage.inputs[name])
            scores[name] = _score(method, reward, examples, embeddings)
            finite_rows(
                f"the reward of {name} by {method.use!r}", scores[name], examples.text, "lower training.lr, or mend it"
            )
        self._keep(stage, partial(artefacts.save_scores, scores=scores), started)

    def _measures(self, job: Sequence[Stage]) -> None:
        (stage,), started = job, time.perf_counter()
        evaluator = self.registry.build(Evaluator, stage.parts["evaluator"])
        scores = self.load(stage.inputs["scores"])
        scored = ReadOnly({name: self._scored(stage, name, scores) for name in evaluator.needs()})
        if "baseline" in stage.inputs:
            sliced = self._slices(stage, evaluator, scored)
            with lent(evaluator, scored=scored, sliced=sliced):
                found: list[Measure | Evidence] = [*evaluate_slices(evaluator, scored, sliced)]
        else:
            upstream = self._upstream(stage)
            with lent(evaluator, scored=scored, upstream=upstream):
                found = answers.measures(evaluator, evaluator.evaluate(scored, **upstream))
        self._keep(stage, partial(artefacts.save_measures, found=found), started)

    def _slices(self, stage: Stage, evaluator: Evaluator, scored: Mapping[str, Scored]) -> dict[str, dict[str, Scored]]:
        """By data, the pairs that the baseline fails on."""
        baseline = self.load(stage.inputs["baseline"])
        return {
            name: slices_of(scored[name], self._scored(stage, name, baseline).reward, stage.settings["near_tie"])
            for name in evaluator.data
            if name in PAIRS
        }

    def _scored(self, stage: Stage, name: str, scores: Mapping[str, np.ndarray]) -> Scored:
        dataset, _, part = name.partition("/")
        if not part:
            return Scored(self.load(stage.inputs[dataset]), read_only(scores[dataset].astype(np.float64)))
        examples, rows = self.part(stage.inputs[dataset], stage.inputs["split"], part)
        return Scored(examples, read_only(scores[dataset][rows].astype(np.float64)))

    def _part(self, pairs: str, split: str, part: str) -> tuple[Examples, Rows]:
        """The examples of one part of the pairs, and their rows among all."""
        examples: Examples = self.load(pairs)
        rows = np.flatnonzero(np.isin(examples.pair, self.load(split).rows(part)))
        if not len(rows):  # a split that was kept when nothing read this part
            raise DataError(f"the split has no pair for {part!r}; set split.{part} above 0, or add pairs")
        return examples.take(rows), rows


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _score(method: Method, reward: Reward, examples: Examples, embeddings: Embeddings) -> np.ndarray:
    """The reward of each example; equal inputs are scored once."""
    first = np.unique(embeddings.row, return_index=True)[1]
    unique = Inputs(tuple(examples.text[i] for i in first), embeddings.vectors)
    with lent(method, reward=reward, inputs=unique):
        found = answers.scores(method, method.score(reward, unique), len(unique.text))
    return found[embeddings.row]
