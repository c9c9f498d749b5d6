"""What does jobs: the contract that every executor keeps, the work itself, and the executor of one process.

Each is told jobs and tells what became of them; none knows of plans.  What goes to another process is plain: stages,
the place of the store, drop-in files.  Components are not: a fresh process could not unpickle a drop-in's class.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from fairl_bench.engine.stage import Stage
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import DamagedArtefact, FairlError, StoreError, message_of
from fairl_bench.isolation import isolated
from fairl_bench.progress import listening
from fairl_bench.suite.drop_ins import no_loose_imports

Job = Sequence[Stage]
Moved = Callable[[str, float, str], None]  # key of a job's first stage, share done, note
Began = Callable[[int], None]  # how many stages work begins on: the time to wait for another process is over


class Attempt(NamedTuple):
    """An attempt at a stage that ended with its process instead of an answer."""

    stage: str  # key
    host: str
    pid: int
    why: str


@dataclass
class Report:
    """What became of a job: its finished stages, the reason and log of each failed one, or a damaged input."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> reason, traceback
    damaged: DamagedArtefact | None = None
    broken_store: StoreError | None = None
    lost: list[Attempt] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take in what became of another part of the same job."""
        self.done += other.done
        self.failed |= other.failed
        self.damaged = self.damaged or other.damaged
        self.broken_store = self.broken_store or other.broken_store
        self.lost += other.lost


class Hands(Protocol):
    """What does jobs."""

    @property
    def slots(self) -> int:
        """How many jobs it takes at a time; where machines come and go, as many as there is room for now."""

    def submit(self, job: Job) -> None:
        """Take a job."""

    def next(self) -> tuple[Job, Report]:
        """Wait for a job that is finished."""

    def close(self, *, at_once: bool) -> None:
        """Let go of the workers; ``at_once`` does not wait for what they are doing."""


def perform(job: Job, worker: Worker, moved: Moved, began: Began = lambda stages: None) -> Report:
    """Do one job.  Where one of many stages spoils a stack, each is done by itself, and only that one fails."""
    report = Report()
    try:
        with listening(lambda share, note: moved(job[0].key, share, note)):
            _locked(job, worker, began)
        report.done += [stage.key for stage in job]
    except DamagedArtefact as error:
        report.damaged = error
    except StoreError as error:
        report.broken_store = error
    except Exception as error:
        if len(job) == 1:
            kind = "" if isinstance(error, FairlError) else f"{type(error).__name__}: "
            log = traceback.format_exc().encode("utf-8", "backslashreplace").decode()
            report.failed[job[0].key] = (f"{kind}{message_of(error)}", log)
        else:
            for stage in job:
                report.add(perform([stage], worker, moved, began))
    return report


def _locked(job: Job, worker: Worker, began: Began) -> None:
    """Do what another process has not done meanwhile, under the lock of each stage (in key order: no deadlock)."""
    with ExitStack() as locks:
        for key in sorted(stage.key for stage in job):
            locks.enter_context(worker.store.lock(key))
        left = [stage for stage in job if not worker.store.has(stage.key)]
        if left:
            began(len(left))
            # inside the locks: a child that a part forks must not let go of them
            with isolated(), no_loose_imports(worker.registry.dropped_in(stage.parts for stage in left)):
                worker.perform(left)


class Here:
    """Does each job in this process, when it is waited for."""

    slots = 1

    def __init__(self, worker: Worker, moved: Moved) -> None:
        self.worker, self.moved = worker, moved
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        """Note the job."""
        self.jobs.append(job)

    def next(self) -> tuple[Job, Report]:
        """Do the job noted first."""
        job = self.jobs.pop(0)
        return job, perform(job, self.worker, self.moved)

    def close(self, *, at_once: bool) -> None:
        """Nothing to let go of."""
