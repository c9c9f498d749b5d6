"""The work of one job, and the executor that does it in this process.

Other processes are sent plain data: stages, the place of the store, drop-in files.  Components are not sent, because
a new process could not unpickle the class of a drop-in.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import ExitStack

from fairl_bench.engine.worker import Worker
from fairl_bench.errors import DamagedArtefact, FairlError, StoreError, message_of
from fairl_bench.executor import Job, JobReport, Moved
from fairl_bench.guards.isolation import isolated
from fairl_bench.progress import listening
from fairl_bench.suite.drop_ins import no_loose_imports

Began = Callable[[int], None]  # gets the number of stages when their work begins


def perform(job: Job, worker: Worker, moved: Moved, began: Began = lambda stages: None) -> JobReport:
    """Do one job.  Where a stage of a stack fails, each of its stages is done by itself, and only that one fails."""
    report = JobReport()
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
    """Do the stages that no other process has done meanwhile, under their locks (taken in the order of their keys)."""
    with ExitStack() as locks:
        for key in sorted(stage.key for stage in job):
            locks.enter_context(worker.store.lock(key))
        left = [stage for stage in job if not worker.store.has(stage.key)]
        if left:
            began(len(left))
            # inside the locks: a process that a part forks must not release them
            with isolated(), no_loose_imports(worker.registry.dropped_in(stage.parts for stage in left)):
                worker.perform(left)


class Here:
    """Does each job in this process, when it is waited for."""

    slots = 1

    def __init__(self, perform: Callable[[Job], JobReport]) -> None:
        self.perform = perform
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        """Note the job."""
        self.jobs.append(job)

    def next(self) -> tuple[Job, JobReport]:
        """Do the job noted first."""
        job = self.jobs.pop(0)
        return job, self.perform(job)

    def close(self, *, at_once: bool) -> None:
        """Nothing to let go of."""
