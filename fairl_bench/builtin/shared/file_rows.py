"""Rows of JSON lines and CSV; every error names the file and the line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from fairl_bench.errors import DataError, suggest
from fairl_bench.textfiles import brief, csv_rows, json_objects, lines


class Row(NamedTuple):
    """One row of a file and its place."""

    place: str  # file:line
    values: dict[str, Any]
    texts: bool = False  # every cell is a text, as in CSV: no number, and no null

    def value(self, column: str) -> Any:
        """Return a column's value; ``a.b`` is ``b`` within ``a``.  Raises `DataError` where there is none."""
        values, name = self.values, column
        while name not in values:
            outer, dot, inner = name.partition(".")
            within = values.get(outer)
            if dot and outer in values and within is None:
                return None
            if not dot or not isinstance(within, dict):
                above = column.removesuffix(name)
                known = suggest(column, (f"{above}{one}" for one in values))
                raise DataError(f"{self.place}: no column {column!r}; {known}")
            values, name = within, inner
        return values[name]

    def text(self, column: str, *, empty: bool = False, or_set: str = "") -> str:
        """Return the text of a column.  Raises `DataError` where it is no text, or is empty and must not be.

        ``or_set`` is the setting that lets it be empty, for the sentence of the error.
        """
        value = self.value(column)
        if value is None and empty:
            return ""
        if not isinstance(value, str):
            raise DataError(f"{self.place}: column {column!r} needs a text, got {brief(value)}")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise DataError(f"{self.place}: column {column!r} holds half a surrogate pair, which is no text; mend it")
        if not empty and not value.strip():
            otherwise = f", or set {or_set!r}" if or_set else ""
            raise DataError(f"{self.place}: column {column!r} is empty; remove the row or fill it{otherwise}")
        return value


def jsonl_rows(path: str) -> Iterator[Row]:
    """Return the rows of a file of JSON objects, one a line, as they are read."""
    return (Row(f"{path}:{number}", values) for number, values in json_objects(path))


def read_jsonl(path: str, limit: int | None = None) -> list[Row]:
    """Return the rows of a file of JSON objects, one a line; at most the first ``limit``."""
    return _some(path, list(islice(jsonl_rows(path), limit)))


def read_csv(path: str, limit: int | None = None) -> list[Row]:
    """Return the rows of a CSV file with a header line; at most the first ``limit``."""
    _, rows = csv_rows(path)
    return _some(path, [Row(f"{path}:{number}", values, texts=True) for number, values in islice(rows, limit)])


CHECKED = 1000
"""Rows that a check reads: enough to meet most mistakes, few enough for any file."""


def count_rows(path: str, limit: int | None) -> int:
    """Return how many lines of a file are not blank, up to the limit."""
    return sum(1 for _ in islice((number for number, line in lines(path) if line.strip()), limit))


def count_csv(path: str, limit: int | None) -> int:
    """Return how many rows a CSV file has, up to the limit."""
    return sum(1 for _ in islice(csv_rows(path)[1], limit))


def _some(path: str, rows: list[Row]) -> list[Row]:
    if not rows:
        raise DataError(f"{path} holds no row")
    return rows
