"""Makes the plan of a study: the stages that answer it, and the cells that they serve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from fairl_bench.component import Component, Settings
from fairl_bench.digests import canonical
from fairl_bench.engine.keys import answering
from fairl_bench.engine.plan import Cell, Plan, WorldKeys
from fairl_bench.engine.stage_list import NewStage, StageList
from fairl_bench.engine.stages.embeddings import TextVectors, VectorsShard
from fairl_bench.engine.stages.judgements import JUDGED, Judgements
from fairl_bench.engine.stages.kind import StageKind
from fairl_bench.engine.stages.likelihoods import LikelihoodsShard, TextLikelihoods
from fairl_bench.engine.stages.measures import REFIT, SLICE, Measures
from fairl_bench.engine.stages.models import (
    CANDIDATES,
    CompletionsShard,
    LanguageModelCompletions,
    LanguageModels,
)
from fairl_bench.engine.stages.rewards import LIKELIHOODS, RESAMPLE, VECTORS, Rewards, Scores, run_title
from fairl_bench.engine.stages.texts import JudgedTexts, Splits
from fairl_bench.errors import PluginError, SuiteError
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.evaluator import RECOVERED_REWARD, Evaluator, Recovered
from fairl_bench.kinds.judge import BaseTexts, Judge
from fairl_bench.kinds.lm import LM, Ask, AskDraws, AskLikelihoods, Candidates
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.kinds.upstream import Artefact, Refits, judges_on_base
from fairl_bench.suite.read import Study
from fairl_bench.suite.suite import PAIRS, Named, Suite
from fairl_bench.values.coordinates import World
from fairl_bench.values.data import DISCORDANT
from fairl_bench.values.stage import UPSTREAM


def plan(study: Study) -> Plan:
    """The plan of a study.  Equal questions share a stage; what does not change the answer does not change a key."""
    stages = StageList(study)
    variants = study.variants.items()
    cells = tuple(cell for variant, suite in variants for cell in _Planner(suite, variant, study, stages).cells())
    return Plan(stages.stages, tuple(dict.fromkeys(cell.inputs for cell in cells)), cells)


@dataclass(frozen=True)
class _Data:
    """The data that all methods learn from and are judged on: one model's world through one encoder."""

    model: Named[Source]
    encoder: Named[Encoder]
    world: WorldKeys
    vectors: Mapping[str, str]  # key of the embeddings by data set


@dataclass(frozen=True)
class _Run:
    """One method on this data with one seed; seed None holds for every seed."""

    data: _Data
    method: Named[Method]
    seed: int | None

    @cached_property
    def title(self) -> str:
        """The title of its stages."""
        return run_title(self.method.name, self.data.model.name, self.data.world.of.replicate, self.seed)


@dataclass(frozen=True)
class _Fitted:
    """A run with the keys of its reward and of its scores."""

    run: _Run
    reward: str
    scores: str


class _Planner:
    """Plans one variant into the stages that all variants share."""

    def __init__(self, suite: Suite, variant: str, study: Study, stages: StageList) -> None:
        self.suite, self.variant, self.registry, self.stages = suite, variant, study.registry, stages
        self.training = {"head": answering(suite.head), "training": answering(suite.training)}
        self.placed: dict[tuple[str, str], Named[Method]] = {}
        self.bases: dict[str, BaseTexts] = {}  # what the base of each model writes
        # by number and model: a part as it is, and as it is told what the base writes
        self.informed: dict[tuple[int, str], tuple[Component, Component]] = {}
        self.begun: set[World] = set()  # those that have a cell
        self.judge = study.registry.name_of_role(Judge.kind, RECOVERED_REWARD) if _takes_rewards(suite) else ""

    def cells(self) -> Iterator[Cell]:
        """The cells of the matrix, model by model."""
        for model in self.suite.models:
            for replicate in self.suite.replicates:
                world = self.world(model, replicate)
                for encoder in self.suite.encoders:
                    data = _Data(model, encoder, world, self.vectors(model, encoder, world))
                    yield from self.cells_of(data)

    # --- data

    def world(self, model: Named[Source], replicate: int) -> WorldKeys:
        """The keys of a model's pairs in one replicate, of their split and of the test sets."""
        pairs, base = self.examples("source", model.name, model.part, replicate), self.base(model)
        title, settings = Splits.title(model.name, replicate), {**self.suite.split.plain(), "replicate": replicate}
        split = self.stages.add(NewStage(Splits, title, {}, settings, {"pairs": pairs}, run_time={"reads": ()}))
        self.note_what_is_read(split)
        testsets = (
            (name, self.examples("testset", name, part, replicate, base)) for name, part in self.suite.testsets.items()
        )
        return WorldKeys(World(model.name, replicate), pairs, split, tuple(testsets))

    def base(self, model: Named[Source]) -> BaseTexts:
        """What the base of a model writes, for judges that need it."""
        if model.name not in self.bases:
            self.bases[model.name] = model.part.base_texts()
        return self.bases[model.name]

    def on_base(self, part: Component, model: Named[Source]) -> Component:
        """The part whose judges are told what the base of a model writes, the same for all runs."""
        before, told = self.informed.get((id(part), model.name), (None, part))
        if before is not part:
            told = judges_on_base(part, self.base(model))
            self.informed[id(part), model.name] = part, told
        return told

    def note_what_is_read(self, split: str) -> None:
        """Note in the stage of a split which of its parts are read, here or in a variant before."""
        needed = {name for part in self.suite.evaluate for name in part.needs() if name in PAIRS}
        chosen = any(method.part.reads_validation for method in self.suite.methods)
        if chosen and self.suite.training.stop is not None:
            needed.add("pairs/validation")
        stage = self.stages.stages[split]
        reads = sorted({*stage.settings["reads"], *(name.partition("/")[2] for name in needed)})
        self.stages.stages[split] = replace(stage, settings={**stage.settings, "reads": reads})

    def vectors(self, model: Named[Source], encoder: Named[Encoder], world: WorldKeys) -> dict[str, str]:
        """The keys of the embeddings of every data set, by name."""
        embed = {"pairs": model.part.embed}
        return {
            name: self.embeddings(encoder, texts, embed.get(name, "completion"), world)
            for name, texts in world.texts().items()
        }

    def embeddings(self, encoder: Named[Encoder], examples: str, embed: str, world: WorldKeys) -> str:
        """The key of the vectors of one data set; a fitted encoder reads the training pairs too."""
        corpus = {"pairs": world.pairs, "split": world.split} if encoder.part.fitted else {}
        title = TextVectors.title(self.stages.stages[examples].title, encoder.name)
        inputs = {"examples": examples, **corpus, **self.upstream(encoder.part, encoder.name, world.of.replicate)}
        new = NewStage(TextVectors, title, {"encoder": encoder.part}, {"embed": embed}, inputs)
        return self.stages.add_sharded(new, VectorsShard, encoder.part.shards, {"examples": examples})

    # --- parts that are stages of their own

    def examples(
        self, role: str, name: str, part: Source | TestSet, replicate: int, base: BaseTexts | None = None
    ) -> str:
        """The key of the texts of a source or test set; a file gives the same ones in every replicate.

        The judge of a test set may need a scale, which it has from the ``base`` of the model.
        """
        return self.made(JudgedTexts, role, part, JudgedTexts.title(part, name), name, replicate, base)

    def made(
        self,
        kind: type[StageKind[Any, Any]],
        role: str,
        part: Component,
        title: str,
        model: str,
        replicate: int,
        base: BaseTexts | None = None,
    ) -> str:
        """The key of a part's own answer, made once a replicate where it draws anything, after its upstream."""
        beginning = part if base is None else judges_on_base(part, base)
        if beginning.draws():
            title, settings = f"{title}, replicate {replicate}", {"replicate": replicate}
        else:
            settings = {"replicate": 0}
        upstream = self.upstream(beginning, model, replicate)
        cores = part.cores() if isinstance(part, LM) else 1
        return self.stages.add(NewStage(kind, title, {role: part}, settings, upstream, cores=cores))

    def upstream(self, part: Component, model: str, replicate: int) -> dict[str, str]:
        """The keys of the stages that a part starts from, by role."""
        return {
            UPSTREAM + role: self.before(role, start, model, replicate)
            for role, start in part.starts().items()
            if not isinstance(start, Refits | AskLikelihoods)
        }

    def before(self, role: str, start: Settings, model: str, replicate: int) -> str:
        """The key of a language model, of completions or of another source's pairs, made now or there already."""
        if isinstance(start, Artefact):
            return start.key
        if isinstance(start, Ask):
            return self.completions(role, start, model, replicate)
        if isinstance(start, LM):
            if reason := start.refuses_weights():
                raise SuiteError(f"{model}: {reason}")
            title = LanguageModels.title(start.use, model)
            return self.made(LanguageModels, "lm", start, title, model, replicate)
        if isinstance(start, Source):
            title = f"{JudgedTexts.title(start, model)} ({start.use})"
            return self.made(JudgedTexts, "source", start, title, model, replicate)
        what = "a part can start from a language model, completions or a source, not from"
        raise PluginError(f"{model}: {what} {start!r}")

    def completions(
        self, role: str, ask: Ask | AskDraws, model: str, replicate: int, examples: str = "", candidates: int = 1
    ) -> str:
        """The key of completions of one language model: of prompts, or of those of the ``examples``.

        There are so many ``candidates`` in the place of each.
        """
        parts: dict[str, Component] = {"lm": ask.lm, **({"prompts": ask.prompts} if isinstance(ask, Ask) else {})}
        settings = {name: value for name, value in ask.plain().items() if name not in (*parts, "shards")}
        settings |= {"replicate": replicate, **({CANDIDATES: candidates} if candidates > 1 else {})}
        inputs = {} if isinstance(ask, Ask) else {"examples": examples}
        for inner, start in ask.lm.completes_from(ask).items():
            if isinstance(start, Candidates):
                more = (examples, candidates * start.times)
                key = self.completions(f"{inner} of {role}", start.of, model, replicate, *more)
            else:
                key = self.before(inner, start, model, replicate)
            inputs[f"{UPSTREAM}{inner}"] = key
        if isinstance(ask, Ask):
            title = LanguageModelCompletions.title(model, role, replicate)
        else:
            title = LanguageModelCompletions.title_of_texts(self.stages.stages[examples].title, role)
        new = NewStage(LanguageModelCompletions, title, parts, settings, inputs)
        most = ask.n if isinstance(ask, Ask) else ask.each
        return self.stages.add_sharded(new, CompletionsShard, min(ask.shards, most) if _reads_weights(inputs) else 1)

    # --- runs

    def cells_of(self, data: _Data) -> Iterator[Cell]:
        """The cells of every method and seed on this data."""
        baseline = self.baseline(data)
        for method in self.suite.methods:
            for seed in self.suite.seeds_of(method):
                yield self.cell(self.fitted(_Run(data, self.on(data, method), seed)), baseline)

    def on(self, data: _Data, method: Named[Method]) -> Named[Method]:
        """The method with what it takes from the source of these data; one for all its runs there."""
        place = data.model.name, method.name
        if place not in self.placed:
            self.placed[place] = method.model_copy(update={"part": method.part.of(data.model.part)})
        return self.placed[place]

    def baseline(self, data: _Data) -> list[_Fitted]:
        """The runs of the method whose failures are the slices; empty where there are none."""
        name = self.suite.slices.baseline if self.suite.slices else None
        methods = [method for method in self.suite.methods if method.name == name]
        return [
            self.fitted(_Run(data, self.on(data, method), seed))
            for method in methods
            for seed in self.suite.seeds_of(method)
        ]

    def fitted(self, run: _Run) -> _Fitted:
        """A run with the keys of its reward and of its scores."""
        reward = self.reward(run, run.title)
        return _Fitted(run, reward, self.scores(run, reward, run.title, list(run.data.vectors)))

    def refits(self, run: _Run, n: int, datasets: Sequence[str]) -> list[str]:
        """The keys of the scores of a run that is fitted again on resampled pairs; none where it does not learn."""
        if not run.method.part.learns:
            return []
        titles = [f"{run.title}, resample {i + 1}" for i in range(n)]
        return [self.scores(run, self.reward(run, title, i), title, datasets) for i, title in enumerate(titles)]

    def reward(self, run: _Run, title: str, resample: int | None = None) -> str:
        """The key of the reward that a run learns, from its training pairs or from a resample of them."""
        data, world, method = run.data, run.data.world, run.method.part
        settings = {"replicate": world.of.replicate, "seed": run.seed, **self.training}
        settings |= {} if resample is None else {RESAMPLE: resample}
        inputs = {"pairs": world.pairs, "split": world.split, "embeddings": data.vectors["pairs"]}
        inputs |= self.given(method, run.method.name, world, ["pairs"])
        device = {"device": self.suite.training.device}
        stack = _stack(method, settings, inputs)
        return self.stages.add(NewStage(Rewards, title, {"method": method}, settings, inputs, stack, device))

    def scores(self, run: _Run, reward: str, title: str, datasets: Sequence[str]) -> str:
        """The key of the scores that a reward gives the texts of these data sets."""
        data, world, method = run.data, run.data.world, run.method.part
        vectors = {f"{VECTORS}{name}": data.vectors[name] for name in datasets}
        texts = {name: key for name, key in world.texts().items() if name in datasets}
        read = {"reward": reward, "split": world.split, **texts, **vectors}
        if method.reads_upstream:
            read |= self.given(method, run.method.name, world, datasets)
        return self.stages.add(NewStage(Scores, title, {"method": method}, {}, read))

    def given(self, method: Method, name: str, world: WorldKeys, datasets: Sequence[str]) -> dict[str, str]:
        """The keys of what a method asks for: likelihoods of these data sets, and its other upstream."""
        return self.upstream(method, name, world.of.replicate) | self.told(method, world, datasets)

    def told(self, part: Method | Evaluator, world: WorldKeys, datasets: Iterable[str]) -> dict[str, str]:
        """The keys of the likelihoods of these data sets that a part asks for."""
        asks = {role: start for role, start in part.upstream().items() if isinstance(start, AskLikelihoods)}
        return {
            f"{LIKELIHOODS}{dataset}/{role}": self.likelihoods(role, ask, world, dataset, world.texts()[dataset])
            for role, ask in asks.items()
            for dataset in datasets
        }

    def likelihoods(self, role: str, ask: AskLikelihoods, world: WorldKeys, dataset: str, examples: str) -> str:
        """The key of the likelihoods of one data set under one language model."""
        model, replicate = world.of.model, world.of.replicate
        title = TextLikelihoods.title(self.stages.stages[examples].title, role, ask.prompts)
        inputs = {"examples": examples}
        for inner, start in ask.lm.likelihoods_from(ask).items():
            if isinstance(start, AskLikelihoods):
                key = self.likelihoods(inner, start, world, dataset, examples)
            elif isinstance(start, AskDraws):
                key = self.completions(inner, start, model, replicate, examples)
            else:
                key = self.before(inner, start, model, replicate)
            inputs[f"{UPSTREAM}{inner}"] = key
        # values are told anyway, where they can be
        elsewhere = ("lm", "shards", "values")
        settings = {"asked": {name: value for name, value in ask.plain().items() if name not in elsewhere}}
        run_time = {"replicate": replicate, "data": dataset}
        new = NewStage(TextLikelihoods, title, {"lm": ask.lm}, settings, inputs, run_time=run_time)
        return self.stages.add_sharded(new, LikelihoodsShard, ask.shards if _reads_weights(inputs) else 1)

    def cell(self, fitted: _Fitted, baseline: list[_Fitted]) -> Cell:
        """The cell of a run, with the keys of all that is measured of it."""
        run, data = fitted.run, fitted.run.data
        first = data.world.of not in self.begun
        self.begun.add(data.world.of)
        measures = tuple(
            self.measures(fitted, self.with_reward(part, fitted))
            for part in self.suite.evaluate
            if part.evaluates(data.model.name) and (part.reads_reward or first)
        )
        sliced = [
            part
            for part in self.suite.evaluate
            if part.evaluates(data.model.name) and part.reads_reward and part.sliced and set(part.data) & set(PAIRS)
        ]
        slices = [
            (
                run.seed if baseline_run.run.seed is None else baseline_run.run.seed,
                self.measures(fitted, part, baseline_run.scores),
            )
            for baseline_run in baseline
            if None in (run.seed, baseline_run.run.seed) or run.seed == baseline_run.run.seed
            for part in sliced
        ]
        if self.suite.slices and self.suite.slices.discordant:
            slices += [(run.seed, self.measures(fitted, part, discordant=True)) for part in sliced]
        return Cell(
            model=data.model.name,
            encoder=data.encoder.name,
            head=run.method.part.head(self.suite.head),
            method=run.method.name,
            variant=self.variant,
            replicate=data.world.of.replicate,
            seed=run.seed,
            reward=fitted.reward,
            scores=fitted.scores,
            measures=measures,
            inputs=data.world,
            slices=tuple(slices),
        )

    def measures(
        self, fitted: _Fitted, evaluator: Evaluator, baseline: str | None = None, *, discordant: bool = False
    ) -> str:
        """The key of the numbers of a run; with the scores of a baseline on its failures, or on discordant pairs."""
        world, run = fitted.run.data.world, fitted.run
        names = {name.partition("/")[0] for name in evaluator.needs()}
        texts = {"split": world.split, **world.texts()}
        inputs = {name: key for name, key in texts.items() if name in names or (name == "split" and "pairs" in names)}
        beginning = self.on_base(evaluator, run.data.model)
        inputs |= self.upstream(beginning, run.title, world.of.replicate)
        inputs |= self.told(evaluator, world, [name for name in world.texts() if name in names])
        for role, start in evaluator.upstream().items():
            if isinstance(start, Refits) and baseline is None and not discordant:
                keys = self.refits(run, start.n, [name for name in run.data.vectors if name in names])
                inputs |= {f"{REFIT}{role}/{i}": key for i, key in enumerate(keys)}
        inputs |= self.judgements(evaluator, run.data)
        settings: dict[str, Any] = {SLICE: DISCORDANT} if discordant else {}
        pairs = "discordant pairs" if discordant else ""
        scores = {"scores": fitted.scores} if evaluator.reads_reward else {}
        if baseline is not None and self.suite.slices is not None:
            settings, scores = {"near_tie": self.suite.slices.near_tie}, {**scores, "baseline": baseline}
            pairs = "failure slices"
        of = run.title if evaluator.reads_reward else f"{world.of.model}, replicate {world.of.replicate}"
        title = Measures.title(evaluator.use, of, pairs)
        return self.stages.add(NewStage(Measures, title, {"evaluator": evaluator}, settings, {**scores, **inputs}))

    def judgements(self, evaluator: Evaluator, data: _Data) -> dict[str, str]:
        """The keys of what the judges that an evaluator asks say of its data, the same for every run on these."""
        return {
            f"{JUDGED}{name}/{truth}": self.judged(judge, name, data)
            for name in evaluator.data
            for truth, judge in evaluator.judges().items()
        }

    def judged(self, judge: Judge, name: str, data: _Data) -> str:
        """The key of what a judge says of a data set, or of one part of the pairs."""
        dataset, _, part = name.partition("/")
        examples = data.world.texts()[dataset]
        inputs = {"examples": examples, **({"split": data.world.split} if part else {})}
        beginning = self.on_base(judge, data.model)
        inputs |= self.upstream(beginning, data.model.name, data.world.of.replicate)
        title = Judgements.title(judge.use, self.stages.stages[examples].title, part)
        return self.stages.add(NewStage(Judgements, title, {"judge": judge}, {"part": part}, inputs))

    def with_reward(self, evaluator: Evaluator, fitted: _Fitted) -> Evaluator:
        """The evaluator, with the reward of this run where it asks more of it than its scores."""
        if not evaluator.takes():
            return evaluator
        data, run = fitted.run.data, fitted.run
        spec = {
            "use": self.judge,
            "method": run.method.part.plain(),
            "encoder": data.encoder.part.plain(),
            "embed": data.model.part.embed,
            "reward": fitted.reward,
            "corpus": (data.world.pairs, data.world.split) if data.encoder.part.fitted else None,
        }
        judge = self.registry.build(Judge, spec)
        return evaluator.of(Recovered(data.model.part, judge, run.seed, data.model.name))


def _reads_weights(inputs: Mapping[str, str]) -> bool:
    """True where a stage of a language model reads its weights, which shards can do side by side."""
    return f"{UPSTREAM}lm" in inputs


def _takes_rewards(suite: Suite) -> bool:
    """True where an evaluator asks more of a reward than its scores."""
    return any(evaluator.takes() for evaluator in suite.evaluate)


def _stack(method: Method, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> tuple[object, ...] | None:
    """The value that runs which are fitted together share; None for a method that is fitted alone."""
    stack = method.stack()
    if stack is None:
        return None
    # by who fits them too: a method that fits its own runs otherwise fits no others
    fits = getattr(type(method).fit_many, "__func__", type(method).fit_many)
    return stack, f"{fits.__module__}.{fits.__qualname__}", canonical({**settings, "seed": None}), *inputs.values()
