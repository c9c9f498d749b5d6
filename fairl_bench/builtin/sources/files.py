"""Pairs from a file of JSON lines or CSV."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.builtin.shared.file_rows import CHECKED, Row, count_csv, count_rows, read_csv, read_jsonl
from fairl_bench.builtin.sources.pair_columns import Columns, TruthInRows
from fairl_bench.component import DataFile
from fairl_bench.values.data import Pairs


class _File(TruthInRows):
    at_hand: ClassVar[bool] = True

    path: DataFile = Field(description="the file, relative to the suite")
    columns: Columns = Columns()
    limit: int | None = Field(None, ge=1, description="read only the first rows")

    @abstractmethod
    def rows(self, limit: int | None) -> list[Row]:
        """Return the rows of the file."""

    def check(self) -> None:
        """Read the first rows with all their columns."""
        self._pairs(self.rows(min(self.limit or CHECKED, CHECKED)), whole=False)

    def size(self) -> int:
        """Return the number of rows of the file, up to the limit."""
        return count_rows(self.path, self.limit)

    def peek(self, n: int) -> Pairs:
        """Return the first rows of the file."""
        return self._pairs(self.rows(min(self.limit or n, n)), whole=False)

    def pairs(self, rng: np.random.Generator) -> Pairs:
        """Return one pair a row, in the file's order."""
        return self._pairs(self.rows(self.limit))

    def _pairs(self, rows: list[Row], *, whole: bool = True) -> Pairs:
        pairs = self.columns.pairs(rows, identical=self.identical == "drop", empty=self.empty == "drop")
        return self.with_truths(pairs, rows, whole=whole)


class Jsonl(_File):
    """Pairs from a file of JSON objects, one a line."""

    def rows(self, limit: int | None) -> list[Row]:
        """Return the rows of the file."""
        return read_jsonl(self.path, limit)


class Csv(_File):
    """Pairs from a CSV file with a header line."""

    def rows(self, limit: int | None) -> list[Row]:
        """Return the rows of the file."""
        return read_csv(self.path, limit)

    def size(self) -> int:
        """Return the number of rows of the file, up to the limit."""
        return count_csv(self.path, self.limit)
