"""A concept that is a list of the user's own words."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.judges.concepts.lexicon import Lexicon, read_lexicon
from fairl_bench.builtin.judges.concepts.reading import words_of
from fairl_bench.builtin.judges.concepts.text_amount import About, TextAmount
from fairl_bench.component import DataFile
from fairl_bench.digests import stamp


class WordList(TextAmount):
    """How often words of your own stand in a text: whole words and phrases, in any case; ``begin*`` for all endings.

    A file has one word or phrase a line; what follows ``#`` is a comment.
    """

    words: tuple[str, ...] = Field((), description="words and phrases; or name a file of them under 'path'")
    path: DataFile | None = Field(None, description="file of one word or phrase a line, relative to the suite")
    per: Literal["word", "text"] = Field("word", description="occurrences per word of the text, or in the whole text")
    about: About = Field("", description="what they stand for, in a few words; none: the list itself")

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if bool(self.words) == (self.path is not None):
            raise PydanticCustomError("one_list", "takes 'words' or 'path', one of the two")
        if self.words:
            self._lexicon()
        return self

    @property
    def concept(self) -> str:  # type: ignore[override]  # what it measures is the user's to say
        """What the words stand for: ``about``, or the first words."""
        if self.about:
            return self.about
        if self.path is not None:
            return f"words of {Path(self.path).name:.60}"
        return f"words such as {self.words[0]!r:.60}"

    def amount(self, text: str) -> float:
        """Return the occurrences, per word or in all."""
        found = words_of(text)
        count = self._lexicon().count(found)
        return float(count) if self.per == "text" else count / max(len(found), 1)

    def check(self) -> None:
        """Read the file."""
        self._lexicon()

    def _lexicon(self) -> Lexicon:
        if self.path is not None:
            return _in_file(self.path, stamp(Path(self.path)))
        return _inline(self.words)


@lru_cache(maxsize=16)  # an aligner asks at every step
def _in_file(path: str, stamp: object) -> Lexicon:
    return read_lexicon(path)


@lru_cache(maxsize=16)
def _inline(entries: tuple[str, ...]) -> Lexicon:
    return Lexicon.of(("judge 'word-list'", entry) for entry in entries)
