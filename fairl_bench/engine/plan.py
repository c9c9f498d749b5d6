"""From a suite to the stages that answer it, each with its key, and the cells that they serve."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fairl_bench.component import Component, Spec
from fairl_bench.engine.keys import canonical, identity, stage_key
from fairl_bench.engine.read import Study
from fairl_bench.engine.registry import Registry
from fairl_bench.engine.suite import Named, Suite
from fairl_bench.kinds import Encoder, Evaluator, Method, Source, TestSet


@dataclass(frozen=True)
class Stage:
    """One cacheable step, as plain data: a worker needs nothing else but the store and the plugins."""

    kind: str  # examples, split, embeddings, reward, scores, measures
    key: str
    title: str
    parts: Mapping[str, Spec] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)  # role -> key
    stack: Hashable = None  # stages of equal value may be done as one job


@dataclass(frozen=True)
class World:
    """The data of one model in one replicate: the keys of its pairs, their split and its test sets."""

    model: str
    replicate: int
    pairs: str
    split: str
    testsets: tuple[tuple[str, str], ...]  # name, key

    def texts(self) -> dict[str, str]:
        """The key of every data set by name, the pairs first."""
        return {"pairs": self.pairs, **dict(self.testsets)}


AXES = ("model", "encoder", "method", "replicate", "seed")


@dataclass(frozen=True)
class Cell:
    """One (model, encoder, method, seed) of the matrix, in one replicate; seed None holds for every seed."""

    model: str
    encoder: str
    head: str
    method: str
    variant: str
    replicate: int
    seed: int | None
    reward: str
    scores: str
    measures: tuple[str, ...]
    world: World

    def row(self) -> tuple[str, str, str, str]:
        """The row of a table that it belongs to: model, encoder, method, variant."""
        return self.model, self.encoder, self.method, self.variant


@dataclass(frozen=True)
class Plan:
    """All stages by key, inputs before what reads them, with the worlds and cells they belong to."""

    stages: Mapping[str, Stage]
    worlds: tuple[World, ...]
    cells: tuple[Cell, ...]

    def wanted(self) -> list[str]:
        """The keys that a results folder is made of."""
        keys: dict[str, None] = {}
        for world in self.worlds:
            keys.update(dict.fromkeys((*world.texts().values(), world.split)))
        for cell in self.cells:
            keys.update(dict.fromkeys((cell.reward, cell.scores, *cell.measures)))
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
        return Plan(self.stages, tuple(dict.fromkeys(cell.world for cell in cells)), cells)


def plan(study: Study) -> Plan:
    """The plan of a study.  Equal questions share a stage; what does not change the answer does not change a key."""
    stages: dict[str, Stage] = {}
    worlds: dict[World, None] = {}
    cells: list[Cell] = []
    for variant, suite in study.variants.items():
        planner = _Planner(suite, variant, study.registry, stages)
        for cell in planner.cells():
            cells.append(cell)
            worlds[cell.world] = None
    return Plan(stages, tuple(worlds), tuple(cells))


class _Planner:
    """Plans one variant into the stages that all share."""

    def __init__(self, suite: Suite, variant: str, registry: Registry, stages: dict[str, Stage]) -> None:
        self.suite, self.variant, self.registry, self.stages = suite, variant, registry, stages
        self.identities: dict[str, dict[str, Any]] = {}

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
    ) -> str:
        """Add a stage, or find the equal one; its key."""
        who = {role: self.identity(part) for role, part in parts.items()}
        key = stage_key(kind, who, settings, inputs)
        if key not in self.stages:
            specs = {role: part.plain() for role, part in parts.items()}
            self.stages[key] = Stage(kind, key, title, specs, settings, inputs, stack)
        return key

    def identity(self, part: Component) -> dict[str, Any]:
        spec = part.kind + canonical(part.plain())
        if spec not in self.identities:
            self.identities[spec] = identity(part, self.registry)
        return self.identities[spec]

    def world(self, model: Named[Source], replicate: int) -> World:
        pairs = self.examples("source", model.name, model.part, replicate)
        split = self.add(
            "split",
            f"split of {model.name}, replicate {replicate}",
            {},
            {**self.suite.split.plain(), "replicate": replicate},
            {"pairs": pairs},
        )
        testsets = (
            (name, self.examples("testset", name, part, replicate)) for name, part in self.suite.testsets.items()
        )
        return World(model.name, replicate, pairs, split, tuple(testsets))

    def examples(self, role: str, name: str, part: Source | TestSet, replicate: int) -> str:
        """The texts of a source or test set; a file gives the same ones in every replicate."""
        title = f"{'pairs' if role == 'source' else 'texts'} of {name}" + (
            f", replicate {replicate}" if part.drawn else ""
        )
        return self.add("examples", title, {role: part}, {"replicate": replicate if part.drawn else 0}, {})

    def embeddings(self, encoder: Named[Encoder], examples: str, embed: str, world: World) -> str:
        corpus = {"pairs": world.pairs, "split": world.split} if encoder.part.fitted else {}
        title = f"{self.stages[examples].title} by {encoder.name}"
        inputs = {"examples": examples, **corpus}
        return self.add("embeddings", title, {"encoder": encoder.part}, {"embed": embed}, inputs)

    def cells_of(self, model: Named[Source], encoder: Named[Encoder], world: World) -> Iterator[Cell]:
        embed = model.part.embed
        vectors = {"pairs": self.embeddings(encoder, world.pairs, embed, world)}
        for name, texts in world.testsets:
            vectors[name] = self.embeddings(encoder, texts, "completion", world)
        for method in self.suite.methods:
            for seed in self.suite.seeds if method.part.seeded else (None,):
                yield self.cell(model, encoder, method, world, vectors, seed)

    def cell(
        self,
        model: Named[Source],
        encoder: Named[Encoder],
        method: Named[Method],
        world: World,
        vectors: Mapping[str, str],
        seed: int | None,
    ) -> Cell:
        where = f"{method.name} on {model.name}, replicate {world.replicate}" + (
            "" if seed is None else f", seed {seed}"
        )
        head, training = self.suite.head.plain(), self.suite.training.plain()
        settings = {"head": head, "training": training, "replicate": world.replicate, "seed": seed}
        inputs = {"pairs": world.pairs, "split": world.split, "embeddings": vectors["pairs"]}
        stack = method.part.stack()
        shared = None if stack is None else (stack, canonical({**settings, "seed": None}), tuple(inputs.values()))
        reward = self.add("reward", where, {"method": method.part}, settings, inputs, shared)
        seen = {f"embeddings/{name}": key for name, key in vectors.items()}
        texts = {"split": world.split, **world.texts()}
        scores = self.add("scores", where, {"method": method.part}, {}, {"reward": reward, **texts, **seen})
        measures = tuple(self.measures(where, part, scores, texts) for part in self.suite.evaluate)
        shape = method.part.head(self.suite.head)
        return Cell(
            model=model.name,
            encoder=encoder.name,
            head=shape,
            method=method.name,
            variant=self.variant,
            replicate=world.replicate,
            seed=seed,
            reward=reward,
            scores=scores,
            measures=measures,
            world=world,
        )

    def measures(self, where: str, evaluator: Evaluator, scores: str, texts: Mapping[str, str]) -> str:
        names = {name.partition("/")[0] for name in evaluator.needs()}
        inputs = {name: key for name, key in texts.items() if name in names or (name == "split" and "pairs" in names)}
        title = f"{evaluator.use} of {where}"
        return self.add("measures", title, {"evaluator": evaluator}, {}, {"scores": scores, **inputs})


def check_parts(study: Study) -> None:
    """Have every source, test set and encoder look whether its work can be done.  Raises `FairlError`."""
    for suite in study.variants.values():
        models, encoders = (entry.part for entry in suite.models), (entry.part for entry in suite.encoders)
        for part in (*models, *suite.testsets.values(), *encoders):
            part.check()
