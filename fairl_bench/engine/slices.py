"""Slices: the pairs that a baseline misranks, those that it barely tells apart, and those with one good text.

A slice is evaluated as one more data set beside the whole ones.  So every evaluator can be used for slices without
knowing about them, and other data that it reads, such as those of its threshold, stay whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fairl_bench.guards.answers import measures
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.values.data import DISCORDANT, GOLD, Examples, Floats, Scored
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


def discordant(
    evaluator: Evaluator,
    whole: Mapping[str, Scored],
    data: Iterable[str],
    upstream: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Measure]:
    """The evaluator's numbers of the pairs of these data whose ``gold`` labels differ.

    Where there is none, every number is NaN with the reason.
    """
    found = {name: _only(whole[name], whole[name].examples.discordant()) for name in data}
    cut = {name: {DISCORDANT: scored} for name, scored in found.items() if len(scored.reward)}
    yield from evaluate_slices(evaluator, whole, cut, upstream)
    for name in (name for name in found if name not in cut):
        yield from _undefined(evaluator, name, _why_none(whole[name].examples))


def _why_none(examples: Examples) -> str:
    """Why there is no pair whose ``gold`` labels differ."""
    truth = examples.truths.get(GOLD)
    if truth is None or not truth.label.any():
        return f"no label of the truth {GOLD!r} is known, so that no pair is discordant"
    return f"the {GOLD!r} labels differ in none of {len(examples.pair_rows())} pairs"


def _undefined(evaluator: Evaluator, data: str, reason: str) -> Iterator[Measure]:
    """Every number that the evaluator declares, of discordant pairs that there are not."""
    for truth in sorted(evaluator.measured()) or [""]:
        for metric in evaluator.metrics:
            yield Measure(data, truth, metric.name, math.nan, 0, reason, DISCORDANT)


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
