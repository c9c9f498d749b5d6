"""What the page's browser of failures shows: texts, what is known of them, and what each method says, in few bytes."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np

from fairl_bench.science.agreement import standardised
from fairl_bench.values.coordinates import Run, Within
from fairl_bench.values.data import GOLD, Floats, Rows
from fairl_bench.values.sheets import Sheet, Values

TEXTS: Final = 12_000  # of all data sets together, ...
LETTERS: Final = 3_500_000  # ... and their letters: what keeps the page below 8 MB
NUMBERS: Final = 600_000  # what all methods say of all texts, 7 bytes each
LONGEST: Final = 1_000  # letters shown of one text


def sheets_shown(sheets: Sequence[Sheet]) -> list[Sheet]:
    """The first replicate of each model and data set; test data before training data."""
    first: dict[tuple[str, str, str], Sheet] = {}
    for sheet in sheets:
        variants = " ".join(sorted({run.variant for run in sheet.rewards}))
        first.setdefault((sheet.model, sheet.data, variants), sheet)
    return sorted(first.values(), key=lambda sheet: sheet.data in ("pairs/train", "pairs/validation"))


def blocks(sheets: Sequence[Sheet], values: Values, truth_of: Callable[[str], str]) -> dict[str, Any]:
    """The texts of each sheet shown, with the rewards of each (encoder, variant); ``left`` counts the texts left out.

    Rewards are standardised run by run and averaged over seeds; of ``called`` 255 is: good by every run's threshold.
    """
    texts, letters, numbers, found, left = TEXTS, LETTERS, NUMBERS, [], 0
    shown = sheets_shown(sheets)
    for index, sheet in enumerate(shown):
        sheets_left, methods = len(shown) - index, len({(run.within, run.method) for run in sheet.rewards})
        rows = _chosen(sheet, min(texts, numbers // methods) // sheets_left, letters // sheets_left)
        left += len(sheet.examples) - len(rows)
        if len(rows):
            texts -= len(rows)
            numbers -= len(rows) * methods
            letters -= sum(min(len(sheet.examples.text[row]), LONGEST) for row in rows)
            found.append(_block(sheet, rows, values, truth_of(sheet.data)))
    return {"sheets": found, "left": left}


def _chosen(sheet: Sheet, texts: int, letters: int) -> Rows:
    """The rows shown, pairs together: those that methods disagree about most, as many as there is room for."""
    spread = _spread(sheet)
    units: dict[int, list[int]] = {}
    for row, pair in enumerate(sheet.examples.pair.tolist()):
        units.setdefault(pair if pair >= 0 else -1 - row, []).append(row)
    order = sorted(units.values(), key=lambda rows: -max(spread[rows]))
    return np.array(sorted(islice(_fitting(sheet, order, texts, letters), texts)), np.int64)


def _fitting(sheet: Sheet, order: Sequence[Sequence[int]], texts: int, letters: int) -> Iterator[int]:
    for rows in order:
        texts -= len(rows)
        letters -= sum(min(len(sheet.examples.text[row]), LONGEST) for row in rows)
        if texts < 0 or letters < 0:
            return
        yield from rows


def _spread(sheet: Sheet) -> Floats:
    """How far apart the runs are on each text ``[n]``."""
    found = np.stack([standardised(reward) for reward in sheet.rewards.values()])
    apart: Floats = found.max(0) - found.min(0)
    return apart


def _block(sheet: Sheet, rows: Rows, values: Values, truth: str) -> dict[str, Any]:
    examples = sheet.examples
    known, gold = examples.truths.get(truth), examples.truths.get(GOLD)
    prompts = list(dict.fromkeys(examples.prompt[row] for row in rows))
    codes = {prompt: code for code, prompt in enumerate(prompts)}
    kinds = {name: told.label[rows] for name, told in examples.truths.items() if name.startswith("subtype:")}
    views: dict[Within, dict[str, list[Run]]] = {}
    for run in sheet.rewards:
        views.setdefault(run.within, {}).setdefault(run.method, []).append(run)
    return {
        "model": sheet.model,
        "replicate": sheet.replicate,
        "data": sheet.data,
        "truth": truth,
        "example": rows.tolist(),
        "text": [cut(examples.text[row]) for row in rows],
        "prompts": [cut(prompt) for prompt in prompts],
        "prompt": [codes[examples.prompt[row]] for row in rows],
        "pair": examples.pair[rows].tolist(),
        "role": examples.role[rows].tolist(),
        "label": (np.zeros(len(rows), np.int8) if known is None else known.label[rows]).tolist(),
        "mild": (np.zeros(len(rows), bool) if gold is None else gold.label[rows] > 0).tolist(),
        "value": None if known is None or known.label.any() else _plain(known.value[rows]),
        "subtypes": {name.removeprefix("subtype:"): np.flatnonzero(on > 0).tolist() for name, on in kinds.items()},
        "views": [_view(sheet, rows, values, truth, within, methods) for within, methods in views.items()],
    }


def _plain(values: Floats) -> list[float | None]:
    """Numbers as JSON has them: what is not known is null."""
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _view(
    sheet: Sheet,
    rows: Rows,
    values: Values,
    truth: str,
    within: Within,
    methods: Mapping[str, Sequence[Run]],
) -> dict[str, Any]:
    """What the methods of one encoder and variant say of these rows."""
    rewards, called = {}, {}
    for method, runs in methods.items():
        mean = np.mean([standardised(sheet.rewards[run]) for run in runs], 0)[rows]
        rewards[method] = _packed(mean.astype("<f4"))
        found = [values.threshold(sheet, run, truth) for run in runs]
        cuts = [cut for cut in found if cut is not None]
        if len(cuts) == len(runs):
            good = np.mean([sheet.rewards[run] > cut for run, cut in zip(runs, cuts, strict=True)], 0)[rows]
            called[method] = _packed(np.rint(255 * good).astype(np.uint8))
    return {**within._asdict(), "rewards": rewards, "called": called}


def _packed(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def cut(text: str) -> str:
    """A text as long as the page shows one."""
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
