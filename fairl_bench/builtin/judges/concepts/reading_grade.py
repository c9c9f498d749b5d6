"""How hard a text is to read."""

from __future__ import annotations

from typing import ClassVar

from fairl_bench.builtin.judges.concepts.reading import sentences_of, words_of
from fairl_bench.builtin.judges.concepts.text_amount import TextAmount


class ReadingGrade(TextAmount):
    """The school year of the United States that reading it takes: longer words and longer sentences take more.

    The index of Coleman and Liau (1975, Journal of Applied Psychology 60:283-284),
    ``0.0588 L - 0.296 S - 15.8`` with ``L`` letters and ``S`` sentences per 100 words.  It counts letters and no
    syllables, and so needs no dictionary.  A text of few short words is below 0; one without any word has 0.
    """

    concept: ClassVar[str] = "reading difficulty"

    def amount(self, text: str) -> float:
        """Return the school year."""
        found = words_of(text)
        if not found:
            return 0.0
        letters = sum(sum(map(str.isalnum, word)) for word in found)
        stops = sum(any(map(str.isalnum, sentence)) for sentence in sentences_of(text))
        return (5.88 * letters - 29.6 * stops) / len(found) - 15.8
