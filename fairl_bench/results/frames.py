"""Records and scores as pandas frames, for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from fairl_bench.values.coordinates import CELL_AXES, Run
from fairl_bench.values.data import GOLD
from fairl_bench.values.records import COLUMNS, KEY, Record
from fairl_bench.values.sheets import Sheet

if TYPE_CHECKING:
    import pandas as pd

_SIDES = {1: "preferred", -1: "rejected", 0: ""}


def record_frame(records: Sequence[Record]) -> pd.DataFrame:
    """A row for each number, as in ``records.parquet``; the seed of a number that holds for every seed is missing."""
    import pandas as pd

    frame = pd.DataFrame([vars(record) for record in records], columns=list(COLUMNS))
    typed = frame.astype({"seed": "Int64", "replicate": "int64", "n": "int64", "value": "float64"})
    return typed.sort_values(list(KEY), ignore_index=True)


def score_frame(sheets: Iterable[Sheet]) -> pd.DataFrame:
    """A row for each example and run: its coordinates, the reward, and the example with its truth."""
    import pandas as pd

    parts = [_scores(sheet, run) for sheet in sheets for run in sheet.rewards]
    if not parts:
        return pd.DataFrame(columns=list(SCORE_COLUMNS))
    frame = pd.concat(parts, ignore_index=True)
    return frame.astype(dict.fromkeys(_REPEATED, "category") | {"seed": "Int64"})


_EXAMPLE: Final = ("example", "pair", "role", "prompt", "text", "reward", "value", "label")
SCORE_COLUMNS: Final = (*CELL_AXES, "dataset", "split", *_EXAMPLE)
"""The columns of `score_frame`: where a reward stands, then the example, its reward and its truth ``gold``."""
_REPEATED = ("model", "encoder", "head", "method", "variant", "dataset", "split", "role")


def _scores(sheet: Sheet, run: Run) -> pd.DataFrame:
    """The rows of one run on one data set."""
    import pandas as pd

    examples, n = sheet.examples, len(sheet.examples)
    gold = examples.truths.get(GOLD)
    value, label = gold if gold is not None else (np.full(n, np.nan), np.zeros(n, np.int8))
    coordinates = sheet.at(run)
    columns = {
        **{name: getattr(coordinates, name) for name in (*CELL_AXES, "dataset", "split")},
        "seed": pd.array([run.seed] * n, dtype="Int64"),
        "example": np.arange(n),
        "pair": examples.pair,
        "role": [_SIDES[role] for role in examples.role.tolist()],
        "prompt": examples.prompt,
        "text": examples.text,
        "reward": sheet.rewards[run],
        "value": value,
        "label": label,
    }
    return pd.DataFrame(columns, columns=list(SCORE_COLUMNS))
