"""The hooks: one per kind.  Each gets ``register(name, class_or_path)`` and calls it once for every part.

A path ``"package.module:Class"`` is imported only when a suite uses the part.
"""

from __future__ import annotations

from typing import Protocol

import pluggy

from fairl_bench.component import Component

hookspec = pluggy.HookspecMarker("fairl_bench")
hookimpl = pluggy.HookimplMarker("fairl_bench")


class Register(Protocol):
    """What a hook calls: a name, and a class or ``"package.module:Class"``."""

    def __call__(self, name: str, part: type[Component] | str, /) -> None:
        """Register one part."""


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
