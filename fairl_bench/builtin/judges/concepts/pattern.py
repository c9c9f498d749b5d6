"""A concept that is a pattern of the user's own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fairl_bench.builtin.judges.concepts.patterns import LONGEST, RegularExpression, count
from fairl_bench.builtin.judges.concepts.reading import words_of
from fairl_bench.builtin.judges.concepts.text_amount import About, TextAmount


class Pattern(TextAmount):
    """How often a regular expression of your own matches a text; ``(?i)`` at its start: in any case.

    It is written as for Python's ``re``, and searched with the library ``regex``.  Matches do not overlap, and one of
    no character does not count.  Of a text the first 20,000 characters are read; a pattern that takes more than a
    second for that is refused.
    """

    pattern: RegularExpression = Field(description="the regular expression")
    per: Literal["word", "text"] = Field("text", description="matches per word of the text, or in the whole text")
    about: About = Field("", description="what it stands for, in a few words; none: the pattern itself")

    @property
    def concept(self) -> str:  # type: ignore[override]  # what it measures is the user's to say
        """What the pattern stands for: ``about``, or the pattern."""
        return self.about or f"matches of {self.pattern!r:.60}"

    def amount(self, text: str) -> float:
        """Return the matches, per word or in all.  Raises `DataError` where they take too long to find."""
        found = count(self.pattern, text, self.use or "regex")
        return float(found) if self.per == "text" else found / max(len(words_of(text[:LONGEST])), 1)
