"""The worker: performs stages and keeps their answers in the store."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairl_bench.engine.stages.kind import Answer, StageInputs
from fairl_bench.engine.stages.known import STAGE_KINDS
from fairl_bench.engine.worked_time import WorkedTime
from fairl_bench.errors import Changed
from fairl_bench.guards.isolation import end_forked_copy
from fairl_bench.guards.secrets import hidden_in
from fairl_bench.guards.truncation import ReadLog, log_of_reads
from fairl_bench.progress import following
from fairl_bench.store.store import Store
from fairl_bench.suite.drop_ins import refuse_loose_imports
from fairl_bench.suite.registry import Registry
from fairl_bench.values.stage import Stage


class Worker:
    """Performs stages against one store; keeps the last few inputs in memory."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store, self.registry = store, registry
        self.inputs = StageInputs(store, registry, STAGE_KINDS)
        self.load = self.inputs.load

    def perform(self, job: Sequence[Stage]) -> None:
        """Do the stages of one job (one stage, or rewards that train together) and keep each answer."""
        kind = STAGE_KINDS[job[0].kind]
        try:
            with self.store.store_errors(), self._timed(job) as seconds, log_of_reads() as read:
                for answer in kind.perform(job, self.inputs):  # checkpoints are written by the parts themselves
                    self._keep(answer, seconds(), read)
        except Changed:  # what was loaded is no longer what the store holds
            self.inputs.forget()
            raise

    @contextmanager
    def _timed(self, job: Sequence[Stage]) -> Iterator[Callable[[], float]]:
        """Inside, a function says how long the job has taken; where it has checkpoints, before an interruption too."""
        if not STAGE_KINDS[job[0].kind].checkpoints:
            started = time.perf_counter()
            yield lambda: time.perf_counter() - started
            return
        worked = WorkedTime(self.store.scratch(job[0].key))
        with following(worked.note):
            yield worked.seconds

    def _keep(self, answer: Answer[Any], seconds: float, read: ReadLog) -> None:
        """Write an answer into the store, with the facts of its work."""
        end_forked_copy()
        refuse_loose_imports()
        stage, kind = answer.stage, STAGE_KINDS[answer.stage.kind]
        work = {"seconds": round(seconds, 3), "host": platform.node(), "pid": os.getpid()}
        facts = {"title": stage.title, **work, **answer.facts}
        if texts := read.plain():
            facts["read"] = texts
        self.store.write(stage.key, stage.kind, lambda folder: kind.save(folder, answer.value), hidden_in(facts))
        if kind.checkpoints:
            self.store.clear(stage.key)
