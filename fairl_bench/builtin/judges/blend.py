"""Several objectives as one reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.standard_scale import standard_scale, written_by_base
from fairl_bench.component import Name, Settings
from fairl_bench.errors import DataError, suggest
from fairl_bench.guards.truncation import Tokens
from fairl_bench.kinds.judge import BaseTexts, Judge, Judging
from fairl_bench.kinds.lm import Ask
from fairl_bench.kinds.source import Source
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.truths import Objective, objective_truth


class Blend(Judge):
    """A weighted sum of judges, each scaled to mean 0 and standard deviation 1 on what the base writes.

    Its truth ``gold`` is the sum, good above 0, which is the base's mean; the scaled value of each part is the truth
    ``gold:NAME``, with the labels that the part gives.  As an aligner's reward and as the ``gold`` of the same source
    it takes its scale from the same texts, so that both are the same reward.
    """

    of: dict[Name, Judge] = Field(min_length=1, description="by name, the judges that are its parts")
    weights: dict[Name, float] = Field(description="the weight of each part; a negative one pays for less of it")
    on: Ask | Source | None = Field(
        None,
        description="completions, or pairs whose rejected texts are read, that the parts are scaled on; none: those of "
        "the base of the aligner or source that it is named by",
    )

    @model_validator(mode="after")
    def _weighs_each_part(self) -> Self:
        for name in self.weights:
            if name not in self.of:
                message = f"weighs {name!r}, which is no part of it; {suggest(name, self.of)}"
                raise PydanticCustomError("weights", "{message}", {"message": message, "field": "weights"})
        if lacking := [name for name in self.of if name not in self.weights]:
            message = f"has no weight for {lacking[0]!r}; give each part one"
            raise PydanticCustomError("weights", "{message}", {"message": message, "field": "weights"})
        if not any(self.weights.values()):
            message = "has weights of 0 alone, so that nothing is paid for; give a part another weight"
            raise PydanticCustomError("weights", "{message}", {"message": message, "field": "weights"})
        return self

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # as its parts do
        """Whether any part does."""
        return any(part.reads_prompts for part in self.of.values())

    def objectives(self) -> Mapping[str, Objective]:
        """Return its parts with their weights."""
        return {name: Objective(self.weights[name], labelled=not part.concept) for name, part in self.of.items()}

    def on_base(self, base: BaseTexts) -> Self:
        """Return the judge scaled on this base, unless it names its own."""
        return self if self.on is not None else self.model_copy(update={"on": base})

    def upstream(self) -> Mapping[str, Settings]:
        """Return what it is scaled on, and what its parts start from."""
        on = {} if self.on is None else {"on": self.on}
        return {**on, **{role: start for name, part in self.of.items() for role, start in nested(name, part).items()}}

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Raise `DataError`: it is scaled on texts that another stage makes, which `ready` is given."""
        raise DataError(
            f"judge {self.use!r} takes its scale from what a base writes, and no base is known here; name one by 'on'"
        )

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return the judge with the scale of each part.  Raises `DataError` where a part has none on these texts."""
        if "on" not in upstream:
            return self.judge
        base = written_by_base(upstream["on"])
        parts = {name: part.ready(within(name, upstream)) for name, part in self.of.items()}
        scales = {
            name: standard_scale(judging, base, f"judge {self.use!r}: part {name!r}") for name, judging in parts.items()
        }

        def blended(examples: Examples) -> Mapping[str, Truth]:
            truths = {name: judging(examples)[GOLD] for name, judging in parts.items()}
            scaled = {name: Truth(scales[name].of(value), label) for name, (value, label) in truths.items()}
            value = sum((self.weights[name] * part.value for name, part in scaled.items()), np.zeros(len(examples)))
            label = np.where(np.isfinite(value), np.where(value > 0, 1, -1), 0).astype(np.int8)
            return {GOLD: Truth(value, label)} | {objective_truth(name): part for name, part in scaled.items()}

        return blended

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """Return what the first of its parts would read that can tell."""
        return next((tokens for part in self.of.values() if (tokens := part.would_read(texts)) is not None), None)
