"""A judge made of two judges."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from fairl_bench.kinds import Judge
from fairl_bench.values.data import GOLD, Examples, Truth


class Combined(Judge):
    """One judge's truth ``gold`` beside another's subtypes (paper 5 and Table 3: RoBERTa, and Detoxify)."""

    gold: Judge = Field(description="gives the value and the label")
    subtypes: Judge = Field(description="gives the subtypes; its own 'gold' is not read")

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # as its judges do
        """Whether either judge does."""
        return self.gold.reads_prompts or self.subtypes.reads_prompts

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return ``gold`` of the first judge and every ``subtype:`` of the second."""
        kinds = {name: truth for name, truth in self.subtypes.judge(examples).items() if name != GOLD}
        return {GOLD: self.gold.judge(examples)[GOLD], **kinds}
