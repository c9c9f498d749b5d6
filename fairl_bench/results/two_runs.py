"""Numbers of two runs: where two methods disagree, and how far the rewards of a method's own seeds are apart.

Each becomes a `Record` whose ``other`` names the second run's method or seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from fairl_bench.errors import Undefined
from fairl_bench.science import agreement, disagreement, starc
from fairl_bench.science.streams import stream
from fairl_bench.values.comparison import TwoMethods
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import Rows
from fairl_bench.values.records import Record
from fairl_bench.values.sheets import Sheet, Values
from fairl_bench.values.two_runs import AMBIGUITY, COUNTS, MCNEMAR


def disagreements(sheet: Sheet, values: Values, asked: TwoMethods) -> Iterator[Record]:
    """How often both are right, only the first, only the second, neither, run by run, with McNemar's test.

    Subtypes are slices of their names.  A run of a method without seeds stands beside each of the other's.
    """
    known = sheet.examples.truths.get(asked.truth)
    if known is None:
        return
    labelled = _drawn(np.flatnonzero(known.label), asked.texts)
    parts = _subtypes(sheet, labelled) if asked.subtypes else {"all": np.ones(len(labelled), bool)}
    for one, other in _pairs(sheet, *asked.methods):
        right = [_right(sheet, run, asked.truth, values) for run in (one, other)]
        if right[0] is None or right[1] is None:
            continue
        first, second = right[0][labelled], right[1][labelled]
        for part, mask in parts.items():
            yield from _counted(sheet, one, other, asked.truth, part, first[mask], second[mask])


def _subtypes(sheet: Sheet, labelled: Rows) -> dict[str, np.ndarray]:
    """Which of these examples are of each subtype."""
    truths = sheet.examples.truths.items()
    return {name: known.label[labelled] > 0 for name, known in truths if name.startswith("subtype:")}


def _right(sheet: Sheet, run: Run, truth: str, values: Values) -> np.ndarray | None:
    """Which examples are on their label's side of the run's threshold; None where it has none."""
    threshold = values.threshold(sheet, run, truth)
    if threshold is None or math.isnan(threshold):
        return None
    right: np.ndarray = (sheet.rewards[run] > threshold) == (sheet.examples.truths[truth].label > 0)
    return right


def _drawn(labelled: Rows, texts: int | None) -> Rows:
    if texts is None or texts >= len(labelled):
        return labelled
    return np.sort(stream("table2", len(labelled)).choice(labelled, texts, replace=False))


def _pairs(sheet: Sheet, first: str, second: str) -> Iterator[tuple[Run, Run]]:
    """The runs of two methods that belong together: of one encoder, variant and seed."""
    for one in sheet.rewards:
        for other in sheet.rewards:
            alike = one.within == other.within
            seeds = one.seed == other.seed or None in (one.seed, other.seed)
            if (one.method, other.method) == (first, second) and alike and seeds:
                yield one, other


def _counted(
    sheet: Sheet, one: Run, other: Run, truth: str, part: str, first: np.ndarray, second: np.ndarray
) -> Iterator[Record]:
    counted = disagreement.counts(first, second)
    test = disagreement.mcnemar(counted)
    numbers = dict(zip(COUNTS, counted, strict=True)) | dict(zip(MCNEMAR, test[:3], strict=True))
    for metric, value in numbers.items():
        note = "exact binomial" if metric == "mcnemar_p" and test.exact else ""
        seed = other.seed if one.seed is None else one.seed
        place = sheet.at(one._replace(seed=seed), truth, part)
        yield Record.at(place, sheet.suite, metric, float(value), len(first), other=other.method, note=note)


# --- ambiguity: how far the rewards of a method's own seeds are from one another


def ambiguities(sheets: Sequence[Sheet]) -> Iterator[Record]:
    """STARC, Spearman and Kendall between each two seeds' rewards of one method in one replicate.

    ``other`` names the second seed, ``seed:3``; there is no truth in it.
    """
    functions = dict(zip(AMBIGUITY, (starc.starc, agreement.spearman, agreement.kendall), strict=True))
    for sheet in sheets:
        runs = sorted(run for run in sheet.rewards if run.seed is not None)
        for one, other in itertools.combinations(runs, 2):
            if one._replace(seed=None) != other._replace(seed=None):
                continue
            for metric, function in functions.items():
                note = ""
                try:
                    value = function(sheet.rewards[one], sheet.rewards[other])
                except Undefined as reason:
                    value, note = math.nan, str(reason)
                n, second = len(sheet.examples), f"seed:{other.seed}"
                yield Record.at(sheet.at(one), sheet.suite, metric, value, n, other=second, note=note)
