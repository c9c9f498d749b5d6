"""Truths that are numbers in the columns of a file, of each text or of both sides of a pair."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any

import numpy as np
from pydantic import Discriminator, Field, Tag

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.label_columns import READ, GoldColumn
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.textfiles import brief, number_of
from fairl_bench.values.data import Floats, Truth


class Numbers(Settings):
    """Columns of numbers, which way is better, and how labels are made of them."""

    lower_is_better: bool = Field(False, description="true for a toxicity score, say: the truth is then its negative")
    label_above: float | None = Field(
        None,
        description="makes labels: numbers above it are good (bad where lower_is_better), others not; none: no labels",
    )

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the columns, in the order of the texts in a row."""

    def labelled(self) -> bool:
        """Return whether labels are made."""
        return self.label_above is not None

    def truth(self, rows: Sequence[Row], *, whole: bool = True) -> Truth:
        """Return the value and the label of each text of these rows; the texts of one row are neighbours.

        Raises `DataError` at a cell that is no number, and where no number of the ``whole`` data is known.
        """
        numbers = np.array([number_in(row, column) for row in rows for column in self.columns()], np.float64)
        if whole and not np.isfinite(numbers).any():
            named = " and ".join(map(repr, self.columns()))
            raise DataError(
                f"{rows[0].place}: column {named} has only null, here and in the rows below: the truth is known "
                f"in none of {len(rows):,} rows; fill it, or leave 'gold' out"
            )
        return Truth(0.0 - numbers if self.lower_is_better else numbers, self._labels(numbers))

    def _labels(self, numbers: Floats) -> np.ndarray:
        if self.label_above is None:
            return np.zeros(len(numbers), np.int8)
        above = -1 if self.lower_is_better else 1
        return np.where(np.isnan(numbers), 0, np.where(numbers > self.label_above, above, -above)).astype(np.int8)


class ValueColumn(Numbers):
    """The column of a text's true reward, a number; null is unknown."""

    value: str

    def columns(self) -> tuple[str, ...]:
        """Return the column."""
        return (self.value,)


class PairColumns(Numbers):
    """The columns of the true rewards of a pair's two texts, numbers; null is unknown."""

    preferred: str
    rejected: str

    def columns(self) -> tuple[str, ...]:
        """Return the preferred text's column, then the rejected one's."""
        return self.preferred, self.rejected


def number_in(row: Row, column: str) -> float:
    """Return the number in a cell, or NaN where it is unknown: null, or in CSV an empty cell."""
    value = row.value(column)
    if value is None or (row.texts and value == ""):
        return math.nan
    if row.texts and isinstance(value, str):
        number = number_of(value)
    else:
        right = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        number = finite(value) if right else None
    if number is None:
        needs = f"a finite number, or {'an empty cell' if row.texts else 'null'} where it is not known"
        raise DataError(f"{row.place}: column {column!r} needs {needs}, got {brief(value)}")
    return number


def finite(value: Any) -> float | None:
    """Return a number as a finite float; None for one that is none."""
    try:
        number = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def check_numbers(rows: Iterator[Row], limit: int | None, gold: Numbers) -> None:
    """Raise what `truth` would raise, after the first rows, or after more where all of these are unknown."""
    rows, chunk = islice(rows, limit), list[Row]()
    while chunk := list(islice(rows, READ)):
        last = len(chunk) < READ
        if np.isfinite(gold.truth(chunk, whole=last).value).any():
            return


def _of_texts(given: object) -> str:
    numbers = {"value", *Numbers.model_fields}
    named = isinstance(given, Mapping) and not numbers.isdisjoint(given)
    return "[numbers]" if named or isinstance(given, ValueColumn) else "[labels]"


def _of_pairs(given: object) -> str:
    judge = isinstance(given, Judge) or (isinstance(given, Mapping) and ("use" in given or not given))
    return "[judge]" if judge else "[numbers]"


TextGold = Annotated[
    Annotated[GoldColumn, Tag("[labels]")] | Annotated[ValueColumn, Tag("[numbers]")], Discriminator(_of_texts)
]
"""What a file may know of each text: a label, ``{column: ..., good: ...}``, or a number, ``{value: ...}``."""

PairGold = Annotated[
    Annotated[Judge, Tag("[judge]")] | Annotated[PairColumns, Tag("[numbers]")], Discriminator(_of_pairs)
]
"""What is known of each side of a pair: what a judge says, or numbers, ``{preferred: ..., rejected: ...}``."""
