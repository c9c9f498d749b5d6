"""Does the missing stages of a plan: each job as soon as its inputs are finished; a failure ends only what needs it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from fairl_bench.engine.plan import Plan
from fairl_bench.engine.stages.known import STAGE_KINDS
from fairl_bench.errors import DamagedArtefact, StoreError
from fairl_bench.executor import Attempt, Job, JobReport, JobRunner
from fairl_bench.store.store import Store
from fairl_bench.values.stage import Stage

_ORDER = {name: number for number, name in enumerate(STAGE_KINDS)}

TRIES = 3
"""The number of times that one artefact is made again because it was damaged."""


@dataclass
class Outcome:
    """The stages of a plan that were done, and the reasons why others were not."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # key -> title and reason
    logs: dict[str, str] = field(default_factory=dict)  # key -> traceback
    skipped: dict[str, str] = field(default_factory=dict)  # key -> why the stage that it needs has failed
    damaged: list[str] = field(default_factory=list)  # keys, once each time
    warnings: list[str] = field(default_factory=list)  # of plugins that follow the run
    attempts: list[Attempt] = field(default_factory=list)  # those that ended with their process

    def lost(self) -> dict[str, str]:
        """The reason of every stage that will not be done, by key."""
        return {**self.failed, **self.skipped}


@dataclass(frozen=True)
class Watcher:
    """Functions that are called as the work goes on.

    A job starts, moves on, is finished; something is damaged; there is a warning; or there are results already.
    """

    started: Callable[[Job, int, int], None] = lambda job, done, total: None
    moved: Callable[[str, float, str], None] = lambda key, share, note: None
    finished: Callable[[Job, Sequence[str]], None] = lambda job, failures: None
    damaged: Callable[[str], None] = lambda message: None
    warned: Callable[[str], None] = lambda message: None
    told: Callable[[str], None] = lambda message: None


def missing(plan: Plan, store: Store) -> list[Stage]:
    """The stages to do, inputs first: wanted stages that are not finished, and unfinished ones that these need."""
    needed: set[str] = set()
    waiting = [key for key in plan.wanted() if not store.has(key)]
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            waiting += [source for source in plan.stages[key].inputs.values() if not store.has(source)]
    return [stage for key, stage in plan.stages.items() if key in needed]


def jobs(stages: Sequence[Stage], slots: int = 1, turns: Mapping[str, int] = MappingProxyType({})) -> list[Job]:
    """The jobs of these stages, turn by turn and there kind by kind.

    Stages that stack are one job, or one for each of ``slots`` workers.
    """
    stacks: dict[Hashable, list[Stage]] = {}
    for stage in stages:
        stacks.setdefault(stage.key if stage.stack is None else stage.stack, []).append(stage)
    parts = (stack[i::slots] for stack in stacks.values() for i in range(min(slots, len(stack))))
    return sorted(parts, key=lambda job: (min(turns.get(stage.key, 0) for stage in job), _ORDER[job[0].kind]))


def execute(plan: Plan, store: Store, runner: JobRunner, watcher: Watcher, outcome: Outcome) -> None:
    """Do every missing stage and note it in ``outcome``: failures with their reasons, and what is skipped for them.

    A damaged input is set aside and made again.  Raises `StoreError` where nothing can be stored at all.
    """
    try:
        while damaged := _Pass(plan, store, runner, watcher, outcome).run():
            for error in damaged:
                put_aside(error, store, watcher, outcome)
    except BaseException:
        runner.close(at_once=True)
        with suppress(StoreError):  # the first error is the one to report
            store.settle()
        raise
    runner.close(at_once=False)
    store.settle()


def put_aside(error: DamagedArtefact, store: Store, watcher: Watcher, outcome: Outcome) -> None:
    """Set a damaged artefact aside, so that it is made again.

    Raises `StoreError` for one that was damaged each time: with a broken disk it would be made again for ever.
    """
    if outcome.damaged.count(error.key) >= TRIES:
        raise StoreError(
            f"{error}, and was so each of the {TRIES} times that it was made again; check the disk and the memory of "
            "this machine, or name another folder with --store"
        ) from error
    outcome.damaged.append(error.key)
    watcher.damaged(f"{error}; moved to {store.set_aside(error.key)} and made again")


def check_changed(plan: Plan, store: Store, watcher: Watcher, outcome: Outcome) -> None:
    """Set aside what was damaged after it had been written, also what this run will not read."""
    for key in plan.stages:
        if store.changed(key):
            try:
                store.confirm(key)
            except DamagedArtefact as error:
                put_aside(error, store, watcher, outcome)


class _Pass:
    """One pass over the missing stages, which does all that can be done without a damaged artefact."""

    def __init__(self, plan: Plan, store: Store, runner: JobRunner, watcher: Watcher, outcome: Outcome) -> None:
        self.plan, self.runner, self.watcher, self.outcome = plan, runner, watcher, outcome
        lost = outcome.lost()
        todo = [stage for stage in missing(plan, store) if stage.key not in lost]
        # what one replicate needs comes before the next one: then its numbers can be read while others are computed
        self.waiting = deque(jobs(todo, runner.slots, plan.turns()))
        self.unfinished = {stage.key for job in self.waiting for stage in job}
        self.readers = _readers(self.waiting)
        self.total, self.running = len(self.waiting), 0
        self.done = set(outcome.done)
        self.damaged: dict[str, DamagedArtefact] = {}

    def run(self) -> list[DamagedArtefact]:
        """Do the jobs, and return the damaged artefacts that were found, once each."""
        while self.waiting or self.running:
            self._begin_ready_jobs()
            if not self.running:  # what is left needs something damaged
                break
            job, report = self.runner.next()
            self.running -= 1
            self._note(job, report)
        return list(self.damaged.values())

    def _begin_ready_jobs(self) -> None:
        """Begin the first jobs whose inputs are finished, as many as the executor takes."""
        ready = self._ready(self.runner.slots - self.running)
        for number, job in enumerate(ready, self.total - len(self.waiting) - len(ready)):
            self.watcher.started(job, number, self.total)
            self.runner.submit(job)
            self.running += 1

    def _ready(self, slots: int) -> list[Job]:
        """Take at most ``slots`` jobs that need nothing unfinished, without their skipped stages."""
        ready: list[Job] = []
        at = 0
        while at < len(self.waiting) and len(ready) < slots:
            job = [stage for stage in self.waiting[at] if stage.key not in self.outcome.skipped]
            if any(key in self.unfinished for stage in job for key in stage.inputs.values()):
                at += 1
                continue
            del self.waiting[at]
            if job:
                ready.append(job)
        return ready

    def _note(self, job: Job, report: JobReport) -> None:
        """Note the end of a job.  Raises `StoreError` where the store is broken."""
        if report.broken_store:
            raise report.broken_store
        outcome = self.outcome
        self.unfinished -= set(report.done)
        outcome.done += [key for key in report.done if key not in self.done]  # what was damaged is done twice
        self.done.update(report.done)
        outcome.attempts += report.lost
        if report.damaged:
            self.damaged.setdefault(report.damaged.key, report.damaged)
        for key, (reason, log) in report.failed.items():
            outcome.failed[key] = f"{self.plan.stages[key].title}: {reason}"
            outcome.logs[key] = log
        self._skip_readers(report.failed)
        self.watcher.finished(job, [outcome.failed[key] for key in report.failed])

    def _skip_readers(self, failed: Iterable[str]) -> None:
        """Skip every stage that needs a failed one, directly or through others, with the reason of the failure."""
        lost = [(reader, self.outcome.failed[key]) for key in failed for reader in self.readers.get(key, ())]
        while lost:  # each stage once: a thousand failures cost no more than a thousand stages
            key, reason = lost.pop()
            if key not in self.outcome.skipped:
                self.outcome.skipped[key] = reason
                lost += [(reader, reason) for reader in self.readers.get(key, ())]


def _readers(waiting: Iterable[Job]) -> Mapping[str, Sequence[str]]:
    """The stages that read an input, by the key of the input."""
    readers: dict[str, list[str]] = {}
    for stage in (stage for job in waiting for stage in job):
        for key in stage.inputs.values():
            readers.setdefault(key, []).append(stage.key)
    return readers
