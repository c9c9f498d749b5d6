"""The kind of part that knows what is good: the ground truth of a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from fairl_bench.component import Component, Settings
from fairl_bench.guards.truncation import Tokens
from fairl_bench.values.data import Examples, Floats, Truth
from fairl_bench.values.truths import Objective

Judging = Callable[[Examples], Mapping[str, Truth]]


BaseTexts = Settings
"""What a base writes, to start from: an `Ask` for completions, or a `Source` whose rejected texts stand for them."""


class Judge(Component, ABC):
    """The ground truth of a text: a classifier, a known rule, human labels."""

    kind = "judge"
    concept: ClassVar[str] = ""
    """What it measures, in a few words, for one that says how much of something a text has; empty for others.

    Such a judge is a concept: its truth is a number alone, higher for more, and has no label
    (docs/reference/concepts.md).
    """
    reads_prompts: ClassVar[bool] = False
    """True where what it says of a text depends on the text's prompt."""

    @abstractmethod
    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """The truth ``gold`` of every example, and ``subtype:NAME`` where the judge knows subtypes.

        A judge that has `objectives` gives ``gold:NAME`` for each of them too.
        """

    def objectives(self) -> Mapping[str, Objective]:
        """The objectives that ``gold`` is a blend of, by name; empty where it is no blend."""
        return {}

    def on_base(self, base: BaseTexts) -> Self:
        """The judge for the texts of one base, with what it takes from there; by default the same for all.

        It is called for a judge within another by `judges_on_base`.
        """
        return self

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """The judge as a function, given the answers of what its `upstream` asks for; by default nothing is."""
        return self.judge

    def would_read(self, texts: Sequence[str]) -> Tokens | None:
        """The tokens that it would read of texts, for an estimate before a run; None where that is slow to know."""
        return None

    def badness(self, value: Floats) -> Floats:
        """The certainty in [0, 1] that a text of this ``gold`` value is bad (toxic); by default a value is log-odds."""
        return np.exp(-np.logaddexp(0.0, value))
