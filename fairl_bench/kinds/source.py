"""Sources of preference pairs, and sets of texts to test on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from fairl_bench.component import Component, Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import BaseTexts, Judge
from fairl_bench.kinds.lm import LM, Prompts
from fairl_bench.kinds.upstream import base_request, judges_on_base, nested
from fairl_bench.values.data import Examples, Pairs
from fairl_bench.values.language_models import Sampling
from fairl_bench.values.resources import Needs
from fairl_bench.values.truths import Objective


class Origin(NamedTuple):
    """The language models that pairs come from, and what they completed."""

    base: LM
    expert: LM
    prompts: Prompts


class Source(Component, ABC):
    """A source of preference pairs."""

    kind = "source"
    at_hand: ClassVar[bool] = False
    """True where its pairs can be had at once, as from a file: then `check` shows the sizes of their split."""

    gold: Judge | None = Field(None, description="judges every completion; none: the truth 'gold' is not known")
    embed: Literal["completion", "prompt+completion"] = Field("completion", description="what an encoder reads")
    identical: Literal["refuse", "drop"] = Field("refuse", description="pairs whose two texts are equal")
    empty: Literal["refuse", "drop"] = Field("refuse", description="pairs with a text of nothing but space")
    flip: float = Field(0.0, ge=0, le=1, description="share of the pairs whose preference is turned around, as noise")
    resources: Needs = None

    def size(self) -> int | None:
        """The number of pairs, if it is known before they are made."""
        return None

    def peek(self, n: int) -> Pairs | None:
        """The first ``n`` pairs or fewer, for an estimate before a run; None where they are not at hand."""
        return None

    def models_for(self, part: Component) -> Origin:
        """The language models that its pairs come from, for a part that needs them.  Raises `DataError` without any."""
        origin = self.origin()
        if origin is None:
            raise DataError(
                f"{part.kind} {part.use!r} needs the language models that the pairs come from, and source {self.use!r} "
                f"knows none; name them in the {part.kind}, or leave it out"
            )
        return origin

    def starts(self) -> Mapping[str, Settings]:
        """What it starts from, and below ``gold`` what its judge does."""
        judge = self.judge() if isinstance(self.gold, Judge) else None
        return {**self.upstream(), **({} if judge is None else nested("gold", judge))}

    def judge(self) -> Judge | None:
        """The judge of any text that its truth ``gold`` comes from; None where the truth is data, or not known."""
        return judges_on_base(self.gold, self.base_texts()) if isinstance(self.gold, Judge) else None

    def base_texts(self) -> BaseTexts:
        """What its base writes: completions of its base model, or its own pairs, in which the rejected texts are that.

        Judges that need a scale take it from there (`Judge.on_base`).
        """
        origin = self.origin()
        if origin is None:
            return self.model_copy(update={"gold": None, "flip": 0.0})
        return base_request(origin.base, origin.prompts, Sampling())

    def objectives(self) -> Mapping[str, Objective]:
        """The objectives that its truth ``gold`` is a blend of, by name; empty where it is no blend."""
        return self.gold.objectives() if isinstance(self.gold, Judge) else {}

    def unbounded(self) -> str:
        """Why no log-ratio bounds how many of its pairs a reward can rank; empty where that of its two models does.

        It does where each pair is one draw of each model's whole distribution, and nothing chose between pairs
        (docs/explanation/log-ratio.md).
        """
        return "its pairs are not known to be draws of two language models"

    def judged(self) -> bool:
        """True where the truth ``gold`` of its pairs is known."""
        return self.gold is not None

    def labelled(self) -> bool:
        """True where that truth has labels, and not numbers alone."""
        return self.judged() and not (self.gold is not None and self.gold.concept)

    def origin(self) -> Origin | None:
        """The language models that its pairs come from; None where it does not know any."""
        return None

    @abstractmethod
    def pairs(self, rng: np.random.Generator) -> Pairs:
        """The pairs.  ``rng`` is the replicate's own; a source that draws nothing ignores it.

        What `upstream` asks for comes as keyword arguments, by role: `Completions` of an `Ask`, `Examples` of a source.
        """


class TestSet(Component, ABC):
    """Texts with a known truth to evaluate on."""

    kind = "testset"
    __test__ = False  # not a test class, whatever its name says to pytest

    resources: Needs = None

    def size(self) -> int | None:
        """The number of texts, if it is known before they are made."""
        return None

    def peek(self, n: int) -> Examples | None:
        """The first ``n`` texts or fewer, for an estimate before a run; None where they are not at hand."""
        return None

    def judged(self) -> bool:
        """True where the truth ``gold`` of its texts is known."""
        return True

    def labelled(self) -> bool:
        """True where that truth has labels, and not numbers alone."""
        return self.judged()

    def objectives(self) -> Mapping[str, Objective]:
        """The objectives that its truth ``gold`` is a blend of, by name; empty where it is no blend."""
        return {}

    @abstractmethod
    def examples(self, rng: np.random.Generator) -> Examples:
        """The examples with their truths.

        What `upstream` asks for comes as keyword arguments, by role: `Completions` of an `Ask`.  A judge in it is asked
        through `Judge.ready`, with what `within` finds for it there.
        """
