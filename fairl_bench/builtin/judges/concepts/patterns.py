"""Regular expressions of a user's own: what they may be, and how often they match, within a limit of time."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Annotated, Any

import regex
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from fairl_bench.errors import DataError

LONGEST = 20_000
"""Characters of a text that are read."""
_SECONDS = 1.0  # for one text: a pattern such as (a|aa)+$ can take longer than anyone waits


def _is_a_pattern(pattern: str) -> str:
    try:
        _compiled(pattern)
    except (regex.error, RecursionError, OverflowError, ValueError) as error:
        reason = f"{pattern!r:.80} is no regular expression: {error}"
        raise PydanticCustomError("pattern", "{reason}", {"reason": reason}) from error
    return pattern


RegularExpression = Annotated[str, Field(min_length=1), AfterValidator(_is_a_pattern)]
"""A pattern as for Python's ``re``, searched with the library ``regex``."""


def count(pattern: str, text: str, judge: str) -> int:
    """How often a pattern matches the first `LONGEST` characters of a text; matches of no character do not count.

    Raises `DataError` where that takes too long, naming the judge.
    """
    return sum(match.end() > match.start() for match in _found(pattern, text, judge))


def matches(pattern: str, text: str, judge: str) -> bool:
    """Whether a pattern matches in the first `LONGEST` characters of a text.  Raises `DataError` as `count` does."""
    return bool(_found(pattern, text, judge, at_most=1))


def _found(pattern: str, text: str, judge: str, at_most: int | None = None) -> list[Any]:
    try:
        return list(islice(_compiled(pattern).finditer(text[:LONGEST], timeout=_SECONDS), at_most))
    except TimeoutError as error:
        raise DataError(
            f"judge {judge!r}: the pattern {pattern!r:.80} took more than {_SECONDS:g} s on the text {text[:60]!r}; "
            "write it without repetition inside repetition"
        ) from error


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    return regex.compile(pattern)
