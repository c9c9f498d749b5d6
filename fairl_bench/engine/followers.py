"""Calls the plugins that follow a run.  An error in one of them is a warning, and never ends the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairl_bench.engine.execute import Outcome, Watcher, missing
from fairl_bench.engine.plan import Plan
from fairl_bench.errors import DamagedArtefact, one_line
from fairl_bench.executor import Job
from fairl_bench.guards.isolation import isolated
from fairl_bench.hookspecs import RunFinished, RunStarted, StageFinished
from fairl_bench.material import Material
from fairl_bench.store.store import Store
from fairl_bench.suite.read import Study
from fairl_bench.values.stage import Stage

STARTED, STAGE, FINISHED = "fairl_run_started", "fairl_stage_finished", "fairl_run_finished"


class Followers:
    """The plugins that follow one run, called in the order of their registration."""

    def __init__(
        self, study: Study, plan: Plan, store: Store, folder: Path, watcher: Watcher, outcome: Outcome
    ) -> None:
        self.suite, self.plan, self.store, self.folder = study.suite, plan, store, folder
        self.own, self.outcome = watcher, outcome
        self.of = {hook: study.registry.followers(hook) for hook in (STARTED, STAGE, FINISHED)}
        self.began: dict[str, float] = {}  # of each running job, by the key of its first stage
        self.results: Material | None = None  # until the run has ended
        self.start = time.perf_counter()

    def watcher(self) -> Watcher:
        """The run's own watcher, which also calls the plugins for each finished stage."""
        if not self.of[STAGE]:
            return self.own
        return replace(self.own, started=self._began, finished=self._ended)

    def started(self) -> None:
        """Call the plugins because the run begins."""
        if self.of[STARTED]:
            lacking = len(missing(self.plan, self.store))
            settings, size = self.suite.shown(), (len(self.plan.cells), len(self.plan.stages))
            self._call(STARTED, run=RunStarted(self.suite.name, settings, self.folder, *size, lacking))

    @contextmanager
    def until_finished(self, keep_warnings: Callable[[Sequence[str]], None]) -> Iterator[None]:
        """Call the plugins once the work inside has ended, or was interrupted.

        ``keep_warnings`` gets all warnings of the run where this last call has led to more of them.
        """
        try:
            yield
        except BaseException as error:
            self._finished(keep_warnings, one_line(error))
            raise
        self._finished(keep_warnings)

    def _finished(self, keep_warnings: Callable[[Sequence[str]], None], interruption: str = "") -> None:
        """Call the plugins because the run has ended."""
        before = len(self.outcome.warnings)
        self._call(FINISHED, run=self._summary(interruption))
        if len(self.outcome.warnings) > before:
            keep_warnings(self.outcome.warnings)

    def _summary(self, interruption: str) -> RunFinished:
        """The summary of a run that plugins get at its end."""
        outcome = self.outcome
        return RunFinished(
            suite=self.suite.name,
            folder=self.folder,
            results=self.results,
            stages=len(self.plan.stages),
            done=len(outcome.done),
            failed=len(outcome.failed),
            skipped=len(outcome.skipped),
            damaged=len(outcome.damaged),
            seconds=time.perf_counter() - self.start,
            interruption=interruption,
        )

    def _began(self, job: Job, done: int, total: int) -> None:
        self.began[job[0].key] = time.perf_counter()
        self.own.started(job, done, total)

    def _ended(self, job: Job, failures: Sequence[str]) -> None:
        self.own.finished(job, failures)
        seconds = time.perf_counter() - self.began.pop(job[0].key)
        for stage in job:
            if (finished := self._stage(stage, seconds)) is not None:
                self._call(STAGE, stage=finished)

    def _stage(self, stage: Stage, seconds: float) -> StageFinished | None:
        """The facts of a stage that plugins get; None where its input was damaged, so that it is still to be done."""
        identity = (self.folder, stage.kind, stage.key, stage.title)
        if (failure := self.outcome.failed.get(stage.key)) is not None:
            return StageFinished(*identity, seconds, {}, failure.removeprefix(f"{stage.title}: "))
        try:
            facts: dict[str, Any] = self.store.manifest(stage.key)["facts"]
        except DamagedArtefact:
            return None
        more = {name: value for name, value in facts.items() if name not in ("title", "seconds")}
        return StageFinished(*identity, facts.get("seconds", seconds), more)

    def _call(self, hook: str, **value: object) -> None:
        """Call a hook of every plugin; one that raises is not called again."""
        for plugin, call in list(self.of[hook]):
            try:
                with isolated(quiet=False):  # a plugin that exits does not end the run
                    call(**value)
            except Exception as error:
                if isinstance(error.__cause__, KeyboardInterrupt):
                    raise error.__cause__ from None
                self.of[hook].remove((plugin, call))
                self.warn(f"plugin {plugin}: {hook} failed and is not called again in this run: {one_line(error)}")

    def warn(self, message: str) -> None:
        """Note a warning and show it."""
        self.outcome.warnings.append(message)
        self.own.warned(message)
