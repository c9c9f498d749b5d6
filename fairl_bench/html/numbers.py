"""The records behind the page's numbers, column by column, each text once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from fairl_bench.values.records import Record

COLUMNS: Final = ("model", "encoder", "method", "variant", "data", "slice", "truth", "metric", "other", "note", "stage")
_KEY: Final = 16  # letters of a stage's key that tell it apart, as the names of logs do


def packed(records: Sequence[Record]) -> dict[str, Any]:
    """Each column of texts as its distinct texts and one code a record; a value that is not a number is null."""
    found: dict[str, Any] = {}
    for name in COLUMNS:
        column = [row.stage[:_KEY] if name == "stage" else getattr(row, name) for row in records]
        codes = {text: code for code, text in enumerate(dict.fromkeys(column))}
        found[name] = {"of": list(codes), "at": [codes[text] for text in column]}
    found["replicate"] = [row.replicate for row in records]
    found["seed"] = [row.seed for row in records]
    found["value"] = [float(f"{row.value:.6g}") if math.isfinite(row.value) else None for row in records]
    found["n"] = [row.n for row in records]
    return found
