"""The base of concepts that look at one text at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from fairl_bench.component import DataFile
from fairl_bench.kinds.judge import Judge
from fairl_bench.values.data import GOLD, Examples, Truth

About = Annotated[str, StringConstraints(max_length=80, pattern=r"^[^\r\n]*$", strip_whitespace=True)]
"""What a concept measures, in a user's words: a noun phrase that fits after *more*, in one line."""

ListOrFile = Annotated[tuple[str, ...], Field(min_length=1)] | DataFile
"""Texts, or the path of a file with one a line."""


class TextAmount(Judge):
    """A concept whose value is a number of each completion by itself.  Each distinct text is measured once."""

    @abstractmethod
    def amount(self, text: str) -> float:
        """Return how much of it the text has: finite, and 0 for an empty text."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return the amount in every text; the prompts are not read."""
        known = {text: self.amount(text) for text in dict.fromkeys(examples.text)}
        return {GOLD: Truth.numbers(known[text] for text in examples.text)}
