"""The executor of several processes on this machine, one torch thread each; they may die, and are ended at limits."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from fairl_bench.engine import resources
from fairl_bench.engine.executors.here import perform
from fairl_bench.engine.executors.parent import end_with_parent
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import FairlError
from fairl_bench.executor import Attempt, Job, JobReport, Moved
from fairl_bench.store.place import open_store
from fairl_bench.suite.registry import Registry


class Pool:
    """Does jobs in up to ``slots`` processes, each at the end of a pipe of its own.

    A job whose work uses several cores has as many of the slots; one that wants more than there are runs alone.

    A process that dies ends no other job.  Its own stages are done again, each by itself and beside no other process
    (the memory may not have been enough for all); only a stage that ends its process again fails.  A stage that exceeds
    a limit of its resources is ended and fails at once.  A process that a signal ends before it could begin is started
    again, a few times in a row.
    """

    def __init__(self, slots: int, place: str, drop_ins: Sequence[Path], moved: Moved) -> None:
        self.slots, self.moved = slots, moved
        self.arguments = (place, tuple(drop_ins))
        self.waiting: deque[_JobState] = deque()  # not begun yet
        self.processes: list[_Process] = []
        self.busy: dict[Connection, tuple[_Process, _JobState]] = {}
        self.lost_starts = 0  # in a row

    def submit(self, job: Job) -> None:
        """Send the job's specs to a worker."""
        self.waiting.append(_JobState(job, [job]))
        self._begin_jobs()

    def next(self) -> tuple[Job, JobReport]:
        """Wait for a job that is finished.  Raises `FairlError` where no process can be made a worker."""
        while True:
            self._begin_jobs()
            watched = self._end_at_limits()
            for end in wait(list(self.busy), _LOOK if watched else None):
                assert isinstance(end, Connection)
                if (state := self._received(end)) and not state.left:
                    return state.job, state.report

    def close(self, *, at_once: bool) -> None:
        """End the workers; none is left when this returns."""
        _end(self.processes, at_once=at_once)
        self.processes, self.busy = [], {}

    def _begin_jobs(self) -> None:
        """Begin the jobs that can begin; a job whose process died comes first, and alone."""
        alone = any(state.again for _, state in self.busy.values())
        while self.waiting and self._fits(self.waiting[0]) and not alone:
            state = self.waiting[0]
            if alone := state.again:
                if self.busy:
                    return
                _end(self.processes[1:])
                del self.processes[1:]
            process = (
                next((process for process in self.processes if process.end not in self.busy), None) or self._start()
            )
            self.busy[process.end] = (process, self.waiting.popleft())
            with suppress(OSError):  # it has died, which the pipe shows
                process.end.send([replace(stage, stack=None) for stage in state.left[0]])

    def _fits(self, state: _JobState) -> bool:
        """True where enough cores are free for a job, or all are."""
        taken = sum(other.cores for _, other in self.busy.values())
        return not self.busy or taken + state.cores <= self.slots

    def _start(self) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, *self.arguments))
        with _signals_held():
            process.start()
            self.processes.append(_Process(process, ours))
        theirs.close()
        return self.processes[-1]

    def _received(self, end: Connection) -> _JobState | None:
        """Take one message; the job of which it ends a part, if it does."""
        process, state = self.busy[end]
        try:
            message = end.recv()
        except (EOFError, OSError):
            del self.busy[end]
            self._died(process, state)
            return state
        if isinstance(message, JobReport):
            del self.busy[end]
            process.clock = None
            if process.over:  # it was ended in the moment in which it finished
                self.processes.remove(process)
                _end([process])
            state.report.add(message)
            state.left.pop(0)
            if state.left:
                self.waiting.appendleft(state)
            return state
        if isinstance(message, _Moved):
            self.moved(state.job[0].key, *message)
        elif isinstance(message, _Began):
            if resources.limited(state.left[0]):
                process.clock = (time.monotonic(), message.stages)
        elif message:
            raise FairlError(f"no worker process can begin: {message}")
        process.began, self.lost_starts = True, 0
        return None

    def _end_at_limits(self) -> bool:
        """End processes whose work has exceeded a limit; whether any work has a limit."""
        limited = [(end, *both) for end, both in self.busy.items() if both[0].clock]
        for end, process, state in limited:
            assert process.clock is not None
            began, stages = process.clock
            asked = resources.of_job(state.left[0])
            over = resources.exceeded(asked, time.monotonic() - began, process.held(), stages)
            if over and not end.poll():  # work that has ended meanwhile has kept its limit
                process.over = over
                process.process.kill()
        return bool(limited)

    def _died(self, process: _Process, state: _JobState) -> None:
        """Note that a process has died: its stages fail, or are done again."""
        self.processes.remove(process)
        pid = process.process.pid
        (ending,) = _end([process])
        if not process.began:
            self.lost_starts += 1
            if process.process.exitcode < 0 and self.lost_starts < _STARTS:
                self.waiting.appendleft(state)
                return
            raise FairlError(
                f"a worker process ended before it could begin ({ending}), what it said is above; run with --jobs 1, "
                "and in a script call run() below: if __name__ == '__main__'"
            )
        part = state.left.pop(0)
        if state.again or (process.over and len(part) == 1):
            reason = f"its worker process ended twice, the second time with no other beside it ({ending})"
            state.report.failed[part[0].key] = (process.over or reason, "")
        else:
            why = process.over or f"its worker process ended ({ending})"
            state.report.lost += [Attempt(stage.key, platform.node(), pid, why) for stage in part]
            # work that has exceeded a limit harms no other work, so it may run beside others
            state.again, state.left = not process.over, [[stage] for stage in part]
        if state.left:
            self.waiting.appendleft(state)


@dataclass
class _JobState:
    """A job that was taken: the parts that are left, and the outcome of the others."""

    job: Job
    left: list[Job]
    report: JobReport = field(default_factory=JobReport)
    again: bool = False

    @property
    def cores(self) -> int:
        """The cores that its work uses."""
        return resources.cores_of(self.job)


@dataclass(eq=False)
class _Process:
    process: Any
    end: Connection
    began: bool = False
    clock: tuple[float, int] | None = None  # when limited work began, on how many stages
    over: str = ""  # the limit that it was ended for

    def held(self) -> int:
        """The bytes that it holds in memory."""
        import psutil

        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0


class _Moved(NamedTuple):
    share: float
    note: str


class _Began(NamedTuple):
    stages: int


_LOOK = 0.1  # seconds between two looks at work with limits
_STARTS = 3  # processes in a row that a signal may end as they begin (without memory, say)


def _work(end: Connection, place: str, drop_ins: Sequence[Path]) -> None:
    """The work of a process: report that it begins (or why not), then do jobs until none is sent or the parent ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    assert parent.pid is not None
    end_with_parent(parent.pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
    try:
        worker = Worker(open_store(place), Registry(drop_ins))
    except FairlError as error:
        end.send(str(error))
        return
    end.send("")

    def moved(key: str, share: float, note: str) -> None:
        end.send(_Moved(share, note))

    with suppress(EOFError, OSError):
        while (job := end.recv()) is not None:
            began = (lambda stages: end.send(_Began(stages))) if resources.limited(job) else (lambda stages: None)
            end.send(perform(job, worker, moved, began))
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()  # those of parts, and of multiprocessing, which returns semaphores
    os._exit(0)  # all is stored; the normal end of torch takes seconds


def _end(processes: Sequence[_Process], *, at_once: bool = False) -> list[str]:
    """End processes, by force if they do not end themselves; returns how each ended, in words."""
    for process in processes:
        with suppress(OSError):
            process.process.terminate() if at_once else process.end.send(None)
    until = time.monotonic() + _PATIENCE
    for process in processes:
        process.process.join(max(0.0, until - time.monotonic()))
        if process.process.is_alive():
            process.process.kill()
            process.process.join()
        process.end.close()
    return [_ending(process.process.exitcode) for process in processes]


_PATIENCE = 3.0  # seconds that processes have to end by themselves


def _ending(code: int) -> str:
    """An exit code in words.

    >>> _ending(9), _ending(-11)
    ('exit code 9', 'signal SIGSEGV')
    """
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"signal {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


_HELD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the end of this, and a process that starts here is born deaf to them.

    One that was interrupted half started would be nobody's: it would say so in a traceback, and not end with the rest.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # or it is started inside, and lets Ctrl-C through
    came: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    # the mask is the new process's; another thread of this one may take a signal that it holds up here
    handlers = {held: signal.getsignal(held) for held in _HELD if main and callable(signal.getsignal(held))}
    for held in handlers:
        signal.signal(held, lambda number, frame: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for held, handler in handlers.items():
            signal.signal(held, handler)
        for number in came[:1]:
            signal.raise_signal(number)
