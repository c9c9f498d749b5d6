"""A judge made of two judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.values.data import GOLD, Examples, Truth
from fairl_bench.values.truths import Objective, objective_of


class Combined(Judge):
    """One judge's truth ``gold`` beside another's subtypes (paper 5 and Table 3: RoBERTa, and Detoxify)."""

    gold: Judge = Field(description="gives the value and the label")
    subtypes: Judge = Field(description="gives the subtypes; its own 'gold' is not read")

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # as its judges do
        """Whether either judge does."""
        return self.gold.reads_prompts or self.subtypes.reads_prompts

    def objectives(self) -> Mapping[str, Objective]:
        """Return those of the first judge."""
        return self.gold.objectives()

    def upstream(self) -> Mapping[str, Settings]:
        """Return what both start from."""
        return {**nested("gold", self.gold), **nested("subtypes", self.subtypes)}

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return ``gold`` of the first judge, with its objectives, and every ``subtype:`` of the second."""
        return _both(self.gold.judge, self.subtypes.judge, examples)

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return both judges as one function."""
        gold, subtypes = self.gold.ready(within("gold", upstream)), self.subtypes.ready(within("subtypes", upstream))
        return lambda examples: _both(gold, subtypes, examples)


def _both(gold: Judging, subtypes: Judging, examples: Examples) -> Mapping[str, Truth]:
    kinds = {name: truth for name, truth in subtypes(examples).items() if name.startswith("subtype:")}
    values = {name: truth for name, truth in gold(examples).items() if name == GOLD or objective_of(name)}
    return {**values, **kinds}
