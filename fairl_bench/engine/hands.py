"""Who does the jobs: this process, or others with one torch thread each.

Both are told jobs and tell what became of each; neither knows of plans.  Specs go to the workers, never components: a
fresh process could not unpickle a drop-in's class.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fairl_bench.engine.plan import Stage
from fairl_bench.engine.registry import Registry
from fairl_bench.engine.stages import Worker
from fairl_bench.engine.store import open_store
from fairl_bench.errors import DamagedArtefact, FairlError, StoreError
from fairl_bench.progress import listening

Job = Sequence[Stage]
Moved = Callable[[str, float, str], None]  # key of a job's first stage, share done, note


@dataclass
class Report:
    """What became of a job: its finished stages, the reason and log of each failed one, or a damaged input."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> reason, traceback
    damaged: DamagedArtefact | None = None
    broken_store: StoreError | None = None

    def add(self, other: Report) -> None:
        """Take in what became of another part of the same job."""
        self.done += other.done
        self.failed |= other.failed
        self.damaged = self.damaged or other.damaged
        self.broken_store = self.broken_store or other.broken_store


class Hands(Protocol):
    """What does jobs."""

    slots: int

    def submit(self, job: Job) -> None:
        """Take a job; there are at most `slots` at a time."""

    def next(self) -> tuple[Job, Report]:
        """Wait for a job that is finished."""

    def close(self, *, at_once: bool) -> None:
        """Let go of the workers; ``at_once`` does not wait for what they are doing."""


def perform(job: Job, worker: Worker, moved: Moved) -> Report:
    """Do one job.  Where one of many stages spoils a stack, each is done by itself, and only that one fails."""
    report = Report()
    try:
        with listening(lambda share, note: moved(job[0].key, share, note)):
            _locked(job, worker)
        report.done += [stage.key for stage in job]
    except DamagedArtefact as error:
        report.damaged = error
    except StoreError as error:
        report.broken_store = error
    except (Exception, SystemExit) as error:  # a part that calls sys.exit ends itself, not the run
        if len(job) == 1:
            reason = str(error) if isinstance(error, FairlError) else f"{type(error).__name__}: {error}"
            report.failed[job[0].key] = (reason.replace("\n", " "), traceback.format_exc())
        else:
            for stage in job:
                report.add(perform([stage], worker, moved))
    return report


def _locked(job: Job, worker: Worker) -> None:
    """Do what another process has not done meanwhile, under the lock of each stage (in key order: no deadlock)."""
    with ExitStack() as locks:
        for key in sorted(stage.key for stage in job):
            locks.enter_context(worker.store.lock(key))
        left = [stage for stage in job if not worker.store.has(stage.key)]
        if left:
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


class Pool:
    """Does jobs in up to ``slots`` processes, each at the end of a pipe of its own.

    A process that dies takes no other job along.  The stages of its own are done again, each by itself and with no
    other process (the memory may not have been enough for all); only one that ends its process again fails.
    """

    def __init__(self, slots: int, store: str, drop_ins: Sequence[Path], moved: Moved) -> None:
        self.slots, self.moved = slots, moved
        self.arguments = (store, tuple(drop_ins))
        self.errands: deque[_Errand] = deque()  # taken and not begun
        self.processes: list[_Process] = []
        self.busy: dict[Connection, tuple[_Process, _Errand]] = {}

    def submit(self, job: Job) -> None:
        """Send the job's specs to a worker."""
        self.errands.append(_Errand(job, [job]))
        self._deal()

    def next(self) -> tuple[Job, Report]:
        """Wait for a job that is finished.  Raises `FairlError` where no process can be made a worker."""
        while True:
            self._deal()
            for end in wait(list(self.busy)):
                assert isinstance(end, Connection)
                if (errand := self._heard(end)) and not errand.left:
                    return errand.job, errand.report

    def close(self, *, at_once: bool) -> None:
        """End the workers; none is left when this returns."""
        _end(self.processes, at_once=at_once)
        self.processes, self.busy = [], {}

    def _deal(self) -> None:
        """Begin what can be begun; a job whose process died is first, and alone."""
        alone = any(errand.again for _, errand in self.busy.values())
        while self.errands and len(self.busy) < self.slots and not alone:
            errand = self.errands[0]
            if alone := errand.again:
                if self.busy:
                    return
                _end(self.processes[1:])
                del self.processes[1:]
            process = next((one for one in self.processes if one.end not in self.busy), None) or self._start()
            self.busy[process.end] = (process, self.errands.popleft())
            with suppress(OSError):  # it has died: its end of the pipe tells
                process.end.send([replace(stage, stack=None) for stage in errand.left[0]])

    def _start(self) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, *self.arguments))
        with _sigint_held():
            process.start()
            self.processes.append(_Process(process, ours))
        theirs.close()
        return self.processes[-1]

    def _heard(self, end: Connection) -> _Errand | None:
        """Take one message; the errand that it ends a part of."""
        process, errand = self.busy[end]
        try:
            message = end.recv()
        except (EOFError, OSError):
            del self.busy[end]
            self._died(process, errand)
            return errand
        if isinstance(message, Report):
            del self.busy[end]
            errand.report.add(message)
            errand.left.pop(0)
            if errand.left:
                self.errands.appendleft(errand)
            return errand
        if isinstance(message, _Moved):
            self.moved(errand.job[0].key, *message)
        elif message:
            raise FairlError(f"no worker process can begin: {message}")
        process.began = True
        return None

    def _died(self, process: _Process, errand: _Errand) -> None:
        self.processes.remove(process)
        (ending,) = _end([process])
        if not process.began:
            raise FairlError(
                f"a worker process ended before it could begin ({ending}), what it said is above; run with --jobs 1, "
                "and in a script call run() below: if __name__ == '__main__'"
            )
        part = errand.left.pop(0)
        if errand.again:
            reason = f"its worker process ended twice, the second time with no other beside it ({ending})"
            errand.report.failed[part[0].key] = (reason, "")
        else:
            errand.again, errand.left = True, [[stage] for stage in part]
        if errand.left:
            self.errands.appendleft(errand)


@dataclass
class _Errand:
    """A job on its way: what is left of it, and what came of the rest."""

    job: Job
    left: list[Job]
    report: Report = field(default_factory=Report)
    again: bool = False


@dataclass(eq=False)
class _Process:
    process: Any
    end: Connection
    began: bool = False


class _Moved(NamedTuple):
    share: float
    note: str


def _work(end: Connection, store: str, drop_ins: Sequence[Path]) -> None:
    """Be a worker: say that it begins (or why not), then do jobs until none is sent or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    try:
        worker = Worker(open_store(store), Registry(drop_ins))
    except FairlError as error:
        end.send(str(error))
        return
    end.send("")
    with suppress(EOFError, OSError):
        while (job := end.recv()) is not None:
            end.send(perform(job, worker, lambda key, share, note: end.send(_Moved(share, note))))
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()  # what a part asked for, and multiprocessing: semaphores are handed back
    os._exit(0)  # all is kept; torch takes seconds to take itself apart


def _end(processes: Sequence[_Process], *, at_once: bool = False) -> list[str]:
    """End processes, by force those that do not go; how each ended."""
    for one in processes:
        with suppress(OSError):
            one.process.terminate() if at_once else one.end.send(None)
    until = time.monotonic() + _PATIENCE
    for one in processes:
        one.process.join(max(0.0, until - time.monotonic()))
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        one.end.close()
    return [_ending(one.process.exitcode) for one in processes]


_PATIENCE = 3.0  # seconds that processes have to go by themselves


def _ending(code: int) -> str:
    """An exit code in words.

    >>> _ending(9), _ending(-11)
    ('exit code 9', 'signal SIGSEGV')
    """
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"signal {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


@contextmanager
def _sigint_held() -> Iterator[None]:
    """Ctrl-C waits until the end of this, and a process that starts here is born deaf to it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # or it is started inside, and lets Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
