"""A results folder: the projection of finished artefacts that tables, figures and readers need, and nothing else.

Everything is rewritten atomically and can be rebuilt from the store; every table can be rebuilt from the folder.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairl_bench import records
from fairl_bench.data import DROPPED, SPLITS, Examples, Split
from fairl_bench.engine.artefacts import EVIDENCE
from fairl_bench.engine.execute import Outcome
from fairl_bench.engine.keys import digest
from fairl_bench.engine.plan import Cell, Plan, World
from fairl_bench.engine.report import Paired, plain_runs
from fairl_bench.engine.rewards import Shelf
from fairl_bench.engine.room import refusal
from fairl_bench.engine.secrets import hidden
from fairl_bench.engine.slices import MISRANKED, NEAR_TIE
from fairl_bench.engine.stages import Worker
from fairl_bench.engine.store import Store
from fairl_bench.engine.suite import Suite
from fairl_bench.engine.yaml import dump, load, parse_value
from fairl_bench.errors import FairlError, ResultsError
from fairl_bench.records import Record
from fairl_bench.tables.comparisons import FILE
from fairl_bench.tables.comparisons import signature as _signed
from fairl_bench.tables.comparisons import write as write_comparisons
from fairl_bench.tables.formats import FORMATS
from fairl_bench.tables.rows import Row, Runs
from fairl_bench.tables.table import Table, Value

_PACKAGES = ("fairl-bench", "torch", "transformers", "sentence-transformers", "scikit-learn", "scipy", "numpy")


class Results:
    """One suite's folder."""

    def __init__(self, folder: Path, suite: Suite, *, replace: bool = False) -> None:
        self.folder, self.suite = folder, suite
        owner = _owner(folder / "suite.yaml")
        if owner not in (None, suite.name) and not replace:
            raise ResultsError(
                f"{folder} holds the results of suite {owner!r}, not of {suite.name!r}; name another folder with "
                "--results, or overwrite it with --replace-results"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._text("suite.yaml", dump(suite.shown()))
        except OSError as error:
            raise ResultsError(
                f"the results folder {folder} cannot be written: {error.strerror}; name another with --results"
            ) from error

    def write(
        self,
        plan: Plan,
        worker: Worker,
        outcome: Outcome,
        command: list[str],
        seconds: float,
        runs: Mapping[Row, Runs],
        *,
        only: Plan | None = None,
    ) -> list[Record]:
        """Write everything that finished stages allow; the records, of single runs alone.

        With ``only``, a part of the plan, the records and files of all other cells stay as they are; without, what no
        finished stage of the plan says is removed.
        """
        part = only or plan
        rows = list(_records(self.suite.name, self.suite.slices.baseline if self.suite.slices else "", part, worker))
        if only and (self.folder / "records.parquet").exists():
            old = [row for row in records.read(self.folder / "records.parquet") if not row.other]
            rows += _kept(old, rows, only)
        before = self.paired()  # these stay until it is known whether they still hold
        self._records([*rows, *before])
        names = _file_names(plan)
        shelf, saved = Shelf(self.folder / "rewards", self.suite.name, plan, worker), set()
        written = set()
        for world in part.worlds:
            if worker.store.has(world.pairs) and worker.store.has(world.split):
                self._world(names[world], world, worker)
                written.add(names[world])
        for cell in part.cells:
            if worker.store.has(cell.reward):
                self._history(names[cell], cell, worker)
            if worker.store.has(cell.scores):
                self._scores(names[cell], cell, names[cell.world], worker)
                written.add(names[cell])
            for kind, key in (("histories", cell.reward), ("scores", cell.scores)):
                if _signed(place := self.folder / kind / names[cell]) not in (None, _signature(key)):
                    place.unlink()  # what the cell was before the suite changed
            self._realigned(names[cell], cell, worker, part_of_them=only is not None)
            name = names[cell].removesuffix(".parquet")
            if shelf.keep(name, cell):
                saved.add(name)
        if not only:
            self._forget(written)
            shelf.forget(saved)
        for key, log in outcome.logs.items():
            self._text(f"logs/{key[:16]}.txt", f"{outcome.failed[key]}\n\n{log}")
        told = self._run(plan, worker, outcome, command, seconds) | {"rows": plain_runs(runs)}
        self._text("run.json", json.dumps(told, indent=1))
        return rows

    def paired(self) -> list[Record]:
        """The paired records that the folder has."""
        path = self.folder / "records.parquet"
        return records.read_paired(path) if path.exists() else []

    def write_paired(self, rows: Sequence[Record], found: Paired) -> None:
        """The paired statistics beside the records of single runs."""
        self._records([*rows, *found.records])
        if not found.signature or _signed(self.folder / FILE) != found.signature:
            self._file(FILE, lambda path: write_comparisons(path, found.comparisons, found.signature))

    def _records(self, rows: Sequence[Record]) -> None:
        if not records.says(self.folder / "records.parquet", rows):
            self._file("records.parquet", lambda path: records.write(path, rows))

    def write_claims(self, verdicts: Sequence[Mapping[str, Value]]) -> None:
        """The verdicts of claims, beside what else is told of the run; a number that is not defined is null."""
        told = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        rows = [{name: None if value != value else value for name, value in row.items()} for row in verdicts]
        self._text("run.json", json.dumps(told | {"claims": rows}, indent=1))

    def write_warnings(self, warnings: Sequence[str]) -> None:
        """What plugins that follow the run came to after its story was written."""
        place = self.folder / "run.json"
        if place.exists():
            told = json.loads(place.read_text(encoding="utf-8"))
            self._text("run.json", json.dumps(told | {"warnings": list(warnings)}, indent=1))

    def _forget(self, others_than: set[str]) -> None:
        """Remove the files of all other cells and worlds."""
        for kind in ("scores", "examples", "truths", "histories", "realigned"):
            for path in (self.folder / kind).glob("*.parquet"):
                if path.name not in others_than:
                    path.unlink()

    def write_tables(self, tables: Sequence[Table]) -> None:
        """Each table as Markdown, CSV, LaTeX and JSON; those of an earlier suite go."""
        names = {f"{table.name}.{ending}" for table in tables for ending in FORMATS}
        for table in tables:
            for ending, render in FORMATS.items():
                self._text(f"tables/{table.name}.{ending}", render(table))
        for path in (self.folder / "tables").glob("*"):
            if path.name not in names:
                path.unlink()

    def _world(self, name: str, world: World, worker: Worker) -> None:
        """``examples`` and ``truths`` of a model in a replicate, all data sets below one another."""
        there = {dataset: key for dataset, key in world.texts().items() if worker.store.has(key)}
        signature = _signature(world.split, *there.values())
        if all(_signed(self.folder / kind / name) == signature for kind in ("examples", "truths")):
            return
        examples, truths = [], []
        for dataset, key in there.items():
            found: Examples = worker.load(key)
            split = _split_names(found, worker.load(world.split)) if dataset == "pairs" else [""] * len(found)
            examples.append(_example_rows(dataset, found, split))
            truths += [_truth_rows(dataset, truth, *known) for truth, known in found.truths.items()]
        self._table("examples", name, pa.concat_tables(examples), {"signature": signature})
        self._table("truths", name, pa.concat_tables(truths), {"signature": signature})

    def _scores(self, name: str, cell: Cell, world: str, worker: Worker) -> None:
        """The rewards of one cell, with the cell's coordinates in the file's metadata."""
        signature = _signature(cell.scores)
        if _signed(self.folder / "scores" / name) == signature:
            return
        tables = []
        for dataset, reward in worker.load(cell.scores).items():
            found: Examples = worker.load(cell.world.texts()[dataset])
            split = _split_names(found, worker.load(cell.world.split)) if dataset == "pairs" else [""] * len(found)
            columns = {"dataset": [dataset] * len(found), "split": split, "example": np.arange(len(found))}
            tables.append(pa.table({**columns, "reward": reward}))
        told = {**_told(cell), "stage": cell.scores, "world": world, "signature": signature}  # world: of its examples
        self._table("scores", name, pa.concat_tables(tables), told)

    def _history(self, name: str, cell: Cell, worker: Worker) -> None:
        """What was noted of one cell's training, a row an epoch, if anything was; NaN past the end of a column."""
        signature = _signature(cell.reward)
        if _signed(self.folder / "histories" / name) == signature:
            return
        found = {column: list(numbers) for column, numbers in worker.load(cell.reward).history.items() if len(numbers)}
        longest = max(map(len, found.values()), default=0)
        padded = {column: numbers + [np.nan] * (longest - len(numbers)) for column, numbers in found.items()}
        table = pa.table({column: pa.array(numbers, pa.float32()) for column, numbers in padded.items()})
        self._table("histories", name, table, {**_told(cell), "stage": cell.reward, "signature": signature})

    def _realigned(self, name: str, cell: Cell, worker: Worker, *, part_of_them: bool) -> None:
        """The completions that the cell's re-alignment was judged by; one that answers another question goes.

        With ``part_of_them`` one of the same question stays, though the store may have forgotten it.
        """
        keys = [key for key in cell.measures if _has_evidence(worker.store, key)]
        signature, path = _signature(*keys), self.folder / "realigned" / name
        if (before := _signed(path)) == signature and keys:
            return
        if keys:
            tables = [pq.read_table(worker.store.read(key) / EVIDENCE) for key in keys]
            told = {**_told(cell), "stage": " ".join(keys), "signature": signature}
            self._table("realigned", name, pa.concat_tables(tables, promote_options="default"), told)
        elif before is not None and not (part_of_them and set(before.split()) <= {key[:16] for key in cell.measures}):
            path.unlink()

    def _run(self, plan: Plan, worker: Worker, outcome: Outcome, command: list[str], seconds: float) -> dict[str, Any]:
        store = worker.store
        done = set(outcome.done)
        finished = {key: stage for key, stage in plan.stages.items() if store.has(key)}
        return {
            "suite": self.suite.name,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 2),
            "command": command,
            "machine": {
                "platform": platform.platform(),
                "processor": platform.processor() or platform.machine(),
                "cores": os.cpu_count(),
                "python": sys.version.split()[0],
            },
            "packages": {name: _version(name) for name in _PACKAGES},
            "git": _git(),
            "seeds": list(self.suite.seeds),
            "replicates": list(self.suite.replicates),
            "failed": outcome.failed,
            "skipped": outcome.skipped,
            "damaged": outcome.damaged,
            "warnings": outcome.warnings,
            "lost": [attempt._asdict() for attempt in outcome.attempts],
            "stages": [
                {"key": key, "kind": stage.kind, "computed": key in done, **store.manifest(key)["facts"]}
                for key, stage in finished.items()
            ],
        }

    def _table(self, kind: str, name: str, table: pa.Table, metadata: Mapping[str, str]) -> None:
        self._file(f"{kind}/{name}", lambda path: pq.write_table(table.replace_schema_metadata(metadata), path))

    def _text(self, name: str, text: str) -> None:
        self._file(name, partial(_write_text, hidden(text)))  # a log or a command line may hold a secret

    def _file(self, name: str, save: Callable[[Path], None]) -> None:
        """Write one file of the folder, whole or not at all."""
        path = self.folder / name
        half = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save(half)
            half.replace(path)
        except OSError as error:
            if (why := refusal(error, self.folder, "--results")) is None:
                raise
            raise ResultsError(
                f"the results folder {self.folder} cannot be written: {why.what}; {why.advice}"
            ) from error
        finally:
            with suppress(OSError):  # or it hides why
                half.unlink(missing_ok=True)


def _has_evidence(store: Store, key: str) -> bool:
    return store.has(key) and EVIDENCE in store.manifest(key)["files"]


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _records(suite: str, baseline: str, plan: Plan, worker: Worker) -> Iterator[Record]:
    for cell in plan.cells:
        for seed, key in [*((cell.seed, key) for key in cell.measures), *cell.slices]:
            if not worker.store.has(key):
                continue
            for measure in worker.load(key):
                dataset, _, split = measure.data.partition("/")
                yield Record(
                    suite=suite,
                    model=cell.model,
                    encoder=cell.encoder,
                    head=cell.head,
                    method=cell.method,
                    variant=cell.variant,
                    replicate=cell.replicate,
                    seed=seed,
                    dataset=dataset,
                    split=split,
                    slice=f"{measure.slice}:{baseline}" if measure.slice in (MISRANKED, NEAR_TIE) else measure.slice,
                    truth=measure.truth,
                    metric=measure.metric,
                    other="",
                    value=measure.value,
                    n=measure.n,
                    note=measure.note,
                    stage=key,
                )


def _kept(old: Sequence[Record], new: Sequence[Record], only: Plan) -> list[Record]:
    """The old records of cells that have no new ones; of the wanted cells, those that answer the same question."""
    answered = {_coordinates(row) for row in new}
    asked = {_coordinates(cell): cell.judged() for cell in only.cells}
    left = [row for row in old if _coordinates(row) not in answered]
    return [row for row in left if row.stage in asked.get(_coordinates(row), (row.stage,))]


def _coordinates(one: Record | Cell) -> tuple[object, ...]:
    return one.model, one.encoder, one.method, one.variant, one.replicate, one.seed


def _told(cell: Cell) -> dict[str, str]:
    """A cell's coordinates, as the metadata of its files."""
    coordinates = {"model": cell.model, "encoder": cell.encoder, "head": cell.head, "method": cell.method}
    return {**coordinates, "variant": cell.variant, "replicate": str(cell.replicate), "seed": _seed(cell)}


def _seed(cell: Cell) -> str:
    return "all" if cell.seed is None else str(cell.seed)


def _file_names(plan: Plan) -> dict[World | Cell, str]:
    """A file's name for each world and cell, with a digest where the coordinates alone leave two the same."""
    plain: dict[World | Cell, str] = {world: f"{world.model}-r{world.replicate}" for world in plan.worlds}
    plain |= {
        cell: f"{cell.model}-{cell.encoder}-{cell.method}-r{cell.replicate}-s{_seed(cell)}" for cell in plan.cells
    }
    shared = Counter(plain.values())
    return {
        one: f"{name}{'-' + digest(vars(one) | {'world': None})[:8] if shared[name] > 1 else ''}.parquet"
        for one, name in plain.items()
    }


def _split_names(examples: Examples, split: Split) -> list[str]:
    """The name of each example's part; dropped pairs have an empty one."""
    names = {**dict(enumerate(SPLITS)), DROPPED: ""}
    return [names[code] for code in split.part[examples.pair].tolist()]


def _example_rows(dataset: str, examples: Examples, split: list[str]) -> pa.Table:
    in_pair = examples.pair >= 0
    roles = {1: "preferred", -1: "rejected", 0: None}
    return pa.table(
        {
            "dataset": [dataset] * len(examples),
            "split": split,
            "example": np.arange(len(examples)),
            "pair": pa.array(examples.pair, mask=~in_pair),
            "role": pa.array([roles[code] for code in examples.role.tolist()], pa.string()),
            "group": list(examples.group),
            "prompt": list(examples.prompt),
            "text": list(examples.text),
        }
    )


def _truth_rows(dataset: str, truth: str, value: np.ndarray, label: np.ndarray) -> pa.Table:
    n = len(value)
    columns = {"dataset": [dataset] * n, "example": np.arange(n), "truth": [truth] * n}
    return pa.table({**columns, "value": value, "label": label})


def _signature(*keys: str) -> str:
    return " ".join(key[:16] for key in keys)


def _owner(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        with path.open(encoding="utf-8") as file:  # the first line, as we write it: the rest may be long
            first = file.readline()
        content = parse_value(first, (path, 1))
        return str(
            (content if isinstance(content, dict) and "name" in content else load(path, variables=False).content).get(
                "name"
            )
        )
    except (FairlError, UnicodeDecodeError):
        return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _git() -> dict[str, Any] | None:
    """The commit of this code, and whether the tree differs from it; None outside a checkout."""

    def git(*arguments: str) -> str:
        here = Path(__file__).parent
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None
