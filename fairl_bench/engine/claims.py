"""Claims of a suite, judged: supported, refuted or inconclusive, from a results folder alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from fairl_bench.engine.suite import Claim
from fairl_bench.errors import Undefined
from fairl_bench.records import Record
from fairl_bench.science.intervals import t_interval, t_test
from fairl_bench.science.power import detectable, power, shifted_p, standard_error
from fairl_bench.science.ranks import holm
from fairl_bench.tables.comparisons import Comparison
from fairl_bench.tables.rows import ARROWS, head, point
from fairl_bench.tables.scores import Sheet, Values, read_folder
from fairl_bench.tables.table import Table, Value

SUPPORTED, REFUTED, INCONCLUSIVE = "supported", "refuted", "inconclusive"


class Effect(NamedTuple):
    """How much better one method is than another, in the direction in which its metric is better."""

    gain: float
    low: float
    high: float
    p: float  # of a gain of zero
    units: int
    unit: str
    n: int
    note: str


class Verdict(NamedTuple):
    """A claim of one model, encoder and variant, with what it was judged by."""

    claim: Claim
    model: str
    encoder: str
    variant: str
    effect: Effect
    p: float  # of a gain of ``by_at_least``
    p_holm: float  # over all verdicts of the suite
    power: float  # of finding the effect that the source reports; NaN where it reports none
    detectable: float  # the gain found with a power of 0.8
    verdict: Literal["supported", "refuted", "inconclusive"]

    @property
    def met(self) -> bool:
        """Whether it came out as the suite expects."""
        return self.claim.expect in ("any", self.verdict)


def judge(
    claims: Sequence[Claim], folder: Path, suite: str, found: Sequence[Record], known: Sequence[Comparison]
) -> list[Verdict]:
    """The verdict of each claim on each model, encoder and variant.

    ``known`` comparisons are taken as they are; what they lack is compared as Table 1's columns are, by the two-level
    bootstrap.  A slice differs from seed to seed, so there Student's t over runs is all there is.
    """
    found = [row for row in found if not row.other]
    known = [*known, *_compared([claim for claim in claims if claim.slice == "all"], folder, suite, found, known)]
    axes = list(dict.fromkeys((row.model, row.encoder, row.variant) for row in found))
    judged = [(claim, group, _effect(claim, group, found, known)) for claim in claims for group in axes]
    plain = [_p(claim, effect) for claim, _, effect in judged]
    adjusted = iter(holm([p for p in plain if not math.isnan(p)]))
    return [
        _verdict(claim, group, effect, p, p if math.isnan(p) else next(adjusted))
        for (claim, group, effect), p in zip(judged, plain, strict=True)
    ]


def effect_of(
    better: str, than: str, metric: str, place: tuple[str, str], axes: tuple[str, str, str], known: Sequence[Comparison]
) -> Effect | None:
    """The gain of one method over another on ``place``, data and truth, as compared; None where it was not."""
    for row in known:
        if row.group == (*axes, *place, metric) and {row.method, row.other} == {better, than}:
            sign = (1 if row.method == better else -1) * (-1 if ARROWS.get(metric) == "↓" else 1)
            low, high = sorted((sign * row.low, sign * row.high))
            return Effect(sign * row.value, low, high, row.p, row.units, row.unit, row.n, row.note)
    return None


def compared(
    questions: Iterable[tuple[str, str, str, str, str]],
    read: Callable[[set[str]], Sequence[Sheet]],
    found: Sequence[Record],
    known: Sequence[Comparison],
) -> list[Comparison]:
    """The comparisons that ``known`` lacks: of each question its two methods, metric, data and truth.

    ``read`` gives the sheets of some data.
    """
    from fairl_bench.tables import paired

    there = {(frozenset((row.method, row.other)), *row.group[3:]) for row in known}
    wanted: dict[tuple[frozenset[str], str, str], dict[str, None]] = {}
    for one, other, metric, data, truth in questions:
        two = frozenset((one, other))
        if (two, data, truth, metric) not in there:
            wanted.setdefault((two, data, truth), {})[metric] = None
    if not wanted:
        return []
    sheets = read({data for _, data, _ in wanted})
    values, rows = Values.read(found), list[Comparison]()
    for (two, data, truth), metrics in wanted.items():
        mine = [
            replace(sheet, rewards={run: reward for run, reward in sheet.rewards.items() if run.method in two})
            for sheet in sheets
        ]
        rows += paired.compared(mine, values, [paired.Question(data, truth, tuple(metrics))])
    return rows


def _compared(
    claims: Sequence[Claim], folder: Path, suite: str, found: Sequence[Record], known: Sequence[Comparison]
) -> list[Comparison]:
    measured = {(row.data, row.truth, row.metric) for row in found}
    asked = [claim for claim in claims if (claim.data, claim.truth, claim.metric) in measured]
    questions = [(claim.better, claim.than, claim.metric, claim.data, claim.truth) for claim in asked]
    return compared(questions, partial(read_folder, folder, suite), found, known)


def _effect(claim: Claim, axes: tuple[str, str, str], found: Sequence[Record], known: Sequence[Comparison]) -> Effect:
    if claim.metric not in ARROWS:
        return _nothing(f"which way {claim.metric!r} is better is not known")
    if claim.slice != "all":
        return _over_runs(claim, axes, found)
    effect = effect_of(claim.better, claim.than, claim.metric, (claim.data, claim.truth), axes, known)
    return effect or _nothing(_lack(claim))


def _lack(claim: Claim) -> str:
    part = "" if claim.slice == "all" else f" in slice {claim.slice!r}"
    return f"no {claim.metric} of {claim.data} against {claim.truth!r}{part} is on record for both methods"


def _nothing(note: str) -> Effect:
    return Effect(math.nan, math.nan, math.nan, math.nan, 0, "", 0, note)


def _over_runs(claim: Claim, axes: tuple[str, str, str], found: Sequence[Record]) -> Effect:
    """Student's t over the differences of runs; of several replicates, over the replicates' means."""
    one, other = (_by_run(method, claim, axes, found) for method in (claim.better, claim.than))
    sign = -1 if ARROWS[claim.metric] == "↓" else 1
    worlds: dict[int, list[float]] = {}
    for replicate, seed in dict.fromkeys((*one, *other)):
        # a run without a seed stands beside every other
        both = [runs.get((replicate, seed), runs.get((replicate, None))) for runs in (one, other)]
        if both[0] is not None and both[1] is not None and (seed is not None or len(one) == len(other)):
            worlds.setdefault(replicate, []).append(sign * (both[0].value - both[1].value))
    several = len(worlds) > 1
    by_world = [[float(np.mean(world))] if several else world for world in worlds.values()]
    gains = [gain for world in by_world for gain in world]
    if not gains or any(map(math.isnan, gains)):
        return _nothing(_lack(claim) if not gains else "the metric is undefined in a run")
    n = min(row.n for row in (*one.values(), *other.values()))
    unit = "" if len(gains) < 2 else "replicate" if several else "seed"
    try:
        ends, p, note = t_interval(gains), t_test(gains), "Student's t over runs"
    except Undefined as reason:
        ends, p, note = (math.nan, math.nan), math.nan, str(reason)
    return Effect(float(np.mean(gains)), *ends, p, len(gains), unit, n, note)


def _by_run(
    method: str, claim: Claim, axes: tuple[str, str, str], found: Sequence[Record]
) -> Mapping[tuple[int, int | None], Record]:
    place = (claim.data, claim.truth, claim.slice, claim.metric)
    return {
        (row.replicate, row.seed): row
        for row in found
        if row.method == method
        and (row.data, row.truth, row.slice, row.metric) == place
        and (row.model, row.encoder, row.variant) == axes
    }


def _p(claim: Claim, effect: Effect) -> float:
    """Of a gain of ``by_at_least``: the comparison's own at zero; elsewhere the normal one of the interval's width."""
    if not claim.by_at_least or math.isnan(effect.p):
        return effect.p
    return shifted_p(effect.gain - claim.by_at_least, standard_error(effect.low, effect.high))


def _verdict(claim: Claim, axes: tuple[str, str, str], effect: Effect, p: float, p_holm: float) -> Verdict:
    error = standard_error(effect.low, effect.high)
    claimed = claim.by_at_least or math.nan if claim.effect is None else claim.effect
    shown = p_holm <= claim.alpha
    above = effect.gain > claim.by_at_least
    verdict: Literal["supported", "refuted", "inconclusive"]
    verdict = "inconclusive" if not shown else "supported" if above else "refuted"
    finds = power(claimed, error, claim.alpha)
    return Verdict(claim, *axes, effect, p, p_holm, finds, detectable(error, claim.alpha), verdict)


def table(verdicts: Sequence[Verdict]) -> Table:
    """One line a claim (and model, encoder and variant, where there are several)."""
    several = len({one[1:4] for one in verdicts}) > 1
    rows = tuple((*(_place(one) if several else ()), *_shown(one)) for one in verdicts)
    names: tuple[str, ...] = ("model", "encoder", "variant") if several else ()
    names += ("claim", "better", "than", "data", "metric", "gain", "95 %", "p (Holm)", "power", "finds", "verdict")
    notes = [
        "Gain: how much better, in the direction in which the metric is better; interval and p as in Table 1, of "
        f"slices by Student's t over runs; Holm over all {len(verdicts)} lines. Power: of finding, at this n, the gain "
        "that the claim's source reports; finds: the gain that is found with a power of 0.8 (normal, before Holm).",
        *dict.fromkeys(f"{one.claim.id}: {one.effect.note}." for one in verdicts if one.effect.note),
        *(f"{one.claim.id}: expected to be {one.claim.expect}, is {one.verdict}." for one in verdicts if not one.met),
    ]
    return Table("Claims", tuple(("", name) for name in names), rows, tuple(notes), tuple(map(plain, verdicts)))


def _place(one: Verdict) -> tuple[str, str, str]:
    return one.model, one.encoder, point(one.variant)


def _shown(one: Verdict) -> tuple[str, ...]:
    claim, effect = one.claim, one.effect
    data = " ".join((claim.data, *(() if claim.slice == "all" else (claim.slice,)), f"({claim.truth})"))
    ends = "n/a" if math.isnan(effect.low) else f"[{effect.low:+.3f}, {effect.high:+.3f}]"
    p = "n/a" if math.isnan(one.p_holm) else "< 0.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"
    numbers = (_number(effect.gain, "+.3f"), ends, p, _number(one.power, ".2f"), _number(one.detectable, ".3f"))
    verdict = one.verdict + ("" if one.met else f" (expected: {claim.expect})")
    return claim.id, claim.better, claim.than, data, head(claim.metric), *numbers, verdict


def _number(value: float, form: str) -> str:
    return "n/a" if math.isnan(value) else format(value, form)


def plain(one: Verdict) -> dict[str, Value]:
    """A verdict as ``run.json`` and the tables' files keep it."""
    claim, effect = one.claim, one.effect
    said: dict[str, Value] = {"claim": claim.id, "model": one.model, "encoder": one.encoder, "variant": one.variant}
    said |= {"better": claim.better, "than": claim.than, "metric": claim.metric, "data": claim.data}
    said |= {"truth": claim.truth, "slice": claim.slice, "by_at_least": claim.by_at_least, "alpha": claim.alpha}
    said |= {"gain": effect.gain, "low": effect.low, "high": effect.high, "p": one.p, "p_holm": one.p_holm}
    said |= {"power": one.power, "detectable": one.detectable, "n": effect.n, "units": effect.units}
    said |= {"unit": effect.unit, "verdict": one.verdict, "expect": claim.expect, "met": int(one.met)}
    return {**said, "source": claim.source, "note": effect.note}
