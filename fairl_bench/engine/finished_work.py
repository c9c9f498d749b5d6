"""Collects what a store holds of a plan, as the plain values that results are written from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairl_bench.engine.execute import Outcome
from fairl_bench.engine.plan import Cell, Plan, WorldKeys
from fairl_bench.engine.slices import MISRANKED, NEAR_TIE
from fairl_bench.engine.stages.likelihoods import TextLikelihoods
from fairl_bench.engine.stages.models import LanguageModelCompletions, LanguageModels
from fairl_bench.engine.stages.rewards import LIKELIHOODS
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import DataError
from fairl_bench.store.artefacts import PLACE, REWARD, evidence_name
from fairl_bench.suite.suite import Suite
from fairl_bench.values.coordinates import Coordinates, Row
from fairl_bench.values.data import PREFERRED
from fairl_bench.values.evidence import table_of
from fairl_bench.values.finished import FinishedCell, FinishedModel, FinishedReward, FinishedRun, FinishedWorld, Stored
from fairl_bench.values.records import Measure, Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.stage import Stage

if TYPE_CHECKING:
    import pyarrow as pa

SELECTED: Final = ("kept_epoch", "admissible_from")
"""The epoch of a run that was kept, and the first that could be (0: none could, and the last was), as metrics."""
_READ: Final = {LanguageModelCompletions.name: "completions", TextLikelihoods.name: "what another model says of texts"}


def finished_run(suite: Suite, plan: Plan, worker: Worker, outcome: Outcome, part: Plan | None = None) -> FinishedRun:
    """The finished parts of a plan; ``part`` is the part of it that was asked for, where that is not all."""
    work = _Work(suite, plan, worker, part)
    return FinishedRun(
        worlds=list(work.worlds.values()),
        cells=[work.cell(cell) for cell in plan.cells],
        whole=part is None,
        rows=rows_of(plan, outcome),
        stages=lambda: list(work.stages(set(outcome.done))),
        failed=outcome.failed,
        logs=outcome.logs,
        skipped=outcome.skipped,
        damaged=outcome.damaged,
        lost=[attempt._asdict() for attempt in outcome.attempts],
        warnings=outcome.warnings,
        unsaved=work.unsaved(),
    )


def rows_of(plan: Plan, outcome: Outcome) -> dict[Row, Runs]:
    """The runs that each row of a table should rest on."""
    lost = outcome.lost()
    rows: dict[Row, list[Cell]] = {}
    for cell in plan.cells:
        rows.setdefault(cell.row, []).append(cell)
    return {
        row: Runs(
            all=len(cells),
            failed=sum(any(key in lost for key in (cell.reward, cell.scores, *cell.judged())) for cell in cells),
            unit="seeds" if cells[0].seed is not None and len({cell.replicate for cell in cells}) == 1 else "runs",
        )
        for row, cells in rows.items()
    }


class _Work:
    """A plan and its store at one moment: what is there is looked up once."""

    def __init__(self, suite: Suite, plan: Plan, worker: Worker, part: Plan | None) -> None:
        self.suite, self.plan, self.worker, self.store = suite.name, plan, worker, worker.store
        self.baseline = suite.slices.baseline if suite.slices else None
        self.has, self.manifest = cache(self.store.has), cache(self.store.manifest)
        self.wanted = {*(part or plan).worlds, *(part or plan).cells}
        self.worlds = {world: self._world(world) for world in plan.worlds}

    def stored(self, key: str) -> Stored[Any]:
        """The answer of a stage."""
        return Stored(key, self.has(key), partial(self.worker.load, key))

    def stages(self, done: set[str]) -> Iterator[dict[str, Any]]:
        """The facts of every finished stage."""
        for key, stage in self.plan.stages.items():
            if self.has(key):
                yield {"key": key, "kind": stage.kind, "computed": key in done, **self.manifest(key)["facts"]}

    def _world(self, world: WorldKeys) -> FinishedWorld:
        """The finished parts of a world."""
        texts = {name: self.stored(key) for name, key in world.texts().items()}
        return FinishedWorld(world.of, self.stored(world.split), texts, world in self.wanted)

    def cell(self, cell: Cell) -> FinishedCell:
        """The finished parts of a cell."""
        return FinishedCell(
            place=Coordinates.of(cell.world, cell.run),
            world=self.worlds[cell.inputs],
            reward=self.stored(cell.reward),
            scores=self.stored(cell.scores),
            measures={key: self._evaluator(key) for key in cell.measures},
            slices=tuple(key for _, key in cell.slices),
            records=lambda: list(self._records(cell)),
            evidence=lambda: self._evidence(cell),
            saved=lambda: self._reward(cell),
            wanted=cell in self.wanted,
        )

    # --- numbers

    def _records(self, cell: Cell) -> Iterator[Record]:
        """The record of every number of a cell that is finished."""
        for seed, key, measures in self._measured(cell):
            run = cell.run._replace(seed=seed)
            for measure in measures:
                part = f"{measure.slice}:{self.baseline}" if measure.slice in (MISRANKED, NEAR_TIE) else measure.slice
                coordinates = Coordinates.of(cell.world, run, measure.data, measure.truth, part)
                value = (measure.metric, measure.value, measure.n)
                yield Record.at(coordinates, self.suite, *value, note=measure.note, stage=key)

    def _measured(self, cell: Cell) -> Iterator[tuple[int | None, str, Sequence[Measure]]]:
        """The seed, the stage and the numbers of everything that is finished of a cell."""
        yield cell.seed, cell.reward, self._selected(cell)
        for seed, key in [*((cell.seed, key) for key in cell.measures), *cell.slices]:
            if self.has(key):
                yield seed, key, self.worker.load(key)

    def _selected(self, cell: Cell) -> list[Measure]:
        """The epochs of a run's selection, made on its validation pairs; none without epochs, or without scores yet."""
        there = self.has(cell.reward) and self.has(cell.scores)
        facts = self.manifest(cell.reward)["facts"] if there else {}
        return [
            Measure("pairs/validation", PREFERRED, name, float(facts[name]), int(facts.get("epochs", 0)))
            for name in SELECTED
            if isinstance(facts.get(name), int)
        ]

    def _evaluator(self, key: str) -> str:
        """The name of the evaluator of these numbers."""
        return str(self.plan.stages[key].parts["evaluator"]["use"])

    def _evidence(self, cell: Cell) -> dict[str, list[Stored[pa.Table]]]:
        """The rows that a cell's measures rest on, by table, as far as they are kept."""
        tables: dict[str, list[Stored[pa.Table]]] = {}
        for key in filter(self.has, cell.measures):
            for file in self.manifest(key)["files"]:
                if (name := evidence_name(file)) is not None:
                    rows = Stored(key, True, partial(self._evidence_rows, key, file))
                    tables.setdefault(table_of(self._evaluator(key), name), []).append(rows)
        return tables

    def _evidence_rows(self, key: str, file: str) -> pa.Table:
        import pyarrow.parquet as pq

        return pq.read_table(self.store.read(key) / file)

    # --- rewards

    def _reward(self, cell: Cell) -> FinishedReward | None:
        """The parts of a cell's reward; None where it needs what cannot be kept, as `_unsaved` says."""
        if self._unsaved(cell):
            return None
        stage = self.plan.stages[cell.reward]
        embeddings = self._embeddings(stage)
        pairs, split, embed = stage.inputs["pairs"], stage.inputs["split"], embeddings.settings["embed"]
        return FinishedReward(
            key=cell.reward,
            there=self.has(cell.reward),
            place=Coordinates.of(cell.world, cell.run),
            method=stage.parts["method"],
            encoder=embeddings.parts["encoder"],
            embed=embed,
            head=stage.settings["head"],
            models={role: self._model(key) for role, key in embeddings.upstream().items()},
            method_models={role: self._model(key) for role, key in self._method_upstream(cell).items()},
            corpus=(pairs, split, embed),
            training_texts=lambda: self.worker.load(split).training_texts(self.worker.load(pairs), embed),
            arrays=lambda: (self.store.read(cell.reward) / REWARD, self.manifest(cell.reward)["files"][REWARD]),
            facts=lambda: self.manifest(cell.reward)["facts"],
        )

    def unsaved(self) -> list[str]:
        """Why some rewards are not saved: a sentence for each encoder and method that needs what cannot be kept."""
        return list(dict.fromkeys(reason for cell in self.plan.cells if (reason := self._unsaved(cell))))

    def _unsaved(self, cell: Cell) -> str:
        """Why a cell's reward cannot be saved: it needs more of a run than language models; empty where it can."""
        of_encoder = self._embeddings(self.plan.stages[cell.reward]).upstream()
        for whose, upstream in (
            (f"with encoder {cell.encoder!r}", of_encoder),
            (f"of method {cell.method!r}", self._method_upstream(cell)),
        ):
            for role, key in upstream.items():
                if (kind := self.plan.stages[key].kind) != LanguageModels.name:
                    what = _READ.get(kind, "the pairs of a source")
                    return (
                        f"no reward {whose} is saved: it reads {what} as {role!r}, and beside texts a saved reward can "
                        "read language models alone"
                    )
        return ""

    def _embeddings(self, reward: Stage) -> Stage:
        """The stage that the vectors of a reward come from; of shards the first, which knows all."""
        return self._first_shard(reward.inputs["embeddings"])

    def _first_shard(self, key: str) -> Stage:
        """A stage with its parts; of shards the first."""
        stage = self.plan.stages[key]
        return stage if stage.parts else self.plan.stages[stage.shards()[0]]

    def _method_upstream(self, cell: Cell) -> dict[str, str]:
        """The keys of what the score of a cell's method needs, by role; of likelihoods what these start from."""
        scores, of_pairs = self.plan.stages[cell.scores], f"{LIKELIHOODS}pairs/"
        asked = {role.removeprefix(of_pairs): key for role, key in scores.inputs.items() if role.startswith(of_pairs)}
        starts = {
            role if inner == "lm" else f"{role}/{inner}": start
            for role, key in asked.items()
            for inner, start in self._first_shard(key).upstream().items()
        }
        return {**starts, **scores.upstream()}

    def _model(self, key: str) -> FinishedModel:
        """A language model that a reward starts from."""
        path = self.store.path(key)
        return FinishedModel(
            path=str(path),
            there=lambda: self._model_is_there(key),
            folder=lambda: self._model_folder(key),
            digests=lambda: self.manifest(key)["files"] if self._model_folder(key) == path else None,
        )

    def _model_is_there(self, key: str) -> bool:
        """True where a language model is still there: once all is embedded, only a reward used elsewhere needs it."""
        try:
            return self.has(key) and self._model_folder(key).is_dir()
        except DataError:
            return False

    def _model_folder(self, key: str) -> Path:
        """The folder of a language model: in the store, or where its artefact says."""
        folder = self.store.path(key)
        if not (folder / PLACE).exists():
            return folder  # not loaded: that would read all of it
        place: Path = self.worker.load(key)
        return place
