"""Doing what is missing: jobs as soon as their inputs are there, failures as data, damaged artefacts made again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, MutableSequence, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fairl_bench.engine.plan import Plan
from fairl_bench.engine.stages.known import STAGE_KINDS
from fairl_bench.errors import DamagedArtefact, StoreError
from fairl_bench.executor import Attempt, Job, JobRunner
from fairl_bench.stage import Stage
from fairl_bench.store.store import Store

_ORDER = {name: number for number, name in enumerate(STAGE_KINDS)}

TRIES = 3
"""How often one artefact is made again because it was damaged."""


@dataclass
class Outcome:
    """What became of a plan's stages: how many were done, and why the others were not."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # key -> title and reason
    logs: dict[str, str] = field(default_factory=dict)  # key -> traceback
    skipped: dict[str, str] = field(default_factory=dict)  # key -> the reason of what it waits for
    damaged: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)  # of plugins that follow the run
    attempts: list[Attempt] = field(default_factory=list)  # those that ended with their process

    def lost(self) -> dict[str, str]:
        """The reason of every stage that will not be done."""
        return {**self.failed, **self.skipped}


@dataclass(frozen=True)
class Watcher:
    """Who is told of the work: how far the whole is, how far a job is, what it came to."""

    started: Callable[[Job, int, int], None] = lambda job, done, total: None
    moved: Callable[[str, float, str], None] = lambda key, share, note: None
    finished: Callable[[Job, Sequence[str]], None] = lambda job, failures: None
    damaged: Callable[[str], None] = lambda message: None
    warned: Callable[[str], None] = lambda message: None


def missing(plan: Plan, store: Store) -> list[Stage]:
    """The stages to do, inputs first: those wanted and not finished, and whatever these need that is not."""
    needed: set[str] = set()
    waiting = [key for key in plan.wanted() if not store.has(key)]
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            waiting += [source for source in plan.stages[key].inputs.values() if not store.has(source)]
    return [stage for key, stage in plan.stages.items() if key in needed]


def jobs(stages: Sequence[Stage], slots: int = 1) -> list[Job]:
    """Kind by kind, inputs first; stages that stack are one job, or one for each of ``slots`` workers."""
    stacks: dict[Hashable, list[Stage]] = {}
    for stage in stages:
        stacks.setdefault(stage.key if stage.stack is None else stage.stack, []).append(stage)
    parts = (stack[i::slots] for stack in stacks.values() for i in range(min(slots, len(stack))))
    return sorted(parts, key=lambda job: _ORDER[job[0].kind])


def execute(plan: Plan, store: Store, runner: JobRunner, watcher: Watcher, outcome: Outcome) -> None:
    """Do every missing stage and note it in ``outcome``: what fails with its reason, and what is skipped for it.

    A damaged input is set aside and made again.  Raises `StoreError` where nothing can be kept at all.
    """
    try:
        while damaged := _once(plan, store, runner, watcher, outcome):
            for error in damaged:
                put_aside(error, store, watcher, outcome)
    except BaseException:
        runner.close(at_once=True)
        with suppress(StoreError):  # what ended the work is told
            store.settle()
        raise
    runner.close(at_once=False)
    store.settle()


def put_aside(error: DamagedArtefact, store: Store, watcher: Watcher, outcome: Outcome) -> None:
    """Set a damaged artefact aside, so that it is made again.  Raises `StoreError` for one that is damaged each time.

    What memory or a disk spoils as fast as it is written would be made for ever.
    """
    if outcome.damaged.count(error.key) >= TRIES:
        raise StoreError(
            f"{error}, and was so each of the {TRIES} times that it was made again; check the disk and the memory of "
            "this machine, or name another folder with --store"
        ) from error
    outcome.damaged.append(error.key)
    watcher.damaged(f"{error}; moved to {store.set_aside(error.key)} and made again")


def check_changed(plan: Plan, store: Store, watcher: Watcher, outcome: Outcome) -> None:
    """Set aside what was spoiled after it had been written, also what this run will not read."""
    for key in plan.stages:
        if store.changed(key):
            try:
                store.confirm(key)
            except DamagedArtefact as error:
                put_aside(error, store, watcher, outcome)


def _once(plan: Plan, store: Store, runner: JobRunner, watcher: Watcher, outcome: Outcome) -> list[DamagedArtefact]:
    """Do all that can be done; what was found damaged, once each."""
    lost = outcome.lost()
    waiting = deque(jobs([stage for stage in missing(plan, store) if stage.key not in lost], runner.slots))
    unfinished = {stage.key for job in waiting for stage in job}
    readers = _readers(waiting)
    total, running = len(waiting), 0
    damaged: dict[str, DamagedArtefact] = {}
    done = set(outcome.done)
    while waiting or running:
        ready = _ready(waiting, unfinished, outcome.skipped, runner.slots - running)
        for number, job in enumerate(ready, total - len(waiting) - len(ready)):
            watcher.started(job, number, total)
            runner.submit(job)
            running += 1
        if not running:  # what is left needs something damaged
            break
        job, report = runner.next()
        running -= 1
        if report.broken_store:
            raise report.broken_store
        unfinished -= set(report.done)
        outcome.done += [key for key in report.done if key not in done]  # what was damaged is done twice
        done.update(report.done)
        outcome.attempts += report.lost
        if report.damaged:
            damaged.setdefault(report.damaged.key, report.damaged)
        for key, (reason, log) in report.failed.items():
            outcome.failed[key] = f"{plan.stages[key].title}: {reason}"
            outcome.logs[key] = log
        watcher.finished(job, [outcome.failed[key] for key in report.failed])
        _skip(report.failed, readers, outcome)
    return list(damaged.values())


def _ready(waiting: MutableSequence[Job], unfinished: set[str], skipped: Container[str], slots: int) -> list[Job]:
    """Take the first jobs that need nothing unfinished, less the stages that are skipped."""
    found: list[Job] = []
    at = 0
    while at < len(waiting) and len(found) < slots:
        job = [stage for stage in waiting[at] if stage.key not in skipped]
        if any(key in unfinished for stage in job for key in stage.inputs.values()):
            at += 1
            continue
        del waiting[at]
        if job:
            found.append(job)
    return found


def _readers(waiting: Iterable[Job]) -> dict[str, list[str]]:
    """By the key of an input, the stages that read it."""
    found: dict[str, list[str]] = {}
    for stage in (stage for job in waiting for stage in job):
        for key in stage.inputs.values():
            found.setdefault(key, []).append(stage.key)
    return found


def _skip(failed: Iterable[str], readers: Mapping[str, Sequence[str]], outcome: Outcome) -> None:
    """Skip whatever reads what failed, however far down, with the reason of the failure."""
    lost = [(reader, outcome.failed[key]) for key in failed for reader in readers.get(key, ())]
    while lost:  # each stage once: a thousand failures cost no more than a thousand stages
        key, reason = lost.pop()
        if key not in outcome.skipped:
            outcome.skipped[key] = reason
            lost += [(reader, reason) for reader in readers.get(key, ())]
