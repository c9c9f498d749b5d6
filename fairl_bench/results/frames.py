"""Records and scores as pandas frames, for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.data import GOLD
from fairl_bench.records import Record
from fairl_bench.sheets import Run, Sheet

if TYPE_CHECKING:
    import pandas as pd

_SIDES = {1: "preferred", -1: "rejected", 0: ""}


def record_frame(records: Sequence[Record]) -> pd.DataFrame:
    """One row a number, with the columns of ``records.parquet``; a seed that holds for all is missing."""
    import pandas as pd

    names = [column.name for column in fields(Record)]
    frame = pd.DataFrame([vars(record) for record in records], columns=names)
    return frame.astype({"seed": "Int64", "replicate": "int64", "n": "int64", "value": "float64"})


def score_frame(sheets: Iterable[Sheet]) -> pd.DataFrame:
    """One row an example and run: where it stands, the reward, and what is known of the example."""
    import pandas as pd

    parts = [_scores(sheet, run) for sheet in sheets for run in sheet.rewards]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    frame = pd.concat(parts, ignore_index=True)
    return frame.astype(dict.fromkeys(_REPEATED, "category") | {"seed": "Int64"})


COLUMNS = (
    *("model", "encoder", "head", "method", "variant", "replicate", "seed", "data"),
    *("example", "pair", "role", "prompt", "text", "reward", "value", "label"),
)
"""The columns of `score_frame`."""
_REPEATED = ("model", "encoder", "head", "method", "variant", "data", "role")


def _scores(sheet: Sheet, run: Run) -> pd.DataFrame:
    """The rows of one run on one data set."""
    import pandas as pd

    examples, n = sheet.examples, len(sheet.examples)
    gold = examples.truths.get(GOLD)
    value, label = gold if gold is not None else (np.full(n, np.nan), np.zeros(n, np.int8))
    columns = {
        "model": sheet.model,
        **run._asdict(),
        "seed": pd.array([run.seed] * n, dtype="Int64"),
        "replicate": sheet.replicate,
        "data": sheet.data,
        "example": np.arange(n),
        "pair": examples.pair,
        "role": [_SIDES[role] for role in examples.role.tolist()],
        "prompt": examples.prompt,
        "text": examples.text,
        "reward": sheet.rewards[run],
        "value": value,
        "label": label,
    }
    return pd.DataFrame(columns, columns=list(COLUMNS))
