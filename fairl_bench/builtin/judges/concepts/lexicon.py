"""A list of words and phrases, and how many of them a text has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from fairl_bench.builtin.judges.concepts.reading import words_of
from fairl_bench.errors import DataError
from fairl_bench.textfiles import lines

Phrase = tuple[str, ...]


class Lexicon(NamedTuple):
    """Words and phrases to look for, in lower case; an entry that ends in ``*`` stands for all words that begin so."""

    words: frozenset[str]
    stems: tuple[str, ...]
    phrases: Mapping[str, tuple[Phrase, ...]]  # by their first word, the longest first; a last word may end in *

    @classmethod
    def of(cls, entries: Iterable[tuple[str, str]]) -> Lexicon:
        """Return the lexicon of entries, each with its place for an error.  Raises `DataError` for one without a word.

        >>> lexicon = Lexicon.of([("", "Sorry"), ("", "apolog*"), ("", "my fault")])
        >>> lexicon.count(words_of("Sorry! My fault. Apologies."))
        3
        """
        single, stems, phrases = set[str](), set[str](), dict[str, list[Phrase]]()
        for place, entry in entries:
            phrase = _phrase(place, entry)
            if len(phrase) > 1:
                phrases.setdefault(phrase[0], []).append(phrase)
            elif phrase[0].endswith("*"):
                stems.add(phrase[0][:-1])
            else:
                single.add(phrase[0])
        ordered = {first: tuple(sorted(set(found), key=lambda p: (-len(p), p))) for first, found in phrases.items()}
        return cls(frozenset(single), tuple(sorted(stems)), ordered)

    def count(self, words: Sequence[str]) -> int:
        """Return how many entries stand in these words; a word belongs to one entry, the longest that begins there."""
        found, i = 0, 0
        while i < len(words):
            length = self._length(words, i)
            found += length > 0
            i += max(length, 1)
        return found

    def _length(self, words: Sequence[str], start: int) -> int:
        """Return how many words the longest entry has that begins here; 0: none does."""
        first = words[start]
        for phrase in self.phrases.get(first, ()):
            if _stands(phrase, words[start : start + len(phrase)]):
                return len(phrase)
        return int(first in self.words or first.startswith(self.stems))


def _stands(phrase: Phrase, words: Sequence[str]) -> bool:
    """Return whether the words are the phrase; the last one of it may be a stem."""
    if len(words) < len(phrase) or tuple(words[:-1]) != phrase[:-1]:
        return False
    return words[-1].startswith(phrase[-1][:-1]) if phrase[-1].endswith("*") else words[-1] == phrase[-1]


def _phrase(place: str, entry: str) -> Phrase:
    """Return the words of an entry; the last one keeps its star.  Raises `DataError` where there is none."""
    stem = entry.rstrip().endswith("*")
    found = words_of(entry)
    if not found:
        raise DataError(
            f"{place}: the entry {entry.strip()!r} has no letter or digit, and words are looked for; take it out, or "
            "look for a pattern with the judge 'regex'"
        )
    return (*found[:-1], found[-1] + "*") if stem else tuple(found)


def read_lexicon(path: Path | str) -> Lexicon:
    """Return the lexicon in a file: one word or phrase a line; what follows ``#`` is left out, and blank lines are.

    Raises `DataError` where it holds no entry.
    """
    entries = [(f"{path}:{number}", line.partition("#")[0]) for number, line in lines(path)]
    found = Lexicon.of((place, entry) for place, entry in entries if entry.strip())
    if not (found.words or found.stems or found.phrases):
        raise DataError(f"{path} holds no word; write one word or phrase a line")
    return found


LISTS = Path(__file__).parent / "lists"
"""The folder of our own lists."""


@lru_cache(maxsize=64)  # an aligner asks at every step
def own_lexicon(name: str) -> Lexicon:
    """Return one of our own lists."""
    return read_lexicon(LISTS / f"{name}.txt")
