"""A concept that is a pattern of the user's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import regex
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.judges.concepts.reading import words_of
from fairl_bench.builtin.judges.concepts.text_amount import About, TextAmount
from fairl_bench.errors import DataError

_LONGEST = 20_000  # characters
_SECONDS = 1.0  # for one text: a pattern such as (a|aa)+$ can take longer than anyone waits


class Pattern(TextAmount):
    """How often a regular expression of your own matches a text; ``(?i)`` at its start: in any case.

    It is written as for Python's ``re``, and searched with the library ``regex``.  Matches do not overlap, and one of
    no character does not count.  Of a text the first 20,000 characters are read; a pattern that takes more than a
    second for that is refused.
    """

    pattern: str = Field(min_length=1, description="the regular expression")
    per: Literal["word", "text"] = Field("text", description="matches per word of the text, or in the whole text")
    about: About = Field("", description="what it stands for, in a few words; none: the pattern itself")

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            _compiled(pattern)
        except (regex.error, RecursionError, OverflowError, ValueError) as error:
            reason = f"{pattern!r:.80} is no regular expression: {error}"
            raise PydanticCustomError("pattern", "{reason}", {"reason": reason}) from error
        return pattern

    @property
    def concept(self) -> str:  # type: ignore[override]  # what it measures is the user's to say
        """What the pattern stands for: ``about``, or the pattern."""
        return self.about or f"matches of {self.pattern!r:.60}"

    def amount(self, text: str) -> float:
        """Return the matches, per word or in all.  Raises `DataError` where they take too long to find."""
        read = text[:_LONGEST]
        try:
            matches = _compiled(self.pattern).finditer(read, timeout=_SECONDS)
            count = sum(match.end() > match.start() for match in matches)
        except TimeoutError as error:
            raise DataError(
                f"judge {self.use or 'regex'!r}: the pattern {self.pattern!r:.80} took more than {_SECONDS:g} s on the "
                f"text {text[:60]!r}; write it without repetition inside repetition"
            ) from error
        return float(count) if self.per == "text" else count / max(len(words_of(read)), 1)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    return regex.compile(pattern)
