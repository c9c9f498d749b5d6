"""Texts with a known truth to evaluate on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.builtin.rows import CHECKED, Row, count_rows, read_jsonl
from fairl_bench.component import DataFile, Settings
from fairl_bench.data import GOLD, Examples, Truth
from fairl_bench.errors import DataError
from fairl_bench.kinds import Judge, TestSet
from fairl_bench.toy.grammar import comments


class GoldColumn(Settings):
    """Which column holds the human label, and its value for a good text; null is unknown."""

    column: str
    good: int | str | bool


class JsonlTexts(TestSet):
    """Labelled texts from a file of JSON objects, one a line."""

    path: DataFile = Field(description="the file, relative to the suite")
    text: str = Field("text", description="the column of the text")
    gold: GoldColumn
    subtypes: tuple[str, ...] = Field((), description="columns that say whether a subtype is present (0 or 1)")
    limit: int | None = Field(None, ge=1, description="read only the first rows")

    def check(self) -> None:
        """Read the first rows with all their columns."""
        self._examples(read_jsonl(self.path, min(self.limit or CHECKED, CHECKED)))

    def size(self) -> int:
        """The rows of the file, up to the limit."""
        return count_rows(self.path, self.limit)

    def examples(self, rng: np.random.Generator) -> Examples:
        """One example a row, in the file's order."""
        return self._examples(read_jsonl(self.path, self.limit))

    def _examples(self, rows: list[Row]) -> Examples:
        truths = {GOLD: _truth([_label(row, self.gold.column, self.gold.good) for row in rows])}
        for name in self.subtypes:
            truths[f"subtype:{name}"] = _truth([_label(row, name, 1) for row in rows])
        return Examples(tuple(row.text(self.text) for row in rows), truths=truths)


def _label(row: Row, column: str, good: int | str | bool) -> int:
    """+1 where the column has this value, -1 where it has another, 0 where it has none."""
    value = row.value(column)
    if value is None:
        return 0
    if not isinstance(value, int | str | bool):
        raise DataError(f"{row.place}: column {column!r} needs a label, got {value!r}")
    return 1 if value == good else -1


def _truth(labels: list[int]) -> Truth:
    label = np.array(labels, np.int8)
    return Truth(np.where(label == 0, np.nan, label.astype(np.float64)), label)


class ToyTexts(TestSet):
    """Comments of the synthetic world, with words from a second lexicon as far as ``shift`` says."""

    drawn: ClassVar[bool] = True

    n: int = Field(2000, ge=1, description="texts")
    shift: float = Field(0.5, ge=0, le=1, description="share of words from the second lexicon")
    toxic: float = Field(0.39, ge=0, le=1, description="share of toxic texts")
    gold: Judge

    def size(self) -> int:
        """``n``."""
        return self.n

    def examples(self, rng: np.random.Generator) -> Examples:
        """``n`` comments of this replicate's world, judged."""
        drawn = comments(self.n, rng, toxic=self.toxic, shift=self.shift)
        examples = Examples(tuple(one.text for one in drawn), tuple(one.prompt for one in drawn))
        return examples.knowing(self.gold.judge(examples))
