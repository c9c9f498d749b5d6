"""The kind of part that does the work of a run, what it is given, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from fairl_bench.component import Component
from fairl_bench.errors import DamagedArtefact, StoreError
from fairl_bench.values.stage import Stage

Job = Sequence[Stage]
Moved = Callable[[str, float, str], None]  # key of a job's first stage, share done, note


class Attempt(NamedTuple):
    """An attempt at a stage that ended with its process instead of an answer."""

    stage: str  # key
    host: str
    pid: int
    why: str


@dataclass
class JobReport:
    """The outcome of a job: its finished stages, the reason and log of each failed one, or a damaged input."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)  # key -> reason, traceback
    damaged: DamagedArtefact | None = None
    broken_store: StoreError | None = None
    lost: list[Attempt] = field(default_factory=list)

    def add(self, other: JobReport) -> None:
        """Add the outcome of another part of the same job."""
        self.done += other.done
        self.failed |= other.failed
        self.damaged = self.damaged or other.damaged
        self.broken_store = self.broken_store or other.broken_store
        self.lost += other.lost


class JobRunner(Protocol):
    """An executor at work: it takes jobs and reports their outcomes."""

    @property
    def slots(self) -> int:
        """How many jobs it takes at a time; where machines come and go, as many as there is room for now."""

    def submit(self, job: Job) -> None:
        """Take a job."""

    def next(self) -> tuple[Job, JobReport]:
        """Wait for a job that is finished."""

    def close(self, *, at_once: bool) -> None:
        """End the workers; with ``at_once``, without waiting for their present work."""


class Workplace(NamedTuple):
    """What an executor is given of a run; all but ``perform`` and ``moved`` can go to another process."""

    store: str  # the place of finished work, which every process opens for itself
    drop_ins: tuple[Path, ...]  # the plugin files of the suite
    perform: Callable[[Job], JobReport]  # does a job in this process
    moved: Moved  # is called with the progress of a job
    apart: bool = False  # a plugin may end the process that does its work, or a limit has to


class Executor(Component, ABC):
    """What does the work of a run: this process, others of this machine, or other machines.

    It is named on the command line, ``--executor NAME``; a field ``jobs`` is set by ``--jobs``, and a field ``address``
    by ``--address``.  From Python, ``executor={"use": NAME, ...}`` sets every field.
    """

    kind = "executor"

    @abstractmethod
    def start(self, workplace: Workplace) -> JobRunner:
        """Begin to take jobs."""
