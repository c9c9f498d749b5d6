"""Prompts: texts that a language model continues."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from fairl_bench.builtin.shared.file_rows import CHECKED, Row, read_jsonl
from fairl_bench.builtin.shared.hub import snapshot
from fairl_bench.component import DataFile
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import Prompts
from fairl_bench.textfiles import lines
from fairl_bench.toy.prompts import STANCES, Stance, toy_prompts


class ToyPrompts(Prompts):
    """Openings of the synthetic world's comments; none holds a toxic word."""

    drawn: ClassVar[bool] = True

    stances: tuple[Stance, ...] = Field(
        STANCES, min_length=1, description="stances that take turns; one named twice comes twice as often"
    )
    shift: float = Field(0.0, ge=0, le=1, description="share of words from the second lexicon")

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return ``n`` prompts, always."""
        return tuple(prompt.text for prompt in toy_prompts(n, rng, self.stances, self.shift))


class Listed(Prompts):
    """Prompts in rows of JSON, shuffled; a score may choose among them (toxicity above 0.3, say).

    A column within a column is named with a dot: ``prompt.text``.
    """

    drawn: ClassVar[bool] = True

    prompt: str = Field("prompt", min_length=1, description="the column of the text")
    score: str | None = Field(None, min_length=1, description="the column of a number that chooses among them")
    above: float | None = Field(None, description="only scores above this; rows without a score are left out")
    below: float | None = Field(None, description="only scores below this; rows without a score are left out")
    limit: int | None = Field(None, ge=1, description="read only the first rows")

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (self.score is None) != (self.above is None and self.below is None):
            raise ValueError("a 'score' needs 'above' or 'below', and they need a 'score'")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(f"no score is above {self.above} and below {self.below}")
        return self

    @abstractmethod
    def place(self) -> Path:
        """Return the file of JSON objects, one a line."""

    def check(self) -> None:
        """Read the first rows with their columns."""
        for row in read_jsonl(str(self.place()), min(self.limit or CHECKED, CHECKED)):
            self._kept(row)

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return ``n`` of the chosen prompts, in random order.  Raises `DataError` where none is chosen."""
        rows = read_jsonl(str(self.place()), self.limit)
        chosen = [text for row in rows if (text := self._kept(row)) is not None]
        if not chosen:
            raise DataError(f"{self.place()}: none of {len(rows)} prompts has its {self.score!r} {self._bounds()}")
        return tuple(chosen[i] for i in rng.permutation(len(chosen))[:n])

    def _kept(self, row: Row) -> str | None:
        """Return the row's prompt, or None where the row is not chosen."""
        text = row.text(self.prompt)
        if self.score is None:
            return text
        score = row.value(self.score)
        if score is None:
            return None
        if isinstance(score, bool) or not isinstance(score, int | float):
            raise DataError(f"{row.place}: column {self.score!r} needs a number, got {score!r}")
        low, high = (-np.inf if self.above is None else self.above), (np.inf if self.below is None else self.below)
        return text if low < score < high else None

    def _bounds(self) -> str:
        bounds = {"above": self.above, "below": self.below}
        return " and ".join(f"{name} {bound}" for name, bound in bounds.items() if bound is not None)


class TextPrompts(Prompts):
    """Prompts from a file of plain text, one a line, shuffled; empty lines and repeated ones are left out."""

    drawn: ClassVar[bool] = True

    path: DataFile = Field(description="the file, relative to the suite")
    limit: int | None = Field(None, ge=1, description="read only the first lines that are prompts")

    def check(self) -> None:
        """Look for a first prompt."""
        self._lines(1)

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return ``n`` of the prompts, in random order.  Raises `DataError` where the file holds none."""
        every = self._lines(self.limit)
        return tuple(every[i] for i in rng.permutation(len(every))[:n])

    def _lines(self, most: int | None) -> list[str]:
        found: dict[str, None] = {}
        for _, line in lines(self.path, unpack=True):
            if text := line.strip():
                found[text] = None
            if len(found) == most:
                break
        if not found:
            raise DataError(f"{self.path} holds no prompt; write one on each line")
        return list(found)


class JsonlPrompts(Listed):
    """Prompts from a file of JSON objects, one a line, chosen by a score."""

    path: DataFile = Field(description="the file, relative to the suite")

    def place(self) -> Path:
        """Return the file of JSON objects, one a line."""
        return Path(self.path)


class HubPrompts(Listed):
    """Prompts from a file of JSON objects in a data set of the hub, by default RealToxicityPrompts.

    Gehman et al. 2020, arXiv:2009.11462.
    """

    name: str = Field("allenai/real-toxicity-prompts", min_length=1, description="name on the hub")
    file: str = Field("prompts.jsonl", min_length=1, description="a file of JSON objects in it, one a line")
    revision: str | None = Field(None, description="commit or branch on the hub")
    prompt: str = Field("prompt.text", min_length=1, description="the column of the text")

    def place(self) -> Path:
        """Return the file on this machine, fetched now if it is not here yet."""
        return self._folder() / self.file

    def reads(self) -> dict[str, str]:
        """Return the commit on the hub."""
        return {"data": self._folder().name}

    def _folder(self) -> Path:
        hint = "use 'jsonl-prompts' with a copy of it"
        what = f"data set {self.name!r}"
        return snapshot(self.name, self.revision, what=what, hint=hint, repo_type="dataset", files=(self.file,))
