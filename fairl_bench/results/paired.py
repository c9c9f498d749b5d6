"""Intervals of each method and paired differences of each two, from the scores of all their runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fairl_bench.errors import Undefined
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.resampled import Resampling
from fairl_bench.science import resampling
from fairl_bench.science.intervals import Estimate, bootstrap, bounded, cohens_d, defined
from fairl_bench.science.moderated import differences, half_width
from fairl_bench.science.power import two_sided
from fairl_bench.science.ranks import holm
from fairl_bench.science.resampling import Clustered, Draws
from fairl_bench.science.streams import stream
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Run, Setting
from fairl_bench.values.data import Floats, Rows
from fairl_bench.values.sheets import Sheet, Values

RESAMPLES = 10_000
FEWEST = 10  # clusters below which resampling them says too little: Student's t over units is all there is
MANY = 400_000  # examples times runs from which on a fifth of the resamples must do: minutes become seconds


def compared(
    sheets: Sequence[Sheet],
    values: Values,
    questions: Iterable[Question],
    declared: Metrics,
    resamples: int = RESAMPLES,
) -> list[Comparison]:
    """Each method's interval and each two methods' paired difference, by model, encoder, variant, data and metric."""
    rows: list[Comparison] = []
    for question in questions:
        mine = [sheet for sheet in sheets if sheet.data == question.data]
        for model in dict.fromkeys(sheet.model for sheet in mine):
            worlds = [sheet for sheet in mine if sheet.model == model]
            for setting in dict.fromkeys(sheet.at(run).setting for sheet in worlds for run in sheet.rewards):
                rows += RunsOfSetting(worlds, setting, question, values, declared).comparisons(resamples)
    return rows


_EVERY = -1  # the unit of a run that stands for every seed


class _Unit(NamedTuple):
    """A method's metric in one unit, and under resampled examples where these are a part of its error."""

    value: float
    draws: Floats | None = None  # [resamples]
    left: Floats | None = None  # [groups]


_ByUnit = Mapping[int, _Unit]


class RunsOfSetting:
    """The runs of one model, encoder and variant on one data set."""

    def __init__(
        self, worlds: Sequence[Sheet], setting: Setting, question: Question, values: Values, declared: Metrics
    ) -> None:
        self.setting, self.question, self.values = setting, question, values
        self.metrics = [declared[name] for name in question.metrics]
        within = (setting.encoder, setting.variant)
        chosen = [(sheet, [run for run in sheet.rewards if run.within == within]) for sheet in worlds]
        self.worlds = {sheet.replicate: (sheet, runs) for sheet, runs in chosen if runs}
        self.methods = list(dict.fromkeys(run.method for _, runs in self.worlds.values() for run in runs))

    @property
    def several(self) -> bool:
        """Whether replicates, and not seeds, are the units."""
        return len(self.worlds) > 1

    def comparisons(self, resamples: int) -> Iterator[Comparison]:
        """Every metric's."""
        ((sheet, runs), *others) = self.worlds.values()
        resamples = resamples if len(sheet.examples) * len(runs) < MANY else resamples // 5
        # where there are several replicates, the noise of examples is in what these differ by
        draws = {} if others else self._draws(sheet, runs, resamples)
        for metric in self.metrics:
            drawn = draws.get(metric.name)
            yield from self._of(metric, drawn, resamples if drawn else 0)

    def _draws(self, sheet: Sheet, runs: Sequence[Run], resamples: int) -> dict[str, Draws]:
        """Every metric that can be resampled; runs as columns."""
        clusters = sheet.clusters()
        statistics = self.statistics(sheet, runs, clusters)
        if not statistics or int(clusters.max()) + 1 < FEWEST:
            return {}
        number = int(clusters.max()) + 1
        draws = resampling.resampled(list(statistics.values()), number, resamples, stream("bootstrap", 0))
        return dict(zip(statistics, draws, strict=True))

    def statistics(self, sheet: Sheet, runs: Sequence[Run], clusters: Rows) -> dict[str, Clustered]:
        """The metrics of these runs that can be resampled, as functions of weights."""
        resampling = Resampling(sheet, runs, self.question.truth, self.values, clusters)
        return {one.name: found for one in self.metrics if (found := resampling.of(one)) is not None}

    def _of(self, metric: Metric, draws: Draws | None, resamples: int) -> Iterator[Comparison]:
        """One metric: each method's own, then each difference with its p over all of them."""
        recorded = {replicate: self._recorded(metric.name, *world) for replicate, world in self.worlds.items()}
        by_unit = [self._units(method, recorded, draws) for method in self.methods]
        for method, own in zip(self.methods, by_unit, strict=True):
            yield self._row(metric.name, method, "", _own(metric, own), [one.value for one in own.values()], resamples)
        differences_of = _apart(by_unit)
        adjusted = holm([answer.p if isinstance(answer, Estimate) else math.nan for answer in differences_of])
        pairs = itertools.combinations(range(len(self.methods)), 2)
        for (i, j), answer, p_holm in zip(pairs, differences_of, adjusted, strict=True):
            gaps = [one.value - other.value for one, other in _both(by_unit[i], by_unit[j])]
            yield self._row(metric.name, self.methods[i], self.methods[j], answer, gaps, resamples, p_holm)

    def _recorded(self, metric: str, sheet: Sheet, runs: Sequence[Run]) -> list[float | None]:
        """The number of each run; None where there is none on record."""
        return [self.values.get(sheet, run, self.question.truth, metric) for run in runs]

    def _units(self, method: str, recorded: Mapping[int, Sequence[float | None]], draws: Draws | None) -> _ByUnit:
        """A method's metric by replicate, the mean over its seeds; where there is one replicate, by seed."""
        by_unit = dict[int, _Unit]()
        for replicate, (_, runs) in self.worlds.items():
            numbers = recorded[replicate]
            columns = [at for at, run in enumerate(runs) if run.method == method and numbers[at] is not None]
            value = np.array(numbers, np.float64)  # None becomes NaN
            if self.several and columns:
                by_unit[replicate] = _Unit(float(value[columns].mean()))
            elif not self.several:
                for at in columns:
                    more = (draws.draws[:, at], draws.left[:, at]) if draws else ()
                    by_unit[_EVERY if (seed := runs[at].seed) is None else seed] = _Unit(float(value[at]), *more)
        return by_unit

    def _row(
        self,
        metric: str,
        method: str,
        other: str,
        answer: Estimate | str,
        points: Sequence[float],
        resamples: int,
        p_holm: float = math.nan,
    ) -> Comparison:
        nothing = Estimate(float(np.mean(points)) if points else math.nan, *[math.nan] * 5)
        estimate, note = (nothing, answer) if isinstance(answer, str) else (answer, "")
        return Comparison(
            **self.setting._asdict(),
            data=self.question.data,
            truth=self.question.truth,
            metric=metric,
            method=method,
            other=other,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            p=estimate.p if other else math.nan,
            p_holm=p_holm,
            error=estimate.error,
            freedom=estimate.freedom,
            effect=_or_nan(cohens_d, points) if other else math.nan,
            n=min(len(sheet.examples) for sheet, _ in self.worlds.values()),
            units=len(points),
            unit="" if len(points) < 2 else "replicate" if self.several else "seed",
            resamples=resamples,
            note=note,
        )


def _own(metric: Metric, units: _ByUnit) -> Estimate | str:
    """A method's own number with its interval, or why it has none."""
    values_of = list(units.values())
    if not values_of:
        return "no run"
    values = np.array([one.value for one in values_of])
    if not np.isfinite(values).all():
        return "the metric is undefined in a unit"
    try:
        if len(values_of) == 1:
            return _alone(values_of[0])
        value = float(values.mean())
        error = math.sqrt(values.var(ddof=1) / len(values) + _of_examples([one.draws for one in values_of]))
    except Undefined as reason:
        return str(reason)
    half = half_width(error, len(values) - 1)
    return Estimate(value, *bounded(value, half, metric.bounds), math.nan, error, len(values) - 1.0)


def _alone(unit: _Unit) -> Estimate:
    if unit.draws is None or unit.left is None:
        raise Undefined("an interval over runs needs at least 2, got 1")
    return bootstrap(unit.value, unit.draws, unit.left)


def _of_examples(draws: Sequence[Floats | None]) -> float:
    """The variance of the mean over units by the examples that these share; 0 where they were not resampled."""
    known = [one for one in draws if one is not None]
    return float(defined(np.mean(known, axis=0)).var()) if known else 0.0


def _apart(by_unit: Sequence[_ByUnit]) -> list[Estimate | str]:
    """The difference of each two methods, or why there is none, in the order of `itertools.combinations`."""
    units = sorted({unit for own in by_unit for unit in own} - {_EVERY}) or [_EVERY]
    nothing = _Unit(math.nan)
    values = [[own.get(unit, own.get(_EVERY, nothing)).value for unit in units] for own in by_unit]
    pairs = [list(_both(one, other)) for one, other in itertools.combinations(by_unit, 2)]
    examples = np.array([_shared(pair) for pair in pairs])
    gaps = differences(values, np.nan_to_num(examples))
    p = two_sided(*gaps)
    return [
        _difference(pair, *numbers)
        for pair, *numbers in zip(pairs, gaps.value, gaps.error, gaps.freedom, p, examples, strict=True)
    ]


def _both(one: _ByUnit, other: _ByUnit) -> Iterator[tuple[_Unit, _Unit]]:
    """The units that both have; a run that stands for every unit is set against each."""
    for unit in sorted((set(one) | set(other)) - {_EVERY} or {_EVERY}):
        both = one.get(unit, one.get(_EVERY)), other.get(unit, other.get(_EVERY))
        if both[0] is not None and both[1] is not None:
            yield both[0], both[1]


def _shared(pair: Sequence[tuple[_Unit, _Unit]]) -> float:
    """`_of_examples` of a difference; NaN where too many resamples have no value."""
    try:
        return _of_examples([_gap(one.draws, other.draws) for one, other in pair])
    except Undefined:
        return math.nan


def _gap(one: Floats | None, other: Floats | None) -> Floats | None:
    """The difference of resampled numbers, 0 where it is the rounding of float32: equal methods are to be equal."""
    if one is None or other is None:
        return None
    gap: Floats = one - other
    gap[np.abs(gap) <= 2e-6 * np.abs(one)] = 0.0
    return gap


def _difference(
    pair: Sequence[tuple[_Unit, _Unit]], value: float, error: float, freedom: float, p: float, examples: float
) -> Estimate | str:
    if not pair:
        return "no run of both"
    if not all(math.isfinite(unit.value) for both in pair for unit in both):
        return "the metric is undefined in a unit"
    if len(pair) == 1:
        ((one, other),) = pair
        draws, left = _gap(one.draws, other.draws), _gap(one.left, other.left)
        try:
            return _alone(_Unit(one.value - other.value, draws, left))
        except Undefined as reason:
            return str(reason)
    if math.isnan(examples):
        return "the metric is undefined in too many resamples"
    if math.isnan(error):
        return "the difference is exactly the same in every run, so that no interval can be computed"
    half = half_width(float(error), float(freedom))
    return Estimate(float(value), float(value - half), float(value + half), float(p), float(error), float(freedom))


def _or_nan(function: Callable[..., float], *arguments: object) -> float:
    try:
        return function(*arguments)
    except Undefined:
        return math.nan
