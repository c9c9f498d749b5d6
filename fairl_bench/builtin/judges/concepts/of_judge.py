"""Any judge, told to be a concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from fairl_bench.builtin.judges.concepts.text_amount import About
from fairl_bench.component import Settings
from fairl_bench.errors import DataError, suggest
from fairl_bench.guards.truncation import Tokens
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.kinds.upstream import nested, within
from fairl_bench.values.data import GOLD, Examples, Floats, Truth


class OfJudge(Judge):
    """Another judge, such as a classifier or a recovered reward, as a concept: one of its truths, named, no label.

    A classifier's ``gold`` is higher for a better text.  For how toxic a text is, say ``less: true``: then the concept
    is the negative of that truth.
    """

    of: Judge = Field(description="the judge")
    about: About = Field(min_length=1, description="what it measures, in a few words")
    truth: str = Field(GOLD, description="which of its truths: gold, or subtype:NAME")
    less: bool = Field(False, description="whether a lower value of that truth is more of the concept")

    @property
    def concept(self) -> str:  # type: ignore[override]  # what it measures is the user's to say
        """What it measures: ``about``."""
        return self.about

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # as that judge does
        """Whether the judge does."""
        return self.of.reads_prompts

    def upstream(self) -> Mapping[str, Settings]:
        """Return what the judge starts from."""
        return nested("of", self.of)

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return the value of that truth.  Raises `DataError` where the judge does not give it."""
        return self._told(self.of.judge(examples))

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return the judge as a function."""
        judging = self.of.ready(within("of", upstream))
        return lambda examples: self._told(judging(examples))

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """Return what the judge would read."""
        return self.of.would_read(texts)

    def badness(self, value: Floats) -> Floats:
        """Return what the judge says of it."""
        return self.of.badness(-value if self.less else value)

    def _told(self, truths: Mapping[str, Truth]) -> Mapping[str, Truth]:
        if self.truth not in truths:
            raise DataError(f"judge {self.of.use!r} gives no truth {self.truth!r}; {suggest(self.truth, truths)}")
        value = truths[self.truth].value
        return {GOLD: Truth.numbers(0.0 - value if self.less else value)}
