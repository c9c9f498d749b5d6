"""Concepts of the form of a text: shares of its words, sentences or lines, so that length does not decide."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import ClassVar

from fairl_bench.builtin.judges.concepts.reading import ending, sentences_of, words_of
from fairl_bench.builtin.judges.concepts.text_amount import TextAmount

_BULLET = re.compile(r"(?:[-*+\u2022\u2023\u25e6\u2013]|[0-9]{1,3}[.)]|\(?[a-zA-Z0-9]\))\s+\S")


class Repetition(TextAmount):
    """The share of its pairs of neighbouring words that have stood in the text before (1 less distinct-2).

    Li et al. 2016 (arXiv:1510.03055) name the other share distinct-2.  A longer text repeats more by itself.
    """

    concept: ClassVar[str] = "repetition"

    def amount(self, text: str) -> float:
        """Return the share in [0, 1); 0 for a text of fewer than three words."""
        bigrams = list(pairwise(words_of(text)))
        return 1 - len(set(bigrams)) / len(bigrams) if bigrams else 0.0


class Questions(TextAmount):
    """The share of its sentences that end in a question mark."""

    concept: ClassVar[str] = "questions"

    def amount(self, text: str) -> float:
        """Return the share in [0, 1]; ``?!`` counts."""
        return _share_ending(text, "?\uff1f\u061f")


class Exclamations(TextAmount):
    """The share of its sentences that end in an exclamation mark."""

    concept: ClassVar[str] = "exclamations"

    def amount(self, text: str) -> float:
        """Return the share in [0, 1]; ``?!`` counts."""
        return _share_ending(text, "!\uff01")


class Digits(TextAmount):
    """The share of its words that have a digit."""

    concept: ClassVar[str] = "numbers in digits"

    def amount(self, text: str) -> float:
        """Return the share in [0, 1]."""
        found = words_of(text)
        return sum(any(map(str.isdigit, word)) for word in found) / len(found) if found else 0.0


class Lists(TextAmount):
    """The share of its lines that are items of a list: they begin with a bullet, a number or a letter, as ``1.``."""

    concept: ClassVar[str] = "lists"

    def amount(self, text: str) -> float:
        """Return the share in [0, 1]; blank lines do not count."""
        found = [line for line in map(str.strip, text.splitlines()) if line]
        return sum(_BULLET.match(line) is not None for line in found) / len(found) if found else 0.0


def _share_ending(text: str, marks: str) -> float:
    """Return the share of the sentences that end in one of these marks."""
    ends = [ending(sentence) for sentence in sentences_of(text)]
    return sum(any(mark in end for mark in marks) for end in ends) / len(ends) if ends else 0.0
