"""Doing what is missing: jobs as soon as their inputs are there, failures as data, damaged artefacts made again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from fairl_bench.engine.hands import Attempt, Hands, Job
from fairl_bench.engine.plan import Plan, Stage
from fairl_bench.engine.store import Store
from fairl_bench.errors import DamagedArtefact

_ORDER = (
    *("lm", "completions-shard", "completions", "examples", "split"),
    *("embeddings-shard", "embeddings", "reward", "scores", "measures"),
)


@dataclass
class Outcome:
    """What became of a plan's stages: how many were done, and why the others were not."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # key -> title and reason
    logs: dict[str, str] = field(default_factory=dict)  # key -> traceback
    skipped: dict[str, str] = field(default_factory=dict)  # key -> the reason of what it waits for
    damaged: list[str] = field(default_factory=list)
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
    return sorted(parts, key=lambda job: _ORDER.index(job[0].kind))


def execute(plan: Plan, store: Store, hands: Hands, watcher: Watcher, outcome: Outcome) -> None:
    """Do every missing stage and note it in ``outcome``: what fails with its reason, and what is skipped for it.

    A damaged input is set aside and made again.  Raises `StoreError` where nothing can be kept at all.
    """
    try:
        while damaged := _once(plan, store, hands, watcher, outcome):
            for error in damaged:
                outcome.damaged.append(error.key)
                watcher.damaged(f"{error}; moved to {store.set_aside(error.key)} and made again")
    except BaseException:
        hands.close(at_once=True)
        raise
    hands.close(at_once=False)


def _once(plan: Plan, store: Store, hands: Hands, watcher: Watcher, outcome: Outcome) -> list[DamagedArtefact]:
    """Do all that can be done; what was found damaged, once each."""
    lost = outcome.lost()
    waiting = jobs([stage for stage in missing(plan, store) if stage.key not in lost], hands.slots)
    unfinished = {stage.key for job in waiting for stage in job}
    total, running = len(waiting), 0
    damaged: dict[str, DamagedArtefact] = {}
    while waiting or running:
        for job in _ready(waiting, unfinished, hands.slots - running):
            waiting.remove(job)
            watcher.started(job, total - len(waiting) - 1, total)
            hands.submit(job)
            running += 1
        if not running:  # what is left needs something damaged
            break
        job, report = hands.next()
        running -= 1
        if report.broken_store:
            raise report.broken_store
        unfinished -= set(report.done)
        outcome.done += report.done
        outcome.attempts += report.lost
        if report.damaged:
            damaged.setdefault(report.damaged.key, report.damaged)
        for key, (reason, log) in report.failed.items():
            outcome.failed[key] = f"{plan.stages[key].title}: {reason}"
            outcome.logs[key] = log
        watcher.finished(job, [outcome.failed[key] for key in report.failed])
        if report.failed:
            waiting = _without_lost(waiting, outcome)
    return list(damaged.values())


def _ready(waiting: Sequence[Job], unfinished: set[str], slots: int) -> list[Job]:
    """The first jobs that need nothing unfinished."""
    found: list[Job] = []
    for job in waiting:
        if len(found) == slots:
            break
        if all(key not in unfinished for stage in job for key in stage.inputs.values()):
            found.append(job)
    return found


def _without_lost(waiting: Sequence[Job], outcome: Outcome) -> list[Job]:
    """The jobs that can still be done; the others' stages are skipped, with the reason of what they need."""
    left: list[Job] = []
    for job in waiting:  # inputs come first, so one pass sees every consequence
        lost = outcome.lost()
        blocked = {stage.key: lost[key] for stage in job for key in stage.inputs.values() if key in lost}
        outcome.skipped.update(blocked)
        if ready := [stage for stage in job if stage.key not in blocked]:
            left.append(ready)
    return left
