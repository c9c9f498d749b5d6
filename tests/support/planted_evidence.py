"""Material of one model with evidence: pairs of texts with the log-ratio of each token, and words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fairl_bench.results.given import GivenMaterial
from fairl_bench.values.contents import MIDDLE, PARTS_MOST, PIECE_COLUMNS, TEXT_COLUMNS
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.evidence import CellEvidence
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts, RunFacts
from fairl_bench.values.sheets import Sheet

DATA = "pairs/test"
FACTS = {"log-ratio": MethodFacts("both models", True), "mm": MethodFacts("texts", False)}


def at(method: str = "log-ratio", truth: str = "", replicate: int = 0, data: str = DATA) -> Coordinates:
    return Coordinates.of(World("toy", replicate), Run("e", "", method, "", None), data, truth)


def words_of(truth: str, **numbers: float) -> list[Record]:
    """The records of a word or a token."""
    return [Record.at(at(truth=truth), "s", metric, value, 20) for metric, value in numbers.items()]


def tokens_of(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin, with the space before them, and end; what follows the last is of it."""
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    ends = [*ends[:-1], len(text)] if ends else []
    return list(zip([0, *ends], ends, strict=False))


def planted(
    texts: Sequence[str],
    *,
    judged: bool = True,
    good: Sequence[bool] | None = None,
    records: Sequence[Record] = (),
    prompts: Sequence[str] | None = None,
    **more: Any,
) -> GivenMaterial:
    """Pairs of these texts; the log-ratio of one is its place less half of their number, each token has its share."""
    n = len(texts)
    reward = np.arange(n) - n / 2.0
    label = np.where(np.arange(n) % 2 == 0, 1, -1).astype(np.int8)
    known = label if good is None else np.where(good, 1, -1).astype(np.int8)
    truths = {"gold": Truth(known.astype(float), known)} if judged else {}
    asked = tuple(prompts or [f"prompt {i // 2}" for i in range(n)])
    examples = Examples(tuple(texts), asked, pair=np.repeat(np.arange(n // 2), 2), role=label, truths=truths)
    rewards = {Run("e", "", "log-ratio", "", None): reward, Run("e", "", "mm", "", None): -reward}
    sheet = Sheet("s", "toy", 0, DATA, examples, rewards)
    kept = [
        (
            DATA,
            row,
            why,
            float(reward[row]),
            -1.0,
            row // 2,
            "preferred" if row % 2 == 0 else "rejected",
            asked[row],
            text,
        )
        for why in (PARTS_MOST, MIDDLE)
        for row, text in enumerate(texts)
    ]
    tokens = [
        (DATA, row, begin, end, -1.0, -1.0 + reward[row] / len(tokens_of(text)))
        for row, text in enumerate(texts)
        for begin, end in tokens_of(text)
    ]
    evidence = {
        "token-log-ratio": [CellEvidence(at(), _table(TEXT_COLUMNS, kept))],
        "token-log-ratio/tokens": [CellEvidence(at(), _table(PIECE_COLUMNS, tokens))],
    }
    given: dict[str, Any] = {"name": "s", "suite": "name: s", "records": records, "sheets": [sheet]}
    given |= {"rows": {at(name).row: Runs(1) for name in FACTS}, "run": RunFacts(methods=FACTS), "evidence": evidence}
    return GivenMaterial(**{**given, **more})


def _table(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return pa.table(dict(zip(names, map(list, columns), strict=True)))
