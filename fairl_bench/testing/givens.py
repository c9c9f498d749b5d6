"""What a method under check is given of a planted problem: prompts, likelihoods, folders, where it asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairl_bench.kinds.lm import LM, AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.source import Source
from fairl_bench.testing.planted import Planted
from fairl_bench.testing.planted_models import made, planted_likelihoods, voices
from fairl_bench.values.data import Rows
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.training import Inputs, Preferences, Task


class Problem(NamedTuple):
    """A planted problem as one method is given it."""

    planted: Planted
    likelihoods: Mapping[str, Likelihoods]  # of each row, by role
    upstream: Mapping[str, Any]
    prompts: bool  # whether a score is given prompts
    reads_upstream: bool

    @property
    def task(self) -> Task:
        """The pairs that it learns from."""
        task = self.planted.task
        train, validation = (self._with_likelihoods(pairs) for pairs in (task.train, task.validation))
        return replace(task, train=train, validation=validation, upstream=self.upstream)

    def _with_likelihoods(self, pairs: Preferences) -> Preferences:
        sides = (pairs.preferred, pairs.rejected)
        likelihoods = {role: (one.take(sides[0]), one.take(sides[1])) for role, one in self.likelihoods.items()}
        return replace(pairs, likelihoods=likelihoods)

    @property
    def inputs(self) -> Inputs:
        """All texts."""
        return self.inputs_of(np.arange(len(self.planted.texts)))

    def inputs_of(self, rows: Rows) -> Inputs:
        """The texts of these rows."""

        def of(column: Sequence[str]) -> tuple[str, ...]:
            return tuple(column[row] for row in rows)

        likelihoods = {role: one.take(rows) for role, one in self.likelihoods.items()} if self.reads_upstream else {}
        prompt = of(self.planted.prompts) if self.prompts else ()
        upstream = self.upstream if self.reads_upstream else {}
        return Inputs(of(self.planted.texts), self.planted.vectors[rows], prompt, likelihoods, upstream)

    def with_another(self, role: str) -> Problem:
        """The same with the likelihoods of one role in another order: those of other texts."""
        likelihoods = self.likelihoods[role]
        mixed = likelihoods.take(np.random.default_rng(0).permutation(len(likelihoods)))
        return self._replace(likelihoods={**self.likelihoods, role: mixed})


class Givens:
    """What a method asks for, made once: folders lie in ``room``, and ``upstream`` has what cannot be made here."""

    def __init__(self, method: Method, source: Source, room: Path, upstream: Mapping[str, object]) -> None:
        self.method, self.origin, self.room = method, source.origin(), room
        self.asked = dict(method.upstream())
        self.answers = {
            role: upstream[role] if role in upstream else self._made(role)
            for role, start in self.asked.items()
            if not isinstance(start, AskLikelihoods)
        }
        self._refuse_other(upstream)

    def _made(self, role: str) -> Any:
        """The folder of a language model that it asks for."""
        start = self.asked[role]
        folder = made(start, self.room / f"{list(self.asked).index(role)}") if isinstance(start, LM) else None
        if folder is None:
            raise AssertionError(
                f"upstream asks for {start!r:.60} as {role!r}, which the kit cannot make; give it to "
                f"check_method(..., upstream={{{role!r}: ...}})"
            )
        return folder

    def _refuse_other(self, upstream: Mapping[str, object]) -> None:
        if other := sorted(upstream.keys() - self.answers.keys()):
            raise AssertionError(
                f"check_method was given {other[0]!r}, and the method does not ask for it; leave it out"
            )

    @cached_property
    def models(self) -> dict[str, LM]:
        """The language models that it asks for, itself or for likelihoods, by role."""
        models = {role: start.lm if isinstance(start, AskLikelihoods) else start for role, start in self.asked.items()}
        return {role: model for role, model in models.items() if isinstance(model, LM)}

    def models_of_the_source(self) -> list[str]:
        """The roles of the different models that its pairs come from: all whose likelihoods it asks for."""
        known = [] if self.origin is None else [self.origin.base, self.origin.expert]
        roles: list[str] = []
        for role, model in self.models.items():
            is_one = isinstance(self.asked[role], AskLikelihoods) or model in known
            if is_one and model not in [self.models[other] for other in roles]:
                roles.append(role)
        return roles

    def to(self, planted: Planted) -> Problem:
        """A planted problem with what the method is given of it."""
        asks = {role: start for role, start in self.asked.items() if isinstance(start, AskLikelihoods)}
        voice = voices({role: ask.lm for role, ask in asks.items()}, self.origin)
        likelihoods = {role: planted_likelihoods(planted, ask, voice[role]) for role, ask in asks.items()}
        reads = self.method.reads_upstream
        prompts = self.method.reads_prompts or (reads and bool(asks))
        return Problem(planted, likelihoods, self.answers, prompts, reads)
