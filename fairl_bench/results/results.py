"""What the finished work of a suite says: one reader of a results folder, for everybody who asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from fairl_bench.errors import ResultsError, UnknownName
from fairl_bench.guards.views import ViewGuard
from fairl_bench.metrics import Metrics
from fairl_bench.results import record_file
from fairl_bench.results.declared import read_metrics
from fairl_bench.results.evidence import read_evidence
from fairl_bench.results.folder import RECORDS, RUN, SUITE, ResultsFolder, read_manifest, readable
from fairl_bench.results.histories import read_histories
from fairl_bench.results.judged import JudgedMaterial
from fairl_bench.results.known_labels import read_known
from fairl_bench.results.other_tables import tables_besides
from fairl_bench.results.realigned import read_realigned
from fairl_bench.results.scores import read_sheets
from fairl_bench.results.statistics import Statistics, disagreements, kept_statistics, signature_of, statistics
from fairl_bench.results.unread import unread
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import read_report
from fairl_bench.suite.yaml import load
from fairl_bench.values.coordinates import Coordinates, Row
from fairl_bench.values.evidence import CellEvidence, table_of
from fairl_bench.values.history import History
from fairl_bench.values.known import KnownByData
from fairl_bench.values.realigned import Realigned
from fairl_bench.values.records import Record
from fairl_bench.values.references import references_first
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.sheets import Sheet, Values
from fairl_bench.values.table import Table
from fairl_bench.values.verdicts import Claim, Verdict
from fairl_bench.views import Report, ReportTable, changed, datasets_of

_TRIES, _WAIT = 20, 0.05  # so often may a run write into a folder while it is being read; seconds


class ReportSettings(NamedTuple):
    """What a suite asks of its results."""

    name: str
    report: Report
    registry: Registry  # knows how the tables are made
    claims: tuple[Claim, ...] = ()
    metrics: Metrics = Metrics()


class StudyResults(JudgedMaterial):
    """The finished work of a suite: what its folder holds, each part read when it is first asked for.

    ``records`` are those of single runs, ``run`` what ``run.json`` says; ``kept`` are the statistics that the folder
    holds, None where they are to be made from the scores.
    """

    def __init__(
        self,
        files: ResultsFolder,
        asked: ReportSettings,
        records: Sequence[Record],
        run: RunFacts,
        kept: Statistics | None,
    ) -> None:
        super().__init__(asked.registry, records)
        self.files, self.path = files, files.path
        self.asked, self.claims = asked, asked.claims
        self.run_facts = run
        self._kept = kept
        self._sheets: dict[str, list[Sheet]] = {}
        self._evidence: dict[str, Sequence[CellEvidence]] = {}

    @property
    def name(self) -> str:
        """The name of the suite."""
        return self.asked.name

    @property
    def metrics(self) -> Metrics:
        """What the suite's evaluators declare of their numbers."""
        return self.asked.metrics

    # --- numbers

    @cached_property
    def statistics(self) -> Statistics:
        """What tells methods apart; made anew where the folder does not hold what its scores and records come to."""
        from fairl_bench.results import realigned

        if self._kept is not None:
            return self._kept
        made = statistics(self.sheets_as_filed(self.data), self.report, self.single_records, self.metrics, self.run)
        after_alignment = realigned.compared(
            self.realigned, self.single_records, self.metrics, references=self.references
        )
        signature = signature_of(self.files, self.report, self.single_records, self.run)
        return Statistics(made.records, [*made.comparisons, *after_alignment], signature)

    @cached_property
    def verdicts(self) -> Sequence[Verdict]:
        """The verdicts on the suite's claims."""
        from fairl_bench.results import claims

        return (
            claims.judge(self.claims, self.sheets_as_filed, self.single_records, self.comparisons, self.metrics)
            if self.claims
            else ()
        )

    # --- what the suite asks

    @cached_property
    def rows(self) -> Mapping[Row, Runs]:
        """The rows of tables, each with the runs that it should rest on: as ``run.json`` says, else those found."""
        found = {record.row: Runs(0) for record in self.single_records}
        return references_first(found if self.run.rows is None else self.run.rows, self.run.methods)

    @property
    def report(self) -> Report:
        """The tables that the suite asks for, with their settings."""
        return self.asked.report

    @cached_property
    def other_tables(self) -> Sequence[Table]:
        """The tables that lie in the folder and that nobody here makes."""
        return list(tables_besides(self.files, self.tables))

    # --- beside the numbers

    @cached_property
    def known(self) -> KnownByData:
        """Of how many examples of each data set the label is known, where it is not of all."""
        return read_known(self.files)

    @cached_property
    def notes(self) -> Sequence[str]:
        """Sentences about the whole run: what it did not read."""
        with readable(self.path / RUN):
            return tuple(unread(self.run.stages))

    @property
    def run(self) -> RunFacts:
        """What ``run.json`` says of the run; nothing where there is none."""
        return self.run_facts

    @cached_property
    def suite(self) -> str:
        """The suite as it was resolved, the text of ``suite.yaml``."""
        return self.files.text(SUITE)

    # --- what the numbers rest on

    def sheets(self, data: Iterable[str]) -> Sequence[Sheet]:
        """Examples and rewards of these data sets, models and runs in the order of the suite."""
        models = list(dict.fromkeys(row.model for row in self.rows))
        sheets = [self._in_order(sheet) for sheet in self.sheets_as_filed(data)]
        return sorted(sheets, key=lambda sheet: models.index(sheet.model) if sheet.model in models else len(models))

    def sheets_as_filed(self, data: Iterable[str]) -> Sequence[Sheet]:
        """The same in the order of their files, which the statistics go by."""
        wanted = sorted(set(data))
        if not self._sheets.keys() >= set(wanted):
            missing = {*wanted, *self.data} - self._sheets.keys()
            self._sheets |= {name: [] for name in missing}
            for sheet in read_sheets(self.files, self.name, missing):
                self._sheets[sheet.data].append(sheet)
        return [sheet for name in wanted for sheet in self._sheets[name]]

    def _in_order(self, sheet: Sheet) -> Sheet:
        """The same sheet with its runs as the suite has them, not as their files are called."""
        runs = sorted(sheet.rewards, key=lambda run: self._place(sheet.at(run)))
        return replace(sheet, rewards={run: sheet.rewards[run] for run in runs})

    def _place(self, cell: Coordinates) -> tuple[int, int, int]:
        """The place of a cell among those of the suite."""
        return self._order.get(cell.row, len(self._order)), cell.replicate, -1 if cell.seed is None else cell.seed

    @cached_property
    def _order(self) -> Mapping[Row, int]:
        return {row: at for at, row in enumerate(self.rows)}

    @cached_property
    def histories(self) -> Sequence[History]:
        """What was noted of each training."""
        return read_histories(self.files)

    @cached_property
    def realigned(self) -> Sequence[Realigned]:
        """The completions of each re-alignment."""
        return read_realigned(self.files)

    def evidence(self, evaluator: str, name: str = "") -> Sequence[CellEvidence]:
        """What an evaluator kept of each cell, in the order of the suite."""
        table = table_of(evaluator, name)
        if table not in self._evidence:
            self._evidence[table] = sorted(read_evidence(self.files, table), key=lambda one: self._place(one.cell))
        return self._evidence[table]

    # --- the same, asked otherwise

    @property
    def is_judged(self) -> bool:
        """Whether the statistics need not be made."""
        return self._kept is not None

    def unjudged(self) -> StudyResults:
        """The same with neither statistics nor claims."""
        return StudyResults(
            self.files, self.asked._replace(claims=()), self.single_records, self.run, Statistics((), ())
        )

    def between(self, methods: tuple[str, str]) -> StudyResults:
        """The same with Tables 2 and 3 of two other methods.  Raises `UnknownName` for one that it has not."""
        known = {row.method for row in self.single_records}
        for method in methods:
            if method not in known:
                raise UnknownName(f"{self.path}: method", method, known)
        report = _between(self.report, methods, self.asked.registry, self.guard)
        sheets = self.sheets_as_filed(datasets_of(report))
        records = [row for row in self.statistics.records if row.other.startswith("seed:")]
        records += disagreements(sheets, report, Values.read(self.single_records))
        same = self.statistics._replace(records=records)
        others = StudyResults(self.files, self.asked._replace(report=report), self.single_records, self.run, same)
        others.guard = self.guard
        return others


def _between(report: Report, methods: tuple[str, str], registry: Registry, guard: ViewGuard) -> Report:
    """The report with its tables of two methods of these, and with the table of two methods that others know."""
    asked = dict(changed(report, lambda part: part.between(methods), guard))
    for name, part in report.items():
        with guard.call(part.kind, name):
            spec = part.for_two(methods)
            if spec is not None and spec["use"] not in asked:
                asked[str(spec["use"])] = registry.build(ReportTable, spec)
    return asked


def read_results(path: Path, registry: Registry | None = None) -> StudyResults:
    """What a results folder says.  Tables are made by the plugins of the ``registry``, else by the installed ones.

    Raises `ResultsError` where it is none, one of an unfinished run, or damaged.
    """
    for name in (SUITE, RECORDS):
        if not (path / name).exists():
            raise ResultsError(f"{path} is no results folder: it has no {name}; name one that 'run' has written")
    registry = registry or Registry()
    for left in reversed(range(_TRIES)):
        files = ResultsFolder(path)
        before = files.manifest
        if left and before is not None and not before.settled:  # a run puts files into place, or was ended while it did
            time.sleep(_WAIT)
            continue
        try:
            results = _read(files, registry)
        except ResultsError:  # some files of before and some of after, maybe
            if not left or read_manifest(path) == before:
                raise
        else:
            if not left or read_manifest(path) == before:
                return results
    raise AssertionError("the last try returns or raises")


def _read(files: ResultsFolder, registry: Registry) -> StudyResults:
    """What belongs together is read at once, so that all of it is of one run."""
    asked = _read_settings(files, registry)
    rows = record_file.rows(files.table(RECORDS), files.path / RECORDS)
    single, of_two = [row for row in rows if not row.other], [row for row in rows if row.other]
    run = _read_run(files)
    signature = signature_of(files, asked.report, single, run)
    results = StudyResults(files, asked, single, run, kept_statistics(files, signature, of_two))
    _ = results.rows, results.notes, results.statistics  # what cannot be read is told now
    return results


def _read_run(files: ResultsFolder) -> RunFacts:
    if not files.has(RUN):
        return RunFacts()
    content = files.json(RUN)
    with readable(files.path / RUN):
        return RunFacts.read(content)


def _read_settings(files: ResultsFolder, registry: Registry) -> ReportSettings:
    files.read(SUITE)
    content = load(files.path / SUITE, variables=False).content
    try:
        report = read_report(content.get("report") or {}, registry)
        claims = tuple(Claim.model_validate(claim) for claim in content.get("claims") or ())
    except (ValidationError, TypeError, AttributeError) as error:
        what = "cannot be read; run the suite again, and it is written anew"
        raise ResultsError(f"{files.path / SUITE} {what}") from error
    return ReportSettings(str(content.get("name")), report, registry, claims, read_metrics(files))
