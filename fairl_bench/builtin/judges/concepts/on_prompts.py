"""A concept that counts in answers to some prompts only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.builtin.judges.concepts.patterns import RegularExpression, matches
from fairl_bench.builtin.judges.concepts.text_amount import About
from fairl_bench.component import Settings
from fairl_bench.guards.truncation import Tokens
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.values.data import GOLD, Examples, Truth


class OnPrompts(Judge):
    """Another judge's ``gold`` in answers to prompts that a regular expression matches, and 0 in answers to others.

    As an aligner's reward it is an objective with a condition.  A text without a prompt has 0.
    """

    reads_prompts: ClassVar[bool] = True

    of: Judge = Field(description="the judge")
    prompt: RegularExpression = Field(description="the regular expression, searched anywhere in the prompt")
    about: About = Field(min_length=1, description="what it measures, in a few words")

    @property
    def concept(self) -> str:  # type: ignore[override]  # what it measures is the user's to say
        """What it measures: ``about``."""
        return self.about

    def upstream(self) -> Mapping[str, Settings]:
        """Return what the judge starts from."""
        return nested("of", self.of)

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return the value of that judge, or 0."""
        return self._on_prompts(examples, self.of.judge(examples))

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return the judge as a function."""
        judging = self.of.ready(within("of", upstream))
        return lambda examples: self._on_prompts(examples, judging(examples))

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """Return what the judge would read."""
        return self.of.would_read(texts)

    def _on_prompts(self, examples: Examples, truths: Mapping[str, Truth]) -> Mapping[str, Truth]:
        use = self.use or "on-prompts"
        found = {
            prompt: bool(prompt) and matches(self.prompt, prompt, use) for prompt in dict.fromkeys(examples.prompt)
        }
        asked = np.array([found[prompt] for prompt in examples.prompt], np.bool_)
        return {GOLD: Truth.numbers(np.where(asked, truths[GOLD].value, 0.0))}
