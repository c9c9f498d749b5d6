"""Which columns of a file of pairs hold the two sides and the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from fairl_bench.errors import FairlError, suggest
from fairl_bench.textfiles import lines, parsed

SIDES: Final = (
    ("chosen", "rejected"),
    ("preferred", "rejected"),
    ("expert", "base"),
    ("aligned", "base"),
    ("better", "worse"),
)
"""Names of columns that are taken for the preferred and the rejected text, in this order."""
_PROMPTS: Final = ("prompt", "question", "instruction")
_FIELDS: Final = ("preferred", "rejected", "prompt", "group")


def columns_of(path: Path, named: Mapping[str, str]) -> tuple[str, dict[str, str | None]]:
    """The source that reads a file, and its columns: those that are ``named``, else by their usual names.

    Raises `FairlError` where they cannot be told.
    """
    for field in named:
        if field not in _FIELDS:
            raise FairlError(f"--columns {field}=...: {suggest(field, _FIELDS)}")
    use = "csv" if path.suffix == ".csv" else "jsonl"
    there = _there(path, use)
    for field, column in named.items():
        if column not in there:
            raise FairlError(f"{path} has no column {column!r} for {field!r}; {suggest(column, there)}")
    sides = [pair for pair in SIDES if set(pair) <= set(there)]
    if not {"preferred", "rejected"} <= set(named) and not sides:
        listed = ", ".join(there[:12])
        raise FairlError(
            f"{path} has the columns {listed}: which hold the two texts? name them with "
            "--columns preferred=COLUMN,rejected=COLUMN"
        )
    preferred, rejected = sides[0] if sides else ("", "")
    prompt = next((name for name in _PROMPTS if name in there), None)
    usual = {"preferred": preferred, "rejected": rejected, "prompt": prompt, "group": None}
    return use, {**usual, **named}


def _there(path: Path, use: str) -> Sequence[str]:
    """The columns of the first row."""
    _, first = next(iter(lines(path, unpack=True)), (0, ""))
    if not first.strip():
        raise FairlError(f"{path} is empty; name a file of pairs, one on each line")
    if use == "csv":
        import csv

        return next(csv.reader([first]))
    try:
        row = parsed(first)
    except ValueError as error:
        raise FairlError(f"{path}:1: is no JSON ({error}); an audit reads JSON lines or CSV") from error
    if not isinstance(row, dict):
        raise FairlError(
            f"{path}:1: needs an object with the two texts, got {type(row).__name__}; write one on each line"
        )
    return list(row)
