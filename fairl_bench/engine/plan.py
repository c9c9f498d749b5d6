"""From a suite to the stages that answer it, each with its key, and the cells that they serve."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from fairl_bench.component import Component, Settings
from fairl_bench.coordinates import Coordinates, World
from fairl_bench.digests import canonical
from fairl_bench.engine.keys import answering, identity, stage_key_of
from fairl_bench.engine.resources import needs
from fairl_bench.engine.stage import SHARD, UPSTREAM, Stage
from fairl_bench.errors import FairlError, PluginError, SuiteError
from fairl_bench.kinds import LM, Artefact, Ask, Encoder, Evaluator, Judge, Method, Recovered, Source, TestSet
from fairl_bench.suite.parts import parts_of, placed_error, placed_parts
from fairl_bench.suite.read import Study
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.suite import PAIRS, Named, Suite


@dataclass(frozen=True)
class WorldKeys:
    """The keys of the texts of a world: its pairs, their split and its test sets."""

    of: World
    pairs: str
    split: str
    testsets: tuple[tuple[str, str], ...]  # name, key

    def texts(self) -> dict[str, str]:
        """The key of every data set by name, the pairs first."""
        return {"pairs": self.pairs, **dict(self.testsets)}


@dataclass(frozen=True, kw_only=True)
class Cell(Coordinates):
    """One (model, encoder, method, seed) of the matrix, in one replicate, with the keys of what answers it."""

    reward: str
    scores: str
    measures: tuple[str, ...]
    inputs: WorldKeys  # what it learns from and is judged on
    slices: tuple[tuple[int | None, str], ...] = ()  # seed of the baseline, key of its slices' measures

    def judged(self) -> tuple[str, ...]:
        """The keys of all its numbers."""
        return (*self.measures, *(key for _, key in self.slices))


@dataclass(frozen=True)
class Plan:
    """All stages by key, inputs before what reads them, with the worlds and cells they belong to."""

    stages: Mapping[str, Stage]
    worlds: tuple[WorldKeys, ...]
    cells: tuple[Cell, ...]

    def wanted(self) -> list[str]:
        """The keys that a results folder is made of."""
        keys: dict[str, None] = {}
        for world in self.worlds:
            keys.update(dict.fromkeys((*world.texts().values(), world.split)))
        for cell in self.cells:
            keys.update(dict.fromkeys((cell.reward, cell.scores, *cell.judged())))
        return list(keys)

    def only(self, wanted: Mapping[str, Sequence[str]]) -> Plan:
        """The cells whose axes have one of the wanted values, with their worlds; a cell without a seed has any."""
        cells = tuple(
            cell
            for cell in self.cells
            if all(
                str(getattr(cell, axis)) in values or (axis == "seed" and cell.seed is None)
                for axis, values in wanted.items()
            )
        )
        return Plan(self.stages, tuple(dict.fromkeys(cell.inputs for cell in cells)), cells)


def plan(study: Study) -> Plan:
    """The plan of a study.  Equal questions share a stage; what does not change the answer does not change a key."""
    stages: dict[str, Stage] = {}
    worlds: dict[WorldKeys, None] = {}
    cells: list[Cell] = []
    known = _Known(study)
    for variant, suite in study.variants.items():
        planner = _Planner(suite, variant, study.registry, stages, known)
        for cell in planner.cells():
            cells.append(cell)
            worlds[cell.inputs] = None
    return Plan(stages, tuple(worlds), tuple(cells))


def _drawn(title: str, part: Component, replicate: int) -> str:
    return f"{title}, replicate {replicate}" if part.draws() else title


class _About(NamedTuple):
    """What a plan asks of a part again and again."""

    part: Component  # kept, so that no other part gets its number
    spec: dict[str, Any]
    identity: str
    asked: Mapping[str, Any]


class _Known:
    """What is known of the parts that were asked about, by the part itself; equal ones share it."""

    def __init__(self, study: Study) -> None:
        self.study, self.registry, self.where = study, study.registry, study.document.where(("limits",))
        self.asked = 0  # stages, a shared one each time
        self.parts: dict[int, _About] = {}
        self.specs: dict[str, _About] = {}

    def about(self, part: Component) -> _About:
        if (found := self.parts.get(id(part))) is None:
            plain = part.plain()
            spec = part.kind + canonical(plain)
            if (same := self.specs.get(spec)) is None:
                same = self.specs[spec] = _About(part, plain, self.identity(part), needs([part]))
            found = self.parts[id(part)] = same._replace(part=part)
        return found

    def identity(self, part: Component) -> str:
        """The part's identity as canonical JSON; what it reads and cannot find is told at its line."""
        try:
            return canonical(identity(part, self.registry))
        except FairlError as error:
            for suite in self.study.variants.values():
                for outer, whole in parts_of(suite):
                    for place, one in placed_parts(whole, outer):
                        if one is part:
                            raise placed_error(error, place, self.study) from error
            raise


class _Planner:
    """Plans one variant into the stages that all share."""

    def __init__(self, suite: Suite, variant: str, registry: Registry, stages: dict[str, Stage], known: _Known) -> None:
        self.suite, self.variant, self.registry, self.stages, self.known = suite, variant, registry, stages, known
        self.answering = {"head": answering(suite.head), "training": answering(suite.training)}

    def cells(self) -> Iterator[Cell]:
        for model in self.suite.models:
            for replicate in self.suite.replicates:
                world = self.world(model, replicate)
                for encoder in self.suite.encoders:
                    yield from self.cells_of(model, encoder, world)

    def add(
        self,
        kind: str,
        title: str,
        parts: Mapping[str, Component],
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
        stack: Hashable = None,
        run_time: Mapping[str, Any] = MappingProxyType({}),
    ) -> str:
        """Add a stage, or find the equal one; its key, in which ``run_time`` settings are not."""
        self.known.asked += 1
        if self.known.asked > self.suite.limits.stages:
            most = self.suite.limits.stages
            raise SuiteError(
                f"the suite has more than {most:,} stages to plan, which 'limits: {{stages: {most}}}' allows; take "
                "fewer cells, evaluators, test sets or shards, or raise that limit",
                *self.known.where,
            )
        about = {role: self.known.about(part) for role, part in parts.items()}
        key = stage_key_of(kind, {role: one.identity for role, one in about.items()}, settings, inputs)
        if key not in self.stages:
            specs = {role: one.spec for role, one in about.items()}
            asked = next(iter(about.values())).asked if len(about) == 1 else needs(parts.values())
            shared = None if stack is None else (stack, canonical(asked))
            self.stages[key] = Stage(kind, key, title, specs, {**settings, **run_time}, inputs, shared, asked)
        return key

    def sharded(
        self,
        kind: str,
        title: str,
        parts: Mapping[str, Component],
        settings: Mapping[str, Any],
        inputs: Mapping[str, str],
        shards: int,
        merging: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Add one stage; or as many ``shards``, which need nothing of one another, and one that merges them.

        That one does no part's work, and reads the inputs ``merging`` beside the shards.
        """
        if shards == 1:
            return self.add(kind, title, parts, settings, inputs)
        each = {
            f"{SHARD}{i}": self.add(
                f"{kind}-shard",
                f"{title}, shard {i + 1} of {shards}",
                parts,
                {**settings, "shard": i, "shards": shards},
                inputs,
            )
            for i in range(shards)
        }
        return self.add(kind, title, {}, settings, {**each, **merging})

    def world(self, model: Named[Source], replicate: int) -> WorldKeys:
        pairs = self.examples("source", model.name, model.part, replicate)
        split = self.add(
            "split",
            f"split of {model.name}, replicate {replicate}",
            {},
            {**self.suite.split.plain(), "replicate": replicate},
            {"pairs": pairs},
            run_time={"reads": ()},
        )
        self.read_of(split)
        testsets = (
            (name, self.examples("testset", name, part, replicate)) for name, part in self.suite.testsets.items()
        )
        return WorldKeys(World(model.name, replicate), pairs, split, tuple(testsets))

    def read_of(self, split: str) -> None:
        """Note in the stage of a split which of its parts are read, here or in a variant before."""
        needed = {name for part in self.suite.evaluate for name in part.needs() if name in PAIRS}
        if self.suite.training.stop is not None and any(one.part.stack() is not None for one in self.suite.methods):
            needed.add("pairs/validation")
        stage = self.stages[split]
        reads = sorted({*stage.settings["reads"], *(name.partition("/")[2] for name in needed)})
        self.stages[split] = replace(stage, settings={**stage.settings, "reads": reads})

    def examples(self, role: str, name: str, part: Source | TestSet, replicate: int) -> str:
        """The texts of a source or test set; a file gives the same ones in every replicate."""
        what = "pairs" if role == "source" else "texts"
        return self.made("examples", role, f"{what} of {name}", part, replicate, name)

    def made(self, kind: str, role: str, title: str, part: Component, replicate: int, model: str) -> str:
        """The answer of a part by itself, made once a replicate where it draws anything, after its upstream."""
        settings = {"replicate": replicate if part.draws() else 0}
        inputs = self.upstream(part, model, replicate)
        return self.add(kind, _drawn(title, part, replicate), {role: part}, settings, inputs)

    def upstream(self, part: Component, model: str, replicate: int) -> dict[str, str]:
        """The stages of what a part starts from, by role."""
        return {UPSTREAM + role: self.before(role, one, model, replicate) for role, one in part.upstream().items()}

    def before(self, role: str, one: Settings, model: str, replicate: int) -> str:
        """The stage of a language model, of completions or of another source's pairs; or one that is there already."""
        if isinstance(one, Artefact):
            return one.key
        if isinstance(one, Ask):
            return self.completions(role, one, model, replicate)
        if isinstance(one, LM):
            return self.made("lm", "lm", f"language model {one.use} of {model}", one, replicate, model)
        if isinstance(one, Source):
            return self.made("examples", "source", f"pairs of {model} ({one.use})", one, replicate, model)
        raise PluginError(f"{model}: a part can start from a language model, completions or a source, not from {one!r}")

    def completions(self, role: str, asked: Ask, model: str, replicate: int) -> str:
        """Completions of one language model."""
        lm = {f"{UPSTREAM}lm": self.before("lm", asked.lm, model, replicate)}
        settings = {
            "n": asked.n,
            "each": asked.each,
            "sampling": asked.sampling.plain(),
            "voice": asked.voice,
            "occasion": asked.occasion,
            "replicate": replicate,
        }
        parts = {"lm": asked.lm, "prompts": asked.prompts}
        title = f"completions of {model}, {role}, replicate {replicate}"
        return self.sharded("completions", title, parts, settings, lm, min(asked.shards, asked.n))

    def embeddings(self, encoder: Named[Encoder], examples: str, embed: str, world: WorldKeys) -> str:
        corpus = {"pairs": world.pairs, "split": world.split} if encoder.part.fitted else {}
        title = f"{self.stages[examples].title} by {encoder.name}"
        inputs = {"examples": examples, **corpus, **self.upstream(encoder.part, encoder.name, world.of.replicate)}
        parts, shards = {"encoder": encoder.part}, encoder.part.shards
        return self.sharded("embeddings", title, parts, {"embed": embed}, inputs, shards, {"examples": examples})

    def cells_of(self, model: Named[Source], encoder: Named[Encoder], world: WorldKeys) -> Iterator[Cell]:
        embed = model.part.embed
        vectors = {"pairs": self.embeddings(encoder, world.pairs, embed, world)}
        for name, texts in world.testsets:
            vectors[name] = self.embeddings(encoder, texts, "completion", world)
        baseline = self.baseline(model, world, vectors)
        for method in self.suite.methods:
            for seed in self.suite.seeds_of(method):
                yield self.cell(model, encoder, method, world, vectors, seed, baseline)

    def baseline(
        self, model: Named[Source], world: WorldKeys, vectors: Mapping[str, str]
    ) -> tuple[tuple[int | None, str], ...]:
        """Seed and scores of each run of the method whose failures are the slices; empty where there are none."""
        name = self.suite.slices.baseline if self.suite.slices else None
        method = next((one for one in self.suite.methods if one.name == name), None)
        if method is None:
            return ()
        return tuple(
            (seed, self.scores(model, method, world, vectors, seed)[1]) for seed in self.suite.seeds_of(method)
        )

    def scores(
        self,
        model: Named[Source],
        method: Named[Method],
        world: WorldKeys,
        vectors: Mapping[str, str],
        seed: int | None,
    ) -> tuple[str, str]:
        """The keys of a run's reward and of what it scores."""
        where = _where(model, method, world, seed)
        who = {"replicate": world.of.replicate, "seed": seed}
        settings = {**who, **self.answering}
        device = {"device": self.suite.training.device}
        inputs = {"pairs": world.pairs, "split": world.split, "embeddings": vectors["pairs"]}
        stack = method.part.stack()
        # by who fits them too: a method that fits its own runs otherwise fits no others
        fits = getattr(type(method.part).fit_many, "__func__", type(method.part).fit_many)
        together = (f"{fits.__module__}.{fits.__qualname__}", canonical({**settings, "seed": None}))
        shared = None if stack is None else (stack, *together, tuple(inputs.values()))
        reward = self.add("reward", where, {"method": method.part}, settings, inputs, shared, device)
        seen = {f"embeddings/{name}": key for name, key in vectors.items()}
        texts = {"split": world.split, **world.texts()}
        return reward, self.add("scores", where, {"method": method.part}, {}, {"reward": reward, **texts, **seen})

    def cell(
        self,
        model: Named[Source],
        encoder: Named[Encoder],
        method: Named[Method],
        world: WorldKeys,
        vectors: Mapping[str, str],
        seed: int | None,
        baseline: Sequence[tuple[int | None, str]] = (),
    ) -> Cell:
        where = _where(model, method, world, seed)
        reward, scores = self.scores(model, method, world, vectors, seed)
        measures = tuple(
            self.measures(where, part.of(self.recovered(model, encoder, method, world, reward, seed)), scores, world)
            if part.takes()
            else self.measures(where, part, scores, world)
            for part in self.suite.evaluate
        )
        slices = tuple(
            (seed if other is None else other, self.measures(where, part, scores, world, key))
            for other, key in baseline
            if None in (seed, other) or seed == other
            for part in self.suite.evaluate
            if set(part.data) & set(PAIRS)
        )
        shape = method.part.head(self.suite.head)
        return Cell(
            model=model.name,
            encoder=encoder.name,
            head=shape,
            method=method.name,
            variant=self.variant,
            replicate=world.of.replicate,
            seed=seed,
            reward=reward,
            scores=scores,
            measures=measures,
            inputs=world,
            slices=slices,
        )

    def recovered(
        self,
        model: Named[Source],
        encoder: Named[Encoder],
        method: Named[Method],
        world: WorldKeys,
        reward: str,
        seed: int | None,
    ) -> Recovered:
        """The reward of a run, for evaluators that ask more of it than its scores."""
        judge = self.registry.build(
            Judge,
            {
                "use": "recovered-cell",
                "method": method.part.plain(),
                "encoder": encoder.part.plain(),
                "embed": model.part.embed,
                "reward": reward,
                "corpus": (world.pairs, world.split) if encoder.part.fitted else None,
            },
        )
        return Recovered(model.part, judge, seed, model.name)

    def measures(
        self, where: str, evaluator: Evaluator, scores: str, world: WorldKeys, baseline: str | None = None
    ) -> str:
        """The numbers of a run; with the scores of a baseline, those on its failures."""
        names = {name.partition("/")[0] for name in evaluator.needs()}
        texts = {"split": world.split, **world.texts()}
        inputs = {name: key for name, key in texts.items() if name in names or (name == "split" and "pairs" in names)}
        inputs |= self.upstream(evaluator, where, world.of.replicate)
        title = f"{evaluator.use} of {where}"
        if baseline is None or self.suite.slices is None:
            return self.add("measures", title, {"evaluator": evaluator}, {}, {"scores": scores, **inputs})
        settings, seen = {"near_tie": self.suite.slices.near_tie}, {"scores": scores, "baseline": baseline, **inputs}
        return self.add("measures", f"{title}, failure slices", {"evaluator": evaluator}, settings, seen)


def _where(model: Named[Source], method: Named[Method], world: WorldKeys, seed: int | None) -> str:
    run = f"{method.name} on {model.name}, replicate {world.of.replicate}"
    return run if seed is None else f"{run}, seed {seed}"
