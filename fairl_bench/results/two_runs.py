"""Records of two runs: where two methods disagree, and how far the rewards of a method's own seeds are apart.

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


def disagreements(sheet: Sheet, values: Values, two_methods: TwoMethods) -> Iterator[Record]:
    """The counts of texts that both methods, only the first, only the second or neither has right, with McNemar's test.

    Subtypes are slices of their names.  A run of a method without seeds stands beside each of the other's.
    """
    truth = sheet.examples.truths.get(two_methods.truth)
    if truth is None:
        return
    labelled = _drawn(np.flatnonzero(truth.label), two_methods.texts)
    parts = _subtypes(sheet, labelled) if two_methods.subtypes else {"all": np.ones(len(labelled), bool)}
    for first, second in _pairs(sheet, *two_methods.methods):
        right = [_right(sheet, run, two_methods.truth, values) for run in (first, second)]
        if right[0] is None or right[1] is None:
            continue
        first_right, second_right = right[0][labelled], right[1][labelled]
        for part, mask in parts.items():
            yield from _counted(sheet, first, second, two_methods.truth, part, first_right[mask], second_right[mask])


def _subtypes(sheet: Sheet, labelled: Rows) -> dict[str, np.ndarray]:
    """For each subtype, which of the examples are of it."""
    truths = sheet.examples.truths.items()
    return {name: truth.label[labelled] > 0 for name, truth in truths if name.startswith("subtype:")}


def _right(sheet: Sheet, run: Run, truth: str, values: Values) -> np.ndarray | None:
    """For each example, whether it is on its label's side of the run's threshold; None where the run has none."""
    threshold = values.threshold(sheet, run, truth)
    if threshold is None:
        return None
    right: np.ndarray = (sheet.rewards[run] > threshold) == (sheet.examples.truths[truth].label > 0)
    return right


def _drawn(labelled: Rows, texts: int | None) -> Rows:
    """At most so many of the labelled examples, drawn once."""
    if texts is None or texts >= len(labelled):
        return labelled
    return np.sort(stream("table2", len(labelled)).choice(labelled, texts, replace=False))


def _pairs(sheet: Sheet, first_method: str, second_method: str) -> Iterator[tuple[Run, Run]]:
    """The runs of two methods that belong together: of one encoder, variant and seed."""
    for first in sheet.rewards:
        for second in sheet.rewards:
            alike = first.within == second.within
            seeds = first.seed == second.seed or None in (first.seed, second.seed)
            if (first.method, second.method) == (first_method, second_method) and alike and seeds:
                yield first, second


def _counted(
    sheet: Sheet, first: Run, second: Run, truth: str, part: str, first_right: np.ndarray, second_right: np.ndarray
) -> Iterator[Record]:
    """The counts and McNemar's test of two runs on some examples."""
    counts = disagreement.counts(first_right, second_right)
    test = disagreement.mcnemar(counts)
    numbers = dict(zip(COUNTS, counts, strict=True)) | dict(zip(MCNEMAR, test[:3], strict=True))
    for metric, value in numbers.items():
        note = "exact binomial" if metric == "mcnemar_p" and test.exact else ""
        seed = second.seed if first.seed is None else first.seed
        place = sheet.at(first._replace(seed=seed), truth, part)
        yield Record.at(place, sheet.suite, metric, float(value), len(first_right), other=second.method, note=note)


# --- ambiguity: how far the rewards of a method's own seeds are from one another


def ambiguities(sheets: Sequence[Sheet]) -> Iterator[Record]:
    """STARC, Spearman and Kendall between each two seeds' rewards of one method in one replicate.

    ``other`` names the second seed, ``seed:3``; there is no truth in it.
    """
    functions = dict(zip(AMBIGUITY, (starc.starc, agreement.spearman, agreement.kendall), strict=True))
    for sheet in sheets:
        runs = sorted(run for run in sheet.rewards if run.seed is not None)
        for first, second in itertools.combinations(runs, 2):
            if first._replace(seed=None) != second._replace(seed=None):
                continue
            for metric, function in functions.items():
                note = ""
                try:
                    value = function(sheet.rewards[first], sheet.rewards[second])
                except Undefined as reason:
                    value, note = math.nan, str(reason)
                n, second_seed = len(sheet.examples), f"seed:{second.seed}"
                yield Record.at(sheet.at(first), sheet.suite, metric, value, n, other=second_seed, note=note)
