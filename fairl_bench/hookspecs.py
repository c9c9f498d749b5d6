"""The hooks: one per kind, which registers parts, and three that follow the life of a run.

A hook of a kind gets ``register(name, class_or_path)`` and calls it once for every part.  A path
``"package.module:Class"`` is imported only when a suite uses the part.

A hook of a run's life gets one frozen value.  It is called in the process that started the run, also where other
processes do the work; plugins are called in the order of their registration: installed ones by name, then drop-ins by
place.  What the hook returns is ignored.  A hook that raises is reported once, as a warning, and not called again in
this run; neither the numbers nor the exit code change.  The work waits while a hook runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from fairl_bench.component import Component

if TYPE_CHECKING:
    from fairl_bench.material import Material

hookspec = pluggy.HookspecMarker("fairl_bench")
hookimpl = pluggy.HookimplMarker("fairl_bench")


class Register(Protocol):
    """What a hook calls: a name, and a class or ``"package.module:Class"``."""

    def __call__(self, name: str, part: type[Component] | str, /, *, role: str = "") -> None:
        """Register one part; a ``role`` marks the part that the engine itself uses for something."""


@hookspec
def fairl_sources(register: Register) -> None:
    """Register where preference pairs come from."""


@hookspec
def fairl_testsets(register: Register) -> None:
    """Register texts with a known truth."""


@hookspec
def fairl_prompts(register: Register) -> None:
    """Register texts for a language model to go on from."""


@hookspec
def fairl_lms(register: Register) -> None:
    """Register language models, aligned ones too."""


@hookspec
def fairl_judges(register: Register) -> None:
    """Register ground-truth scorers of a text."""


@hookspec
def fairl_encoders(register: Register) -> None:
    """Register maps from texts to frozen embeddings."""


@hookspec
def fairl_methods(register: Register) -> None:
    """Register IRL algorithms."""


@hookspec
def fairl_detectors(register: Register) -> None:
    """Register rules that say which pairs are failures."""


@hookspec
def fairl_schedules(register: Register) -> None:
    """Register numbers that change with the rounds of a training."""


@hookspec
def fairl_evaluators(register: Register) -> None:
    """Register what turns scores and truths into numbers."""


@hookspec
def fairl_tables(register: Register) -> None:
    """Register tables of a report, by the name that a suite gives them under ``report:``."""


@hookspec
def fairl_figures(register: Register) -> None:
    """Register figures of a report."""


@hookspec
def fairl_panels(register: Register) -> None:
    """Register sections of the page ``report.html``."""


@hookspec
def fairl_executors(register: Register) -> None:
    """Register what does the work of a run, by the name that ``--executor`` takes."""


@dataclass(frozen=True)
class RunStarted:
    """A run that is about to do its first stage."""

    suite: str
    settings: Mapping[str, Any]  # the suite as resolved, every default written out
    folder: Path  # of the results; the same in all values of one run
    cells: int
    stages: int  # in the plan
    missing: int  # of these, what the store lacks


@dataclass(frozen=True)
class StageFinished:
    """A stage that was done, or that failed.  Stages that were finished before or are skipped are not reported."""

    folder: Path
    kind: str  # lm, completions, examples, split, embeddings, reward, scores, measures
    key: str
    title: str
    seconds: float  # of its own work; of a failure, since its job began
    facts: Mapping[str, Any]  # what is noted about its work; empty for a failure
    failure: str = ""  # the reason; empty where it was done


@dataclass(frozen=True)
class RunFinished:
    """A run that is over, its results folder written."""

    suite: str
    folder: Path
    results: Material | None  # its numbers, tables and account; None where it was interrupted
    stages: int  # in the plan
    done: int  # stages that this run did
    failed: int
    skipped: int  # for a failure of what they need
    damaged: int  # artefacts set aside and made again
    seconds: float
    interruption: str = ""  # what ended it early; empty where it was not interrupted


@hookspec
def fairl_run_started(run: RunStarted) -> None:
    """Called once when a run begins, before its first stage, also where nothing is missing.

    It is not called for a suite or a results folder that is refused.
    """


@hookspec
def fairl_stage_finished(stage: StageFinished) -> None:
    """Called for each stage that was done or failed, in the order in which they ended."""


@hookspec
def fairl_run_finished(run: RunFinished) -> None:
    """Called once when a run is over and its results folder is written, also where it failed or was interrupted."""
