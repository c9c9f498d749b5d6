"""A study, run: plan, do what is missing, project it into the results folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fairl_bench.coordinates import Row
from fairl_bench.engine.execute import Outcome, Watcher, check_changed, execute, missing, put_aside
from fairl_bench.engine.executors.here import Hands, Here
from fairl_bench.engine.executors.pool import Pool
from fairl_bench.engine.followers import Followers
from fairl_bench.engine.plan import Cell, Plan
from fairl_bench.engine.planner import plan
from fairl_bench.engine.resources import limited
from fairl_bench.engine.split_sizes import checked_sizes
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import DamagedArtefact, FairlError, ResultsError, StoreError, suggest
from fairl_bench.isolation import put_back
from fairl_bench.records import Record
from fairl_bench.results import claims
from fairl_bench.results.folder import ResultsFolder
from fairl_bench.results.results import Asked, Results
from fairl_bench.results.statistics import Statistics, kept_statistics, signature_of
from fairl_bench.results.write import RunFolder
from fairl_bench.rows import Runs
from fairl_bench.store.store import Store
from fairl_bench.suite.parts import check_parts
from fairl_bench.suite.read import Study
from fairl_bench.table import Table
from fairl_bench.tables.report import tables
from fairl_bench.verdicts import Verdict


class Finished(NamedTuple):
    """A run that has ended: what was done, and what its results folder says."""

    plan: Plan
    outcome: Outcome
    results: Results
    tables: Sequence[Table]
    folder: Path
    seconds: float

    @property
    def records(self) -> Sequence[Record]:
        """Every number on record."""
        return self.results.records

    @property
    def claims(self) -> Sequence[Verdict]:
        """The verdicts on the suite's claims."""
        return self.results.verdicts

    @property
    def notes(self) -> Sequence[str]:
        """What was not read, and other things to know beside the numbers."""
        return self.results.notes


def run(
    study: Study,
    store: Store,
    folder: Path,
    watcher: Watcher | None = None,
    *,
    jobs: int = 1,
    cluster: str | None = None,
    only: Mapping[str, Sequence[str]] | None = None,
    replace_results: bool = False,
    then: Callable[[Results], object] | None = None,
    isolate: bool = False,
) -> Finished:
    """Answer a study: only what the store lacks is computed.  Failures of parts are in the outcome, not raised.

    With ``isolate``, the work of plugins is done in a process of its own, which may die without ending this one.
    ``jobs`` processes work at once, or a Ray ``cluster`` does (``HOST:PORT`` of its head, or ``auto``); ``only`` does
    the cells of these axes and leaves the records of the others.  ``then`` makes what else belongs into the results
    folder, before plugins hear that the run is over.
    """
    started = time.perf_counter()
    with put_back():
        whole = plan(study)
    wanted = _only(whole, study, only) if only else whole
    todo = missing(wanted, store)
    with put_back():  # so that the first mistake is told before the first minute's work
        check_parts(study, (stage.parts for stage in todo))
        checked_sizes(study, wanted, store, {stage.key for stage in todo if stage.kind == "split"})
    written = RunFolder(folder, study.suite, replace=replace_results, watcher=watcher)
    written.claim(whole)
    worker = Worker(store, study.registry)
    outcome = Outcome()
    followers = Followers(study, wanted, store, folder, watcher or Watcher(), outcome)
    watcher = followers.watcher()

    def project(*, whole_story: bool = True) -> Finished:
        with written.held():
            return projected(whole_story)

    def projected(whole_story: bool) -> Finished:
        seconds = time.perf_counter() - started
        runs, before, metrics = _runs(whole, outcome), written.paired(), study.metrics()
        # who interrupts a run says nothing of what it did not reach
        part = wanted if only or not (whole_story or replace_results) else None
        records = written.write(whole, worker, outcome, sys.argv, seconds, runs, metrics, only=part)
        files, asked = ResultsFolder(folder), Asked(study.suite.name, study.suite.report, study.suite.claims, metrics)
        kept = kept_statistics(files, signature_of(files, asked.report, records), before)
        if kept is None and not whole_story:
            kept, asked = Statistics((), ()), asked._replace(claims=())
        results = Results(files, asked, records, written.story(), kept)
        written.write_paired(results)
        made = list(tables(asked.report, results).values())
        if asked.claims:
            made.append(claims.table(results.verdicts))
            written.write_claims([claims.plain(verdict) for verdict in results.verdicts])
        written.write_tables(made)
        written.commit()
        return Finished(wanted, outcome, results, made, folder, seconds)

    def answer() -> Finished:
        check_changed(whole, store, watcher, outcome)
        while True:
            hands = _hands(wanted, worker, watcher, jobs, cluster, isolate)
            try:
                execute(wanted, store, hands, watcher, outcome)
            except BaseException:  # whatever ends the work, what is finished can be read
                with suppress(StoreError, ResultsError):
                    project(whole_story=False)  # who interrupts a run waits for no bootstrap
                raise
            try:
                return project()
            except DamagedArtefact as error:
                put_aside(error, store, watcher, outcome)

    if not store.has_locks:
        followers.warn(
            f"the store {store.root} is on a file system that has no locks: files stand for them, and two machines may "
            "do one stage twice"
        )
    # before anything is asked of the store: `Store.announce` says why
    with store.announce(study.suite.name, whole.stages), followers.until_finished(written.write_warnings):
        followers.started()
        finished = answer()
        if then is not None:
            then(finished.results)
        followers.tables = finished.tables
    return finished


def _hands(
    wanted: Plan, worker: Worker, watcher: Watcher, jobs: int, cluster: str | None, isolate: bool = False
) -> Hands:
    """What does the work.  One job at a time has a process of its own where a limit or a plugin may end it."""
    drop_ins = worker.registry.drop_ins
    if cluster is not None and missing(wanted, worker.store):  # what is finished needs no cluster
        from fairl_bench.engine.executors.ray import Cluster

        return Cluster(cluster, worker.store, drop_ins, watcher.moved)
    foreign = isolate and worker.registry.foreign(stage.parts for stage in missing(wanted, worker.store))
    if jobs == 1 and not foreign and not limited(wanted.stages.values()):
        return Here(worker, watcher.moved)
    return Pool(jobs, worker.store.place, drop_ins, watcher.moved)


def _only(whole: Plan, study: Study, only: Mapping[str, Sequence[str]]) -> Plan:
    """The cells wanted.  Raises `FairlError` for a value that no cell has, and where no cell has all of them."""
    for axis, values in only.items():
        known = {str(getattr(cell, axis)) for cell in whole.cells}
        if axis == "seed":  # a cell without one has any seed of its suite
            known = {str(seed) for suite in study.variants.values() for seed in suite.seeds}
        for value in values:
            if value not in known:
                raise FairlError(f"--only {axis}={value}: {axis} {value!r} is unknown; {suggest(value, known)}")
    wanted = whole.only(only)
    if not wanted.cells:
        named = " ".join(f"--only {axis}={','.join(values)}" for axis, values in only.items())
        raise FairlError(f"{named}: no cell has all of these")
    return wanted


def _runs(plan: Plan, outcome: Outcome) -> dict[Row, Runs]:
    """What each row of a table should rest on."""
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
