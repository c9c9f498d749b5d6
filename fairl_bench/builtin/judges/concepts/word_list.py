"""A concept that is a list of the user's own words."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.judges.concepts.lexicon import Lexicon, read_lexicon
from fairl_bench.builtin.judges.concepts.reading import words_of
from fairl_bench.builtin.judges.concepts.text_amount import About, ListOrFile, TextAmount
from fairl_bench.digests import stamp
from fairl_bench.errors import DataError


class WordList(TextAmount):
    """How often words of your own stand in a text: whole words and phrases, in any case; ``begin*`` for all endings.

    A file has one word or phrase a line; what follows ``#`` is a comment.
    """

    words: ListOrFile = Field(description="the words and phrases, or the file of them, relative to the suite")
    per: Literal["word", "text"] = Field("word", description="occurrences per word of the text, or in the whole text")
    about: About = Field("", description="what they stand for, in a few words; none: the list itself")

    @field_validator("words")
    @classmethod
    def _are_words(cls, words: tuple[str, ...] | str) -> tuple[str, ...] | str:
        if isinstance(words, tuple):
            try:
                _inline(words)
            except DataError as error:
                raise PydanticCustomError("words", "{reason}", {"reason": str(error)}) from error
        return words

    @property
    def concept(self) -> str:  # type: ignore[override]  # what it measures is the user's to say
        """What the words stand for: ``about``, or where they are."""
        if self.about:
            return self.about
        if isinstance(self.words, tuple):
            return f"words such as {self.words[0]!r:.60}"
        return f"words of {Path(self.words).name:.60}"

    def amount(self, text: str) -> float:
        """Return the occurrences, per word or in all."""
        found = words_of(text)
        count = self._lexicon().count(found)
        return float(count) if self.per == "text" else count / max(len(found), 1)

    def check(self) -> None:
        """Read the file."""
        self._lexicon()

    def _lexicon(self) -> Lexicon:
        if isinstance(self.words, tuple):
            return _inline(self.words)
        return _in_file(self.words, stamp(Path(self.words)))


@lru_cache(maxsize=16)  # an aligner asks at every step
def _in_file(path: str, stamp: object) -> Lexicon:
    return read_lexicon(path)


@lru_cache(maxsize=16)
def _inline(entries: tuple[str, ...]) -> Lexicon:
    return Lexicon.of(("'words'", entry) for entry in entries)
