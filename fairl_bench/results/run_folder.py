"""A results folder as a run writes it: all that tables, figures and readers need of finished work, and nothing else.

Everything can be made again from the store, and every table from the folder.  What is there and whole is left as it is;
how files come into the folder is `fairl_bench.results.writer`'s.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from fairl_bench.errors import ResultsError
from fairl_bench.guards.secrets import hidden_in
from fairl_bench.results import interval_file, record_file
from fairl_bench.results.data_files import (
    evidence_table,
    file_names,
    history_table,
    score_table,
    signature,
    world_tables,
)
from fairl_bench.results.findings import as_json
from fairl_bench.results.folder import (
    CELLS,
    EVIDENCE,
    FIGURES,
    FINDINGS,
    HISTORIES,
    INTERVALS,
    LATER,
    LOGS,
    METRICS,
    RECORDS,
    REWARDS,
    RUN,
    SCORES,
    SUITE,
    TABLES,
    WORLDS,
)
from fairl_bench.results.record_file import Line
from fairl_bench.results.results import ReportSettings, StudyResults
from fairl_bench.results.reward_folders import RewardFolders
from fairl_bench.results.run_facts import run_facts
from fairl_bench.results.statistics import kept_statistics, signature_of
from fairl_bench.results.writer import Writer
from fairl_bench.reward.about import ARRAYS, CORPUS
from fairl_bench.reward.about import FILE as REWARD
from fairl_bench.suite.read import Study
from fairl_bench.suite.yaml import dump
from fairl_bench.values.finished import FinishedCell, FinishedRun, FinishedWorld, Stored
from fairl_bench.values.records import Record
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.table import Value

if TYPE_CHECKING:
    import pyarrow as pa


def _unheard(message: str) -> None:
    """Ignore a message."""


class RunFolder:
    """One suite's folder: what a run writes into it, and what it keeps of what lies there.

    ``waits`` hears that another run writes into the folder, ``mended`` of files that are written again, and ``lost`` of
    those that cannot be.
    """

    def __init__(
        self,
        folder: Path,
        study: Study,
        *,
        replace: bool = False,
        waits: Callable[[str], None] = _unheard,
        mended: Callable[[str], None] = _unheard,
        lost: Callable[[str], None] = _unheard,
    ) -> None:
        self.folder, self.study, self.suite, self.registry = folder, study, study.suite, study.registry
        self.replace, self.metrics = replace, study.metrics()
        self.waits, self.mended, self.lost = waits, mended, lost
        self.files = Writer(folder, study.suite.name)
        self._facts: RunFacts | None = None
        self._lines: Counter[Line] | None = None  # of records.parquet; None: nobody knows

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder while it is written.  Raises `ResultsError` where it is another suite's."""
        with self.files.held(self.waits):
            owner = self.files.owner()
            if owner not in (None, self.suite.name) and not self.replace:
                raise ResultsError(
                    f"{self.folder} holds the results of suite {owner!r}, not of {self.suite.name!r}; name another "
                    "folder with --results, or overwrite it with --replace-results"
                )
            yield

    def claim(self, run: FinishedRun) -> None:
        """Make the folder ours before anything is computed.

        Raises `ResultsError` where files of others are in the place of ours.
        """
        with self.held():
            worlds, cells = file_names(run.worlds, run.cells)
            ours = {SUITE, RUN, RECORDS, METRICS, INTERVALS, FINDINGS, f"{LOGS}/x", f"{TABLES}/x", f"{FIGURES}/x"}
            ours |= {f"{kind}/{name}.parquet" for kind in (*WORLDS, *CELLS) for name in (*worlds, *cells)}
            ours |= {
                _evidence_place(evaluator, name)
                for cell, name in zip(run.cells, cells, strict=True)
                for evaluator in cell.measures.values()
            }
            ours |= {f"{REWARDS}/{name}/{file}" for name in cells for file in (REWARD, ARRAYS, CORPUS)}
            self.files.refuse(sorted(ours.difference(self.files.listed())))
            if self.files.owner() is None:
                self.files.put(SUITE, "suite", dump(self.suite.shown()))
            self.files.commit()

    # --- what finished stages say

    def write(self, run: FinishedRun, command: Sequence[str], seconds: float) -> StudyResults:
        """Write everything that finished stages allow, and return the results with the statistics that still hold.

        Of a run that was asked for some cells alone, the records and files of all others stay as they are; of a whole
        run, what none of its stages says is removed.  What is damaged is written again, or where the store has
        forgotten it removed.
        """
        old = self._old_lines()
        records = self._single_records(run, old)
        of_two = None if old is None else [record_file.record(line) for line in old if record_file.of_two(line)]
        self._put_records([*records, *(of_two or ())])  # these stay until it is known whether they still hold
        self.files.put(SUITE, "suite", dump(self.suite.shown()))
        self.files.put(METRICS, "metrics", json.dumps({"metrics": self.metrics.plain()}, indent=1))
        self._put_data(run)
        for key, log in run.logs.items():
            self.files.put(f"{LOGS}/{key[:16]}.txt", key, f"{run.failed[key]}\n\n{log}")
        self._mend()
        facts = self._tell(run_facts(self.study, run, command, seconds))
        self.files.commit()
        asked = ReportSettings(self.suite.name, self.suite.report, self.registry, self.suite.claims, self.metrics)
        signature = signature_of(self.files, asked.report, records, facts)
        kept = kept_statistics(self.files, signature, of_two)
        return StudyResults(self.files, asked, records, facts, kept)

    def _old_lines(self) -> list[Line] | None:
        """The records that lie in the folder, none where there are none; None where they cannot be trusted."""
        self._lines = None
        if not self.files.there(RECORDS):
            return []
        if self.files.damaged(RECORDS):
            return None
        try:
            lines = record_file.lines(self.files.table(RECORDS), self.folder / RECORDS)
        except ResultsError:
            return None
        if self.files.holds(RECORDS, "records"):
            self._lines = Counter(lines)
        return lines

    def _single_records(self, run: FinishedRun, lines: Sequence[Line] | None) -> list[Record]:
        """The records of single runs: those of finished stages, and after a run of some cells older ones that stay."""
        wanted = [cell for cell in run.cells if cell.wanted]
        records = [row for cell in wanted for row in cell.records()]
        if run.whole or not self.files.there(RECORDS):
            return records
        if lines is None:  # whatever the store still knows of the others
            old = [row for cell in run.cells if not cell.wanted for row in cell.records()]
        else:
            old = [record_file.record(line) for line in lines if not record_file.of_two(line)]
        return records + _still_answering([row for row in old if not row.other], records, wanted)

    def _put_records(self, rows: Sequence[Record]) -> None:
        """Write the records, where they have changed."""
        lines = Counter(map(record_file.line, rows))
        # as dicts: a Counter compares one by one
        if self._lines is None or dict(lines) != dict(self._lines):  # equal records are equal files
            self.files.put_table(RECORDS, "records", record_file.table(rows))
            self._lines = lines

    def _put_data(self, run: FinishedRun) -> None:
        """Write the files of worlds, cells and rewards; after a whole run, those of others are removed."""
        rewards = RewardFolders(self.files, self.suite.name, self.registry)
        world_names, cell_names = file_names(run.worlds, run.cells)
        by_world = dict(zip(map(id, run.worlds), world_names, strict=True))
        kept, saved = set[str](), set[str]()
        for world, name in zip(run.worlds, world_names, strict=True):
            if world.finished and (world.wanted or self._to_mend(_places(WORLDS, name))):
                self._put_world(name, world)
                kept.update(_places(WORLDS, name))
        evidence = self._evidence_by_cell()
        for cell, name in zip(run.cells, cell_names, strict=True):
            places = [*_places(CELLS, name), *evidence.get(name, ())]
            if cell.wanted or self._to_mend([*places, *rewards.places(name)]):
                self._put_cell(name, cell, by_world[id(cell.world)])
                of_cell = self._put_evidence(name, cell, evidence.get(name, ()), whole=run.whole)
                if cell.scores.there:
                    kept.update(_places(CELLS, name), of_cell)
                reward = cell.saved()
                if reward is not None and rewards.keep(name, reward):
                    saved.add(name)
        if run.whole:
            self._forget_others(kept)
            rewards.forget(saved)

    def _put_world(self, name: str, world: FinishedWorld) -> None:
        """Write ``examples`` and ``truths`` of a model in a replicate."""
        made_from = signature(*world.keys_there)
        places = _places(WORLDS, name)
        if not all(self.files.holds(place, made_from) for place in places):
            for place, table in zip(places, world_tables(world), strict=True):
                self.files.put_table(place, made_from, table.replace_schema_metadata({"signature": made_from}))

    def _put_cell(self, name: str, cell: FinishedCell, world_name: str) -> None:
        """Write the rewards and the history of one cell, and remove what they were before the suite changed."""
        self._put_answer(f"{SCORES}/{name}.parquet", cell.scores, lambda: score_table(cell, f"{world_name}.parquet"))
        self._put_answer(f"{HISTORIES}/{name}.parquet", cell.reward, lambda: history_table(cell))

    def _put_answer(self, place: str, answer: Stored[Any], table: Callable[[], pa.Table]) -> None:
        """Write a file of a stage's answer, or remove the one of another answer."""
        made_from = signature(answer.key)
        if answer.there and not self.files.holds(place, made_from):
            self.files.put_table(place, made_from, table())
        elif (entry := self.files.entry(place)) is not None and entry.of != made_from:
            self.files.drop(place)

    def _put_evidence(self, name: str, cell: FinishedCell, there: Iterable[str], *, whole: bool) -> set[str]:
        """Write the tables that the cell's numbers rest on, and return their places.

        Of those that are ``there``, rows that answer another question are removed; in a run of some cells those of the
        same question stay, though the store may have forgotten them.
        """
        evidence = {_evidence_place(table, name): rows for table, rows in cell.evidence().items()}
        for place, rows in evidence.items():
            made_from = signature(*(one.key for one in rows))
            if not self.files.holds(place, made_from):
                self.files.put_table(place, made_from, evidence_table(cell, rows))
        for place in there:
            if place not in evidence and (whole or not self._made_of(place, cell.measures)):
                self.files.drop(place)
        return set(evidence)

    def _evidence_by_cell(self) -> dict[str, list[str]]:
        """The places of the folder's evidence, by the name of their cell's files."""
        by_cell: dict[str, list[str]] = {}
        for place in self.files.listed(f"{EVIDENCE}/"):
            by_cell.setdefault(PurePosixPath(place).stem, []).append(place)
        return by_cell

    def _made_of(self, place: str, keys: Iterable[str]) -> bool:
        """True where a file was made from stages of these keys alone."""
        entry = self.files.entry(place)
        return entry is not None and set(entry.of.split()) <= {key[:16] for key in keys}

    def _forget_others(self, kept: set[str]) -> None:
        """Remove the files of all other cells and worlds."""
        for kind in (*WORLDS, *CELLS, EVIDENCE):
            for place in self.files.listed(f"{kind}/"):
                if place not in kept:
                    self.files.drop(place)

    # --- damage

    def _to_mend(self, places: Sequence[str]) -> bool:
        """True where one of these files has to be written again."""
        return self.files.adopts or any(map(self.files.damaged, places))

    def _mend(self) -> None:
        """Report what was damaged, and remove what cannot be made again."""
        for name in self.files.listed():
            if name.partition("/")[0] in LATER or not self.files.damaged(name) or name in self.files.dropped:
                continue
            if self.files.staged(name) or name == RUN:  # that one is written below in any case
                self.mended(f"{self.folder / name} was damaged or missing; it is written again")
                continue
            self.files.drop(name)
            self.lost(
                f"{self.folder / name} was damaged, and the store no longer has what it was made from; it is left "
                "out until a run without --only makes it again"
            )

    # --- what results say

    def finish(self, results: StudyResults, tables: Mapping[str, str]) -> None:
        """Write statistics, the verdicts of claims, findings, and tables, a text for each file's name."""
        self._put_records(results.records)
        statistics = results.statistics
        if not statistics.signature or not self.files.holds(INTERVALS, statistics.signature):
            table = interval_file.table(statistics.comparisons, statistics.signature)
            self.files.put_table(INTERVALS, statistics.signature, table)
        if results.claims:
            claims = [_without_nan(verdict.plain()) for verdict in results.verdicts]
            results.run_facts = self._tell(replace(results.run, claims=claims))
        if results.findings:
            self.files.put(FINDINGS, FINDINGS, as_json(results.findings))
        elif self.files.entry(FINDINGS) is not None:
            self.files.drop(FINDINGS)
        for name, text in tables.items():
            self.files.put(f"{TABLES}/{name}", TABLES, text)
        for place in self.files.listed("tables/"):
            if place.removeprefix("tables/") not in tables:
                self.files.drop(place)
        self.files.commit()

    def write_warnings(self, warnings: Sequence[str]) -> None:
        """Add warnings that came after ``run.json`` was written; nothing is raised where it cannot be written."""
        if self._facts is not None:
            with suppress(OSError, ResultsError), self.held():  # it was said; what ended the run is not to be hidden
                self._tell(replace(self._facts, warnings=list(warnings)))
                self.files.commit()

    def _tell(self, facts: RunFacts) -> RunFacts:
        """Write ``run.json``.  The facts as they stand there, without secrets."""
        # the facts of stages were kept without secrets
        plain = {name: value if name == "stages" else hidden_in(value) for name, value in facts.plain().items()}
        self.files.put(RUN, "run", json.dumps(plain, indent=1))
        self._facts = RunFacts.read(plain)
        return self._facts


def _places(kinds: Sequence[str], name: str) -> list[str]:
    """The place of a file of each kind."""
    return [f"{kind}/{name}.parquet" for kind in kinds]


def _evidence_place(table: str, name: str) -> str:
    """The place of a table of evidence of the cell whose files have this name."""
    return f"{EVIDENCE}/{table}/{name}.parquet"


def _still_answering(old: Sequence[Record], new: Sequence[Record], wanted: Sequence[FinishedCell]) -> list[Record]:
    """The old records of cells that have no new ones; of the wanted cells, those that answer the same question."""
    answered = {row.cell for row in new}
    stages_of = {cell.place.cell: cell.answers for cell in wanted}
    left = [row for row in old if row.cell not in answered]
    return [row for row in left if row.stage in stages_of.get(row.cell, (row.stage,))]


def _without_nan(row: Mapping[str, Value]) -> dict[str, Value]:
    """A row with None in place of NaN, which JSON does not have."""
    return {name: None if value != value else value for name, value in row.items()}
