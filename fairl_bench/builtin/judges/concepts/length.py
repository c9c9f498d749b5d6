"""Concepts of length: counts, for length itself is what they measure."""

from __future__ import annotations

from typing import ClassVar

from fairl_bench.builtin.judges.concepts.reading import words_of
from fairl_bench.builtin.judges.concepts.text_amount import TextAmount


class Words(TextAmount):
    """The number of words."""

    concept: ClassVar[str] = "length in words"

    def amount(self, text: str) -> float:
        """Return the number of words: runs of letters and digits; in a script without spaces, a run is one word."""
        return float(len(words_of(text)))


class Characters(TextAmount):
    """The number of characters, without the space around the text."""

    concept: ClassVar[str] = "length in characters"

    def amount(self, text: str) -> float:
        """Return the number of characters."""
        return float(len(text.strip()))
