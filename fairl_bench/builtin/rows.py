"""Reading rows of JSON lines and CSV, with the file and line of every complaint."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fairl_bench.errors import DataError, suggest


class Row(NamedTuple):
    """One row and where it stands."""

    place: str  # file:line
    values: dict[str, Any]

    def value(self, column: str) -> Any:
        """A column's value; `DataError` with the near matches where there is no such column."""
        if column not in self.values:
            raise DataError(f"{self.place}: no column {column!r}; {suggest(column, map(str, self.values))}")
        return self.values[column]

    def text(self, column: str, *, empty: bool = False) -> str:
        """A column's text; refused where it is no text, or is empty and must not be."""
        value = self.value(column)
        if value is None and empty:
            return ""
        if not isinstance(value, str):
            raise DataError(f"{self.place}: column {column!r} needs a text, got {value!r}")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise DataError(f"{self.place}: column {column!r} holds half a surrogate pair, which is no text; mend it")
        if not empty and not value.strip():
            raise DataError(f"{self.place}: column {column!r} is empty; remove the row or fill it")
        return value


def read_jsonl(path: str, limit: int | None = None) -> list[Row]:
    """The rows of a file of JSON objects, one a line; at most the first ``limit``."""
    rows = []
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line.rstrip(), parse_constant=_refuse)
        except json.JSONDecodeError as error:
            said = f"{error.msg[0].lower()}{error.msg[1:]}, at character {error.colno}"
            raise DataError(f"{path}:{number}: is not JSON: {said}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise DataError(f"{path}:{number}: needs a JSON object, got {line.strip()[:40]!r}")
        rows.append(Row(f"{path}:{number}", values))
        if limit is not None and len(rows) >= limit:
            break
    return _some(path, rows)


def read_csv(path: str, limit: int | None = None) -> list[Row]:
    """The rows of a CSV file with a header line; at most the first ``limit``."""
    reader = csv.DictReader(_lines(path), strict=True)
    rows: list[Row] = []
    try:
        for values in reader:
            if None in values or None in values.values():
                raise DataError(f"{path}:{reader.line_num}: has not as many cells as the header has names")
            rows.append(Row(f"{path}:{reader.line_num}", values))
            if limit is not None and len(rows) >= limit:
                break
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV: {error}") from error
    return _some(path, rows)


CHECKED = 1000
"""Rows that a check reads: enough to meet most mistakes, few enough for any file."""


def count_rows(path: str, limit: int | None) -> int:
    """The lines of a file that are not blank, up to the limit: how many rows to expect."""
    lines = sum(1 for line in _lines(path) if line.strip())
    return lines if limit is None else min(lines, limit)


def _lines(path: str) -> Iterator[str]:
    number = 0
    try:
        with Path(path).open("rb") as file:  # decoded by the line: by the block, a complaint names the wrong one
            for number, line in enumerate(file, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: is not UTF-8; convert the file") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _some(path: str, rows: list[Row]) -> list[Row]:
    if not rows:
        raise DataError(f"{path} holds no row")
    return rows


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")
