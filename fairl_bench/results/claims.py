"""Judges the claims of a suite from a results folder alone: whether they hold, and under which selection."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import numpy as np

from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.under_selections import DEPENDS, apart_from_selection
from fairl_bench.science.moderated import half_width
from fairl_bench.science.power import detectable, p_of_equivalence, power, two_sided
from fairl_bench.science.ranks import holm
from fairl_bench.suite.selections import named_variant
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Group, Setting
from fairl_bench.values.data import DISCORDANT
from fairl_bench.values.records import NO_TRUTH, Record
from fairl_bench.values.rows import Column, selection_of
from fairl_bench.values.sheets import Sheet, Values, with_slices
from fairl_bench.values.verdicts import Claim, Effect, Outcome, Verdict

ReadSheets = Callable[[Iterable[str]], Sequence[Sheet]]
_Key = TypeVar("_Key")


def judge(
    claims: Sequence[Claim],
    read: ReadSheets,
    records: Sequence[Record],
    known: Sequence[Comparison],
    metrics: Metrics,
) -> list[Verdict]:
    """The verdict of each claim on each model, encoder and variant.

    ``read`` gives the sheets of some data.  ``known`` comparisons are taken as they are; what they lack is compared as
    Table 1's columns are, two methods at a time.  A slice that a baseline chooses differs from seed to seed, so there
    Student's t over runs is all there is.  A claim is one hypothesis, however many comparators and selections it names:
    all of them must hold, and the p of that is the largest; Holm is over these.  Where a claim under several selections
    has not the same verdict under each, it depends on the selection.
    """
    records = [row for row in records if not row.other]
    known = [*known, *_compared([claim for claim in claims if not _by_baseline(claim)], read, records, known, metrics)]
    settings = list(dict.fromkeys(row.setting for row in records))
    lines = [
        _Line(claim, metrics[claim.metric], setting, *_deciding(claim, metrics[claim.metric], setting, records, known))
        for claim in claims
        for setting in (_under(claim, settings) if claim.under else settings)
    ]
    return _verdicts(lines)


class _Line(NamedTuple):
    """A claim on one model, encoder and variant, with the comparison that decides it there."""

    claim: Claim
    metric: Metric
    setting: Setting
    effect: Effect
    p: float

    @property
    def selection(self) -> str | None:
        """The selection that the claim names here; None where it names none."""
        return selection_of(self.setting.variant) if self.claim.under else None

    def hypothesis(self) -> tuple[str, Setting]:
        """The key that the lines share which must hold together: those of one claim under its selections."""
        return self.claim.id, apart_from_selection(self.setting) if self.claim.under else self.setting


def _under(claim: Claim, settings: Sequence[Setting]) -> list[Setting]:
    """The settings of a claim's selections at each point of the suite, also where nothing is on record."""
    return [
        point._replace(variant=named_variant(json.loads(point.variant or "{}"), selection))
        for point in dict.fromkeys(map(apart_from_selection, settings))
        for selection in claim.under
    ]


def _verdicts(lines: Sequence[_Line]) -> list[Verdict]:
    """The verdict of each line; the lines of one claim under its selections share the claim's own."""
    lines_of = _positions(line.hypothesis() for line in lines)
    largest = [_largest_p([lines[at] for at in positions]) for positions in lines_of.values()]
    p_of_hypothesis = dict(zip(lines_of, holm(largest), strict=True))
    adjusted = _adjusted(lines, p_of_hypothesis)
    verdicts = [_verdict(*line, p_holm) for line, p_holm in zip(lines, adjusted, strict=True)]
    for hypothesis, positions in lines_of.items():
        first = positions[0]
        alone = {verdicts[at].alone for at in positions}
        shown = p_of_hypothesis[hypothesis] <= lines[first].claim.alpha
        verdict = DEPENDS if len(alone) > 1 else verdicts[first].alone if shown else "inconclusive"
        for at in positions:
            verdicts[at] = verdicts[at]._replace(verdict=verdict)
    return verdicts


def _positions(keys: Iterable[_Key]) -> dict[_Key, list[int]]:
    """The positions at which each key stands."""
    positions: dict[_Key, list[int]] = {}
    for at, key in enumerate(keys):
        positions.setdefault(key, []).append(at)
    return positions


def _adjusted(lines: Sequence[_Line], p_of_hypothesis: Mapping[tuple[str, Setting], float]) -> list[float]:
    """Holm's p of each line: over all hypotheses, or where its claim names selections over those under the same."""
    adjusted = [p_of_hypothesis[line.hypothesis()] for line in lines]
    for selection, positions in _positions(line.selection for line in lines).items():
        if selection is not None:
            for at, p in zip(positions, holm([lines[at].p for at in positions]), strict=True):
                adjusted[at] = p
    return adjusted


def _largest_p(lines: Sequence[_Line]) -> float:
    """The p of all lines together: the largest; 1 where some hold and some do not, NaN where one is not known."""
    every = [line.p for line in lines]
    if any(map(math.isnan, every)):
        return math.nan
    return max(every) if len({_holds(line.claim, line.effect) for line in lines}) == 1 else 1.0


def effect_of(
    better: str,
    than: str,
    metric: Metric,
    place: tuple[str, str],
    setting: Setting,
    comparisons: Sequence[Comparison],
) -> Effect | None:
    """The gain of one method over another on ``place`` (data, truth); None where the two were not compared there."""
    group = Group.of(setting, *place, metric.name)
    for row in comparisons:
        if row.group == group and {row.method, row.other} == {better, than}:
            sign = (1 if row.method == better else -1) * metric.sign
            low, high = sorted((sign * row.low, sign * row.high))
            evidence = row.p, row.error, row.freedom, row.units, row.unit, row.n, row.note
            return Effect(than, sign * row.value, low, high, *evidence)
    return None


def compared(
    questions: Iterable[tuple[str, str, str, str, str]],
    read: ReadSheets,
    records: Sequence[Record],
    known: Sequence[Comparison],
    metrics: Metrics,
) -> list[Comparison]:
    """The comparisons that ``known`` lacks; a question is two methods, a metric, data and a truth.

    ``read`` gives the sheets of some data.
    """
    from fairl_bench.results import paired

    there = {(frozenset((row.method, row.other)), row.data, row.truth, row.metric) for row in known}
    wanted: dict[tuple[frozenset[str], str, str], dict[str, None]] = {}
    for first, second, metric, data, truth in questions:
        two = frozenset((first, second))
        if (two, data, truth, metric) not in there:
            wanted.setdefault((two, data, truth), {})[metric] = None
    if not wanted:
        return []
    asked = {data for _, data, _ in wanted}
    sheets = with_slices(read({Column.of_place(data).data for data in asked}), asked)
    values, rows = Values.read(records), list[Comparison]()
    for (two, data, truth), names in wanted.items():
        of_two = [
            replace(sheet, rewards={run: reward for run, reward in sheet.rewards.items() if run.method in two})
            for sheet in sheets
        ]
        rows += paired.compared(of_two, values, [Question(data, truth, tuple(names))], metrics)
    return rows


def _compared(
    claims: Sequence[Claim],
    read: ReadSheets,
    records: Sequence[Record],
    known: Sequence[Comparison],
    metrics: Metrics,
) -> list[Comparison]:
    """The comparisons that claims need and ``known`` lacks, of what was measured."""
    measured = {(row.data, row.slice, row.truth, row.metric) for row in records}
    questions = [
        (claim.better, than, claim.metric, Column(claim.data, claim.slice).place, claim.truth)
        for claim in claims
        if any((claim.data, claim.slice, truth, claim.metric) in measured for truth in (claim.truth, NO_TRUTH))
        for than in claim.comparators()
    ]
    return compared(questions, read, records, known, metrics)


def _by_baseline(claim: Claim) -> bool:
    """True for a claim on a slice that a baseline chooses."""
    return claim.slice not in ("all", DISCORDANT)


def _deciding(
    claim: Claim, metric: Metric, setting: Setting, records: Sequence[Record], comparisons: Sequence[Comparison]
) -> tuple[Effect, float]:
    """The comparison that decides a claim, with its p.

    All comparators must be beaten: the p of that is the largest.  Where one is not, the claim falls with it, and since
    it was looked for among all of them its p counts as often as there are comparators.
    """
    effects = [_effect(claim, metric, than, setting, records, comparisons) for than in claim.comparators()]
    p = [_p(claim, effect) for effect in effects]
    if lacking := [effect for effect, p_of_effect in zip(effects, p, strict=True) if math.isnan(p_of_effect)]:
        return lacking[0], math.nan
    against = [at for at, effect in enumerate(effects) if not _holds(claim, effect)]
    if against:
        worst, different = min(against, key=lambda at: p[at]), {effect._replace(than="") for effect in effects}
        return effects[worst], min(1.0, len(different) * p[worst])
    weakest = max(range(len(effects)), key=lambda at: p[at])
    return effects[weakest], p[weakest]


def _holds(claim: Claim, effect: Effect) -> bool:
    """True where a gain is, as measured, what is claimed."""
    return effect.gain > claim.by_at_least if claim.within is None else abs(effect.gain) < claim.within


def _effect(
    claim: Claim,
    metric: Metric,
    than: str,
    setting: Setting,
    records: Sequence[Record],
    comparisons: Sequence[Comparison],
) -> Effect:
    """The gain that a claim is judged by, or one without numbers and the reason."""
    if metric.better is None:
        return _nothing(than, f"which way {claim.metric!r} is better is not known")
    if _by_baseline(claim):
        return _over_runs(claim, metric, than, setting, records)
    place = Column(claim.data, claim.slice).place
    effect = effect_of(claim.better, than, metric, (place, claim.truth), setting, comparisons)
    return effect or _nothing(than, _lack(claim, than, records))


def _lack(claim: Claim, than: str, records: Sequence[Record]) -> str:
    """The note of a claim on which nothing is on record, with the truths against which something is."""
    part = "" if claim.slice == "all" else f" in slice {claim.slice!r}"
    both = f"both {claim.better!r} and {than!r}"
    place = (claim.data, claim.metric, claim.slice)
    others = {row.truth for row in records if (row.data, row.metric, row.slice) == place} - {claim.truth}
    known = f"; it is on record against {' and '.join(map(repr, sorted(others)))}" if others else ""
    return f"no {claim.metric} of {claim.data} against {claim.truth!r}{part} is on record for {both}{known}"


def _nothing(than: str, note: str) -> Effect:
    """An effect without numbers."""
    nan = math.nan
    return Effect(than, nan, nan, nan, nan, nan, nan, 0, "", 0, note)


def _over_runs(claim: Claim, metric: Metric, than: str, setting: Setting, records: Sequence[Record]) -> Effect:
    """The gain by Student's t over the differences of runs; of several replicates, over the replicates' means."""
    better, comparator = (_by_run(method, claim, setting, records) for method in (claim.better, than))
    worlds: dict[int, list[float]] = {}
    for replicate, seed in dict.fromkeys((*better, *comparator)):
        # a run without a seed stands beside every other
        both = [runs.get((replicate, seed), runs.get((replicate, None))) for runs in (better, comparator)]
        if both[0] is not None and both[1] is not None and (seed is not None or len(better) == len(comparator)):
            worlds.setdefault(replicate, []).append(metric.sign * (both[0].value - both[1].value))
    several = len(worlds) > 1
    by_world = [[float(np.mean(world))] if several else world for world in worlds.values()]
    gains = [gain for world in by_world for gain in world]
    if not gains or any(map(math.isnan, gains)):
        return _nothing(than, _lack(claim, than, records) if not gains else "the metric is undefined in a run")
    n = min(row.n for row in (*better.values(), *comparator.values()))
    gain, count = float(np.mean(gains)), len(gains)
    if count < 2:
        return _nothing(than, "an interval over runs needs at least 2, got 1")._replace(gain=gain, units=count, n=n)
    error, freedom = float(np.std(gains, ddof=1)) / math.sqrt(count), count - 1.0
    half, p = half_width(error, freedom), float(two_sided(gain, error, freedom))
    unit = "replicate" if several else "seed"
    return Effect(than, gain, gain - half, gain + half, p, error, freedom, count, unit, n, "Student's t over runs")


def _by_run(
    method: str, claim: Claim, setting: Setting, records: Sequence[Record]
) -> Mapping[tuple[int, int | None], Record]:
    """A method's records of what a claim is of, by replicate and seed."""
    place = (claim.data, claim.truth, claim.slice, claim.metric)
    return {
        (row.replicate, row.seed): row
        for row in records
        if row.method == method and (row.data, row.truth, row.slice, row.metric) == place and row.setting == setting
    }


def _p(claim: Claim, effect: Effect) -> float:
    """The p of a gain of ``by_at_least`` (the comparison's own at zero), or of methods further apart than ``within``.

    A gain outside of ``±within`` has the p of a gain that lies on the margin: it may refute the equivalence.
    """
    if claim.within is not None:
        if _holds(claim, effect):
            return p_of_equivalence(effect.gain, effect.error, effect.freedom, claim.within)
        return float(two_sided(abs(effect.gain), effect.error, effect.freedom, claim.within))
    if not claim.by_at_least:
        return effect.p
    return float(two_sided(effect.gain, effect.error, effect.freedom, claim.by_at_least))


def _verdict(claim: Claim, metric: Metric, setting: Setting, effect: Effect, p: float, p_holm: float) -> Verdict:
    """A claim's verdict by its own numbers."""
    claimed = claim.by_at_least or math.nan if claim.effect is None else claim.effect
    outcome: Outcome = "inconclusive"
    if p_holm <= claim.alpha:
        holds: Outcome = "supported" if claim.within is None else "equivalent"
        outcome = holds if _holds(claim, effect) else "refuted"
    power_of_claimed = power(claimed, effect.error, effect.freedom, claim.alpha)
    smallest = detectable(effect.error, effect.freedom, claim.alpha)
    return Verdict(claim, metric, setting, effect, p, p_holm, power_of_claimed, smallest, outcome, outcome)
