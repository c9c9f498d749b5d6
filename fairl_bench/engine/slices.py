"""Failure slices: the pairs that a baseline misranks, and those that it barely tells apart.

A slice is evaluated as one more data set beside the whole ones.  So every evaluator can be used for slices without
knowing about them, and other data that it reads, such as those of its threshold, stay whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fairl_bench.guards.answers import measures
from fairl_bench.kinds import Evaluator
from fairl_bench.values.data import Floats, Scored
from fairl_bench.values.records import Evidence, Measure

MISRANKED, NEAR_TIE = "misranked", "near-tie"
_MARK = "@"  # between data and slice; no name of a data set has one


def slices_of(scored: Scored, baseline: Floats, near_tie: float) -> dict[str, Scored]:
    """The pairs whose margin under the rewards ``baseline [n]`` is at most 0, and the share with the smallest |margin|.

    A slice without a pair is left out; a near-tie is at least one pair, and equal margins go by their order.
    """
    rows = scored.pair_rows()
    margin = Scored(scored.examples, baseline).margins()
    closest = np.argsort(np.abs(margin), kind="stable")[: max(1, round(near_tie * len(margin)))]
    pairs_of = {MISRANKED: np.flatnonzero(margin <= 0), NEAR_TIE: np.sort(closest)}
    return {name: _only(scored, np.sort(rows[pairs].ravel())) for name, pairs in pairs_of.items() if len(pairs)}


def _only(scored: Scored, rows: np.ndarray) -> Scored:
    """The scored examples of these rows."""
    return Scored(scored.examples.take(rows), scored.reward[rows])


def evaluate_slices(
    evaluator: Evaluator,
    whole: Mapping[str, Scored],
    sliced: Mapping[str, Mapping[str, Scored]],
    upstream: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Measure]:
    """The evaluator's numbers of each slice; ``sliced`` holds them by data and slice, ``whole`` all that it needs.

    ``upstream`` is what it asks for itself.
    """
    cut = {f"{data}{_MARK}{name}": scored for data, slices in sliced.items() for name, scored in slices.items()}
    if cut:
        of_slices = evaluator.model_copy(update={"data": tuple(cut)})
        yield from _named(measures(of_slices, of_slices.evaluate({**whole, **cut}, **upstream)))


def _named(numbers: Iterable[Measure | Evidence]) -> Iterator[Measure]:
    """The measures under the names of their data and slice; those of an evaluator's own slices are left out."""
    for measure in numbers:
        if isinstance(measure, Evidence):
            continue
        data, mark, name = measure.data.partition(_MARK)
        if mark and measure.slice == "all":
            yield measure._replace(data=data, slice=name)
