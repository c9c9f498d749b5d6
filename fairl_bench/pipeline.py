"""Runs a study: plan it, do what is missing, write and judge the results.

This is the one module that knows the engine as well as the results.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from fairl_bench.engine.execute import Outcome, Watcher, check_changed, execute, missing, put_aside
from fairl_bench.engine.executors.here import perform
from fairl_bench.engine.executors.known import LocalExecutor
from fairl_bench.engine.finished_work import finished_run
from fairl_bench.engine.followers import Followers
from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.engine.replicates import Replicates
from fairl_bench.engine.resources import limited
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import DamagedArtefact, FairlError, ResultsError, StoreError, suggest
from fairl_bench.executor import Executor, Job, JobRunner, Workplace
from fairl_bench.guards.isolation import isolated
from fairl_bench.preview.split_sizes import checked_sizes
from fairl_bench.results.results import StudyResults
from fairl_bench.results.run_folder import RunFolder
from fairl_bench.store.store import Store
from fairl_bench.suite.parts import check_parts
from fairl_bench.suite.read import Study
from fairl_bench.tables.formats import rendered_files
from fairl_bench.values.records import Record
from fairl_bench.values.table import Table
from fairl_bench.values.verdicts import Verdict

SECONDS_TO_FIRST_RESULTS, SHARE_FOR_RESULTS = 60.0, 0.1
"""A longer run shows each finished replicate while it goes on; from the second time on in at most this share of it."""


class Finished(NamedTuple):
    """A run that has ended: what was done, and what its results folder says."""

    plan: Plan
    outcome: Outcome
    results: StudyResults
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
    executor: Executor | None = None,
    only: Mapping[str, Sequence[str]] | None = None,
    replace_results: bool = False,
    then: Callable[[StudyResults], object] | None = None,
    isolate: bool = False,
    command: Sequence[str] = (),
) -> Finished:
    """Answer a study: only what the store lacks is computed.  Failures of parts are in the outcome, not raised.

    With ``isolate``, the work of plugins is done in a process of its own, which may die without ending this one.
    ``jobs`` processes work at once, or an ``executor`` does the work its own way; ``only`` does the cells of these axes
    and leaves the records of the others.  ``then`` makes what else belongs into the results folder, before plugins hear
    that the run is over.  ``command`` is what started it, for ``run.json``.
    """
    started = time.perf_counter()
    with isolated():
        whole = plan(study)
    wanted = _only(whole, study, only) if only else whole
    _check_before_work(study, wanted, store)
    outcome, own = Outcome(), watcher or Watcher()
    followers = Followers(study, wanted, store, folder, own, outcome)
    results_folder = RunFolder(
        folder, study, replace=replace_results, waits=own.warned, mended=own.damaged, lost=followers.warn
    )
    worker = Worker(store, study.registry)
    results_folder.claim(finished_run(study.suite, whole, worker, outcome))
    work = _Work(study, whole, wanted, worker, followers, results_folder, command, started, then)
    _warn_of_missing_locks(store, followers)
    # before anything is asked of the store: `Store.announce` says why
    with store.announce(study.suite.name, whole.stages), followers.until_finished(results_folder.write_warnings):
        followers.started()
        finished = work.answer(lambda: _runner(work, executor or LocalExecutor(jobs=jobs), isolate))
        followers.results = finished.results
    return finished


def _check_before_work(study: Study, wanted: Plan, store: Store) -> None:
    """Raises `FairlError` for the first mistake that can be seen before the first minute's work."""
    todo = missing(wanted, store)
    with isolated():
        check_parts(study, (stage.parts for stage in todo))
        checked_sizes(study, wanted, store, {stage.key for stage in todo if stage.kind == "split"})


def _warn_of_missing_locks(store: Store, followers: Followers) -> None:
    if not store.has_locks:
        followers.warn(
            f"the store {store.root} is on a file system that has no locks: files stand for them, and two machines may "
            "do one stage twice"
        )


@dataclass
class _Work:
    """One run of a study, from its plan to its results folder."""

    study: Study
    whole: Plan
    wanted: Plan  # the part of it that was asked for
    worker: Worker
    followers: Followers
    folder: RunFolder
    command: Sequence[str]  # what started it
    started: float
    then: Callable[[StudyResults], object] | None

    @property
    def outcome(self) -> Outcome:
        """What was done so far, and what failed."""
        return self.followers.outcome

    @property
    def watcher(self) -> Watcher:
        """Whoever is called with the progress, the plugins that follow the run among them."""
        return self.followers.watcher()

    def answer(self, start: Callable[[], JobRunner]) -> Finished:
        """Do what is missing and write the results; what is found damaged on the way is made again."""
        store = self.worker.store
        check_changed(self.whole, store, self.watcher, self.outcome)
        while True:
            self._execute(start())
            try:
                return self._write_results()
            except DamagedArtefact as error:
                put_aside(error, store, self.watcher, self.outcome)

    def _execute(self, runner: JobRunner) -> None:
        try:
            execute(self.wanted, self.worker.store, runner, self._showing_replicates(), self.outcome)
        except BaseException:  # whatever ends the work, what is finished can be read
            with suppress(StoreError, ResultsError):
                self._write_interrupted()
            raise

    def _showing_replicates(self) -> Watcher:
        """Return the watcher, which also writes and tells what is finished when a whole replicate is."""
        watcher = self.watcher
        replicates = Replicates(self.wanted, self.worker.store, self.outcome)
        due, shown = time.perf_counter() + SECONDS_TO_FIRST_RESULTS, 0

        def finished(job: Job, failures: Sequence[str]) -> None:
            nonlocal due, shown
            watcher.finished(job, failures)
            done, began = replicates.finished(), time.perf_counter()
            if began >= due and shown < len(done) < len(replicates.lacks):
                self._show(done, len(replicates.lacks))
                shown, now = len(done), time.perf_counter()
                due = now + max(SECONDS_TO_FIRST_RESULTS, (now - began) / SHARE_FOR_RESULTS)

        return replace(watcher, finished=finished)

    def _show(self, done: Sequence[int], every: int) -> None:
        """Write what is finished, as after an interruption, and tell it; what cannot be read is left to the end."""
        with suppress(FairlError, OSError), self.folder.held():
            results = self._written(None if self._all_is_replaced else self.wanted)
            tables = self._judge(results)
            if self.then is not None:
                self.then(results)
            are, which = "is" if len(done) == 1 else "are", ", ".join(map(str, done))
            told = f"{len(done)} of {every} replicates {are} finished ({which}) after {self._seconds() / 60:.0f} min"
            self.watcher.told("\n\n".join([f"{told}; see {self.folder.folder}", *map(str, tables[:1])]) + "\n")

    @property
    def _all_is_replaced(self) -> bool:
        """Whether the folder of another suite is overwritten, and nothing of it stays."""
        return self.folder.replace and self.wanted is self.whole

    def _write_results(self) -> Finished:
        """Write the results folder and all that is judged from it."""
        with self.folder.held():
            results = self._written(None if self.wanted is self.whole else self.wanted)
            tables = self._judge(results)
            if self.then is not None:
                self.then(results)
            self._warn_of_views(results)
        return Finished(self.wanted, self.outcome, results, tables, self.folder.folder, self._seconds())

    def _write_interrupted(self) -> None:
        """Write what is finished, and nothing of what was not reached; nobody who interrupts waits for statistics."""
        with self.folder.held():
            results = self._written(None if self._all_is_replaced else self.wanted)
            shown = results if results.is_judged else results.unjudged()
            self._judge(shown)
            self._warn_of_views(shown)

    def _written(self, part: Plan | None) -> StudyResults:
        """What finished stages say, written; ``part`` is the part of the plan that it is asked of, where not of all."""
        finished = finished_run(self.study.suite, self.whole, self.worker, self.outcome, part)
        for reason in finished.unsaved:
            self._warn_once(reason)
        return self.folder.write(finished, self.command, self._seconds())

    def _judge(self, results: StudyResults) -> list[Table]:
        """The tables of results, written with the statistics and verdicts that they show."""
        made = list(results.tables.values())
        self.folder.finish(results, rendered_files(made))
        return made

    def _warn_of_views(self, results: StudyResults) -> None:
        """Say and note which tables, figures and panels of plugins could not be shown."""
        for warning in results.warnings:
            self._warn_once(warning)
        if results.warnings:
            self.folder.write_warnings(self.outcome.warnings)

    def _warn_once(self, warning: str) -> None:
        """Say and note a warning: results that are written several times have the same ones."""
        if warning not in self.outcome.warnings:
            self.followers.warn(warning)

    def _seconds(self) -> float:
        return time.perf_counter() - self.started


def _runner(work: _Work, executor: Executor, isolate: bool) -> JobRunner:
    """The executor at work; where nothing is missing, this process: what is finished needs no cluster."""
    worker = work.worker
    todo = missing(work.wanted, worker.store)
    foreign = isolate and bool(worker.registry.foreign(stage.parts for stage in todo))
    apart = foreign or limited(work.wanted.stages.values())
    store, drop_ins, moved = worker.store.place, worker.registry.drop_ins, work.watcher.moved
    workplace = Workplace(store, drop_ins, lambda job: perform(job, worker, moved), moved, apart)
    return (executor if todo else LocalExecutor()).start(workplace)


def _only(whole: Plan, study: Study, only: Mapping[str, Sequence[str]]) -> Plan:
    """The cells wanted.  Raises `FairlError` for a value that no cell has, and where no cell has all of them."""
    for axis, values in only.items():
        known = {str(getattr(cell, axis)) for cell in whole.cells}
        if axis == "seed":  # a cell without one has any seed of its suite
            known = {str(seed) for suite in study.variants.values() for seed in suite.seeds}
        for value in values:
            if value not in known:
                raise FairlError(f"only: {axis} {value!r} is unknown; {suggest(value, known)}")
    wanted = whole.only(only)
    if not wanted.cells:
        named = ", ".join(f"{axis} {' or '.join(map(repr, values))}" for axis, values in only.items())
        raise FairlError(f"only: no cell has all of {named}")
    return wanted
