"""A results folder: the projection of finished artefacts that tables, figures and readers need, and nothing else.

Everything can be rebuilt from the store, and every table from the folder.  What is there and whole is left as it is;
how files come into the folder is `fairl_bench.results.files`'s.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fairl_bench.coordinates import Row
from fairl_bench.data import DROPPED, SPLITS, Examples, Split
from fairl_bench.digests import digest
from fairl_bench.engine.execute import Outcome, Watcher
from fairl_bench.engine.plan import Cell, Plan, WorldKeys
from fairl_bench.engine.recorded import recorded, still_answering
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import ResultsError
from fairl_bench.metrics import Metrics
from fairl_bench.records import Record
from fairl_bench.results import record_file
from fairl_bench.results.comparisons import FILE
from fairl_bench.results.comparisons import write as write_comparisons
from fairl_bench.results.declared import FILE as METRICS
from fairl_bench.results.files import Writer
from fairl_bench.results.folder import PAGE, alike, distinct
from fairl_bench.results.results import Results
from fairl_bench.reward.folder import ARRAYS, CORPUS
from fairl_bench.reward.folder import FILE as REWARD_FILE
from fairl_bench.reward.load import Shelf
from fairl_bench.rows import Runs
from fairl_bench.store.artefacts import EVIDENCE
from fairl_bench.store.store import Store
from fairl_bench.suite.suite import Suite
from fairl_bench.suite.yaml import dump
from fairl_bench.table import Table, Value
from fairl_bench.tables.formats import FORMATS

KINDS: Final = ("scores", "examples", "truths", "histories", "realigned")
CELLS: Final = ("scores", "histories", "realigned")  # those of a cell
LATER: Final = ("tables", "figures", PAGE, FILE)  # made from the others, and made again with them
REWARD: Final = (REWARD_FILE, ARRAYS, CORPUS)
_PACKAGES = ("fairl-bench", "torch", "transformers", "sentence-transformers", "scikit-learn", "scipy", "numpy")


class RunFolder:
    """One suite's folder: what a run writes into it, and what it keeps of what lies there."""

    def __init__(self, folder: Path, suite: Suite, *, replace: bool = False, watcher: Watcher | None = None) -> None:
        self.folder, self.suite, self.replace = folder, suite, replace
        self.watcher = watcher or Watcher()
        self.files = Writer(folder, suite.name)
        self._told: dict[str, Any] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Held while the folder is written.  Raises `ResultsError` where it is another suite's."""
        with self.files.held(self.watcher.warned):
            owner = self.files.owner()
            if owner not in (None, self.suite.name) and not self.replace:
                raise ResultsError(
                    f"{self.folder} holds the results of suite {owner!r}, not of {self.suite.name!r}; name another "
                    "folder with --results, or overwrite it with --replace-results"
                )
            yield

    def claim(self, plan: Plan) -> None:
        """Make the folder ours before anything is computed.  Raises `ResultsError` where files of others are in the
        place of ours."""
        with self.held():
            names = [name.removesuffix(".parquet") for name in _file_names(plan).values()]
            ours = {"suite.yaml", "run.json", "records.parquet", METRICS, FILE, "logs/x", "tables/x", "figures/x"}
            ours |= {f"{kind}/{name}.parquet" for kind in KINDS for name in names}
            ours |= {f"rewards/{name}/{file}" for name in names for file in REWARD}
            self.files.refuse(sorted(ours.difference(self.files.listed())))
            if self.files.owner() is None:
                self.files.put("suite.yaml", "suite", dump(self.suite.shown()))
            self.files.commit()

    def write(
        self,
        plan: Plan,
        worker: Worker,
        outcome: Outcome,
        command: list[str],
        seconds: float,
        runs: Mapping[Row, Runs],
        metrics: Metrics,
        *,
        only: Plan | None = None,
    ) -> list[Record]:
        """Write everything that finished stages allow; the records, of single runs alone.

        With ``only``, a part of the plan, the records and files of all other cells stay as they are; without, what no
        finished stage of the plan says is removed.  What is damaged is written again, or where the store has forgotten
        it removed.
        """
        part = only or plan
        rows = self._single(plan, worker, only)
        before = self.paired() or []  # these stay until it is known whether they still hold
        self._records([*rows, *before])
        self.files.put("suite.yaml", "suite", dump(self.suite.shown()))
        self.files.put(METRICS, "metrics", json.dumps({"metrics": metrics.plain()}, indent=1))
        names = _file_names(plan)
        shelf = Shelf(self.files, self.suite.name, plan, worker)
        wanted, saved, written = {*part.worlds, *part.cells}, set[str](), set[str]()
        for world in plan.worlds:
            mine = [f"{kind}/{names[world]}" for kind in ("examples", "truths")]
            there = worker.store.has(world.pairs) and worker.store.has(world.split)
            if there and (world in wanted or self._to_mend(mine)):
                self._world(names[world], world, worker)
                written.add(names[world])
        for cell in plan.cells:
            name = names[cell].removesuffix(".parquet")
            if cell in wanted or self._to_mend([f"{kind}/{names[cell]}" for kind in CELLS] + shelf.places(name)):
                self._cell(names[cell], cell, names[cell.inputs], worker, part_of_them=only is not None)
                if worker.store.has(cell.scores):
                    written.add(names[cell])
                if shelf.keep(name, cell):
                    saved.add(name)
        if not only:
            self._forget(written)
            shelf.forget(saved)
        for key, log in outcome.logs.items():
            self.files.put(f"logs/{key[:16]}.txt", key, f"{outcome.failed[key]}\n\n{log}")
        self._mend(outcome)
        self._told = self._run(plan, worker, outcome, command, seconds) | {
            "rows": [{"row": list(row), **one._asdict()} for row, one in runs.items()]
        }
        self._tell({})
        self.files.commit()
        return rows

    def _single(self, plan: Plan, worker: Worker, only: Plan | None) -> list[Record]:
        """The records of single runs: those of finished stages, and with ``only`` those that stay."""
        baseline = self.suite.slices.baseline if self.suite.slices else ""
        rows = list(recorded(self.suite.name, baseline, only or plan, worker))
        if only is None or not self.files.there("records.parquet"):
            return rows
        if (old := self._old()) is None:  # whatever the store still knows of the others
            others = recorded(self.suite.name, baseline, plan, worker)
            old = [row for row in others if row.cell not in {cell.cell for cell in only.cells}]
        return rows + still_answering([row for row in old if not row.other], rows, only)

    def _old(self) -> list[Record] | None:
        """The records that lie in the folder; None where they cannot be trusted."""
        if self.files.damaged("records.parquet"):
            return None
        try:
            return record_file.read(self.folder / "records.parquet")
        except ResultsError:
            return None

    def _to_mend(self, names: Sequence[str]) -> bool:
        return self.files.adopts or any(map(self.files.damaged, names))

    def _mend(self, outcome: Outcome) -> None:
        """Say what was damaged; remove what cannot be made again."""
        for name in self.files.listed():
            if name.partition("/")[0] in LATER or not self.files.damaged(name) or name in self.files.dropped:
                continue
            if self.files.staged(name) or name == "run.json":  # that one is written below in any case
                self.watcher.damaged(f"{self.folder / name} was damaged or missing; it is written again")
                continue
            self.files.drop(name)
            outcome.warnings.append(
                f"{self.folder / name} was damaged, and the store no longer has what it was made from; it is left "
                "out until a run without --only makes it again"
            )
            self.watcher.warned(outcome.warnings[-1])

    def commit(self) -> None:
        """Put all that was written since the last time into place."""
        self.files.commit()

    def paired(self) -> list[Record] | None:
        """The paired records that the folder has; None where they cannot be trusted."""
        if not self.files.there("records.parquet"):
            return []
        old = self._old()
        return None if old is None else [row for row in old if row.other]

    def write_paired(self, results: Results) -> None:
        """The paired statistics beside the records of single runs."""
        self._records(results.records)
        signature = results.statistics.signature
        if not signature or not self.files.holds(FILE, signature):
            self.files.stage(FILE, signature, lambda path: write_comparisons(path, results.comparisons, signature))

    def _records(self, rows: Sequence[Record]) -> None:
        name = "records.parquet"
        if self.files.staged(name) or not self._says(rows):
            self.files.stage(name, "records", lambda path: record_file.write(path, rows))

    def _says(self, rows: Sequence[Record]) -> bool:
        whole = self.files.holds("records.parquet", "records")
        return whole and record_file.says(self.folder / "records.parquet", rows)

    def story(self) -> Mapping[str, Any]:
        """What ``run.json`` tells of the run that was written last."""
        return self._told

    def write_claims(self, verdicts: Sequence[Mapping[str, Value]]) -> None:
        """The verdicts of claims, beside what else is told of the run; a number that is not defined is null."""
        rows = [{name: None if value != value else value for name, value in row.items()} for row in verdicts]
        self._tell({"claims": rows})

    def write_warnings(self, warnings: Sequence[str]) -> None:
        """Note in ``run.json`` what plugins came to after it was written; nothing where it cannot be written."""
        if self._told:
            with suppress(OSError, ResultsError), self.held():  # it was said; what ended the run is not to be hidden
                self._tell({"warnings": list(warnings)})
                self.files.commit()

    def _tell(self, more: Mapping[str, Any]) -> None:
        self._told |= more
        self.files.put("run.json", "run", json.dumps(self._told, indent=1))

    def _forget(self, others_than: set[str]) -> None:
        """Remove the files of all other cells and worlds."""
        for kind in KINDS:
            for name in self.files.listed(f"{kind}/"):
                if name.partition("/")[2] not in others_than:
                    self.files.drop(name)

    def write_tables(self, tables: Sequence[Table]) -> None:
        """Each table as Markdown, CSV, LaTeX and JSON; those of an earlier suite go."""
        names = {f"tables/{table.name}.{ending}" for table in tables for ending in FORMATS}
        for table in tables:
            for ending, render in FORMATS.items():
                self.files.put(f"tables/{table.name}.{ending}", "tables", render(table))
        for name in self.files.listed("tables/"):
            if name not in names:
                self.files.drop(name)

    def _world(self, name: str, world: WorldKeys, worker: Worker) -> None:
        """``examples`` and ``truths`` of a model in a replicate, all data sets below one another."""
        there = {dataset: key for dataset, key in world.texts().items() if worker.store.has(key)}
        signature = _signature(world.split, *there.values())
        if all(self.files.holds(f"{kind}/{name}", signature) for kind in ("examples", "truths")):
            return
        examples, truths = [], []
        for dataset, key in there.items():
            found: Examples = worker.load(key)
            split = _split_names(found, worker.load(world.split)) if dataset == "pairs" else [""] * len(found)
            examples.append(_example_rows(dataset, found, split))
            truths += [_truth_rows(dataset, truth, *known) for truth, known in found.truths.items()]
        self._table("examples", name, pa.concat_tables(examples), {"signature": signature})
        self._table("truths", name, pa.concat_tables(truths), {"signature": signature})

    def _cell(self, name: str, cell: Cell, world: str, worker: Worker, *, part_of_them: bool) -> None:
        """The files of one cell; what it was before the suite changed goes."""
        for kind, key in (("histories", cell.reward), ("scores", cell.scores)):
            place, signature = f"{kind}/{name}", _signature(key)
            if worker.store.has(key) and not self.files.holds(place, signature):
                if kind == "histories":
                    self._history(name, cell, worker)
                else:
                    self._scores(name, cell, world, worker)
            elif (entry := self.files.entry(place)) is not None and entry.of != signature:
                self.files.drop(place)
        self._realigned(name, cell, worker, part_of_them=part_of_them)

    def _scores(self, name: str, cell: Cell, world: str, worker: Worker) -> None:
        """The rewards of one cell, with the cell's coordinates in the file's metadata."""
        tables, scores = [], worker.load(cell.scores)
        wide = np.result_type(*scores.values())  # one type a column: float64 where one data set needs it
        for dataset, reward in scores.items():
            found: Examples = worker.load(cell.inputs.texts()[dataset])
            split = _split_names(found, worker.load(cell.inputs.split)) if dataset == "pairs" else [""] * len(found)
            columns = {"dataset": [dataset] * len(found), "split": split, "example": np.arange(len(found))}
            tables.append(pa.table({**columns, "reward": reward.astype(wide)}))
        told = {**cell.to_text(), "stage": cell.scores, "world": world}  # world: of its examples
        self._table("scores", name, pa.concat_tables(tables), {**told, "signature": _signature(cell.scores)})

    def _history(self, name: str, cell: Cell, worker: Worker) -> None:
        """What was noted of one cell's training, a row an epoch, if anything was; NaN past the end of a column."""
        found = {column: list(numbers) for column, numbers in worker.load(cell.reward).history.items() if len(numbers)}
        longest = max(map(len, found.values()), default=0)
        padded = {column: numbers + [np.nan] * (longest - len(numbers)) for column, numbers in found.items()}
        table = pa.table({column: pa.array(numbers, pa.float32()) for column, numbers in padded.items()})
        told = {**cell.to_text(), "stage": cell.reward, "signature": _signature(cell.reward)}
        self._table("histories", name, table, told)

    def _realigned(self, name: str, cell: Cell, worker: Worker, *, part_of_them: bool) -> None:
        """The completions that the cell's re-alignment was judged by; one that answers another question goes.

        With ``part_of_them`` one of the same question stays, though the store may have forgotten it.
        """
        keys = [key for key in cell.measures if _has_evidence(worker.store, key)]
        signature, place = _signature(*keys), f"realigned/{name}"
        if keys and self.files.holds(place, signature):
            return
        if keys:
            tables = [pq.read_table(worker.store.read(key) / EVIDENCE) for key in keys]
            told = {**cell.to_text(), "stage": " ".join(keys), "signature": signature}
            self._table("realigned", name, pa.concat_tables(tables, promote_options="default"), told)
        elif not part_of_them or not self._made_of(place, cell.measures):
            self.files.drop(place)

    def _made_of(self, place: str, keys: Sequence[str]) -> bool:
        entry = self.files.entry(place)
        return entry is not None and set(entry.of.split()) <= {key[:16] for key in keys}

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
        whole = table.replace_schema_metadata(metadata)
        self.files.stage(f"{kind}/{name}", metadata["signature"], lambda path: pq.write_table(whole, path))


def _has_evidence(store: Store, key: str) -> bool:
    return store.has(key) and EVIDENCE in store.manifest(key)["files"]


def _file_names(plan: Plan) -> dict[WorldKeys | Cell, str]:
    """A file's name for each world and cell, with a digest where the coordinates alone are no name for it alone."""
    plain: dict[WorldKeys | Cell, str] = {world: world.of.stem for world in plan.worlds}
    plain |= {cell: cell.stem for cell in plan.cells}
    return {
        one: f"{distinct(name, digest(vars(one) | {'inputs': None})) if no_name else name}.parquet"
        for (one, name), no_name in zip(plain.items(), alike(plain.values()), strict=True)
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
