"""Intervals of each method and paired differences of each two, from the scores of all their runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
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
    *,
    references: Container[str] = (),
) -> list[Comparison]:
    """The interval of each method and the paired difference of each two methods, one `Comparison` each.

    They are made for each model, encoder, variant, data and metric.  A method among ``references`` has its interval
    and no difference: it is in no test, and counts nowhere among those that are.
    """
    rows: list[Comparison] = []
    for question in questions:
        of_data = [sheet for sheet in sheets if sheet.data == question.data]
        for model in dict.fromkeys(sheet.model for sheet in of_data):
            worlds = [sheet for sheet in of_data if sheet.model == model]
            for setting in dict.fromkeys(sheet.at(run).setting for sheet in worlds for run in sheet.rewards):
                runs = RunsOfSetting(worlds, setting, question, values, declared, references)
                rows += runs.comparisons(resamples)
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
        self,
        worlds: Sequence[Sheet],
        setting: Setting,
        question: Question,
        values: Values,
        declared: Metrics,
        references: Container[str] = (),
    ) -> None:
        self.setting, self.question, self.values = setting, question, values
        self.metrics = [declared[name] for name in question.metrics]
        within = (setting.encoder, setting.variant)
        chosen = [(sheet, [run for run in sheet.rewards if run.within == within]) for sheet in worlds]
        self.worlds = {sheet.replicate: (sheet, runs) for sheet, runs in chosen if runs}
        self.methods = list(dict.fromkeys(run.method for _, runs in self.worlds.values() for run in runs))
        self.tested = [method for method in self.methods if method not in references]

    @property
    def several(self) -> bool:
        """True where replicates, and not seeds, are the units."""
        return len(self.worlds) > 1

    def comparisons(self, resamples: int) -> Iterator[Comparison]:
        """The comparisons of every metric."""
        ((sheet, runs), *further) = self.worlds.values()
        resamples = resamples if len(sheet.examples) * len(runs) < MANY else resamples // 5
        # where there are several replicates, the noise of examples is in what these differ by
        draws = {} if further else self._draws(sheet, runs, resamples)
        for metric in self.metrics:
            drawn = draws.get(metric.name)
            yield from self._of_metric(metric, drawn, resamples if drawn else 0)

    def _draws(self, sheet: Sheet, runs: Sequence[Run], resamples: int) -> dict[str, Draws]:
        """The resampled numbers of every metric that can be resampled, runs as columns."""
        clusters = sheet.clusters()
        statistics = self.statistics(sheet, runs, clusters)
        if not statistics or int(clusters.max()) + 1 < FEWEST:
            return {}
        number = int(clusters.max()) + 1
        draws = resampling.resampled(list(statistics.values()), number, resamples, stream("bootstrap", 0))
        return dict(zip(statistics, draws, strict=True))

    def statistics(self, sheet: Sheet, runs: Sequence[Run], clusters: Rows) -> dict[str, Clustered]:
        """The metrics of these runs that can be resampled, as functions of weights."""
        forms = Resampling(sheet, runs, self.question.truth, self.values, clusters)
        return {metric.name: form for metric in self.metrics if (form := forms.of(metric)) is not None}

    def _of_metric(self, metric: Metric, draws: Draws | None, resamples: int) -> Iterator[Comparison]:
        """The comparisons of one metric: first each method, then each two with Holm's p over all differences."""
        recorded = {replicate: self._recorded(metric.name, *world) for replicate, world in self.worlds.items()}
        by_unit = {method: self._units(method, recorded, draws) for method in self.methods}
        for method, units in by_unit.items():
            values = [unit.value for unit in units.values()]
            yield self._comparison(metric.name, method, "", _estimate(metric, units), values, resamples)
        answers = _estimated_differences([by_unit[method] for method in self.tested])
        adjusted = holm([answer.p if isinstance(answer, Estimate) else math.nan for answer in answers])
        pairs = itertools.combinations(self.tested, 2)
        for (method, other), answer, p_holm in zip(pairs, answers, adjusted, strict=True):
            gaps = [first.value - second.value for first, second in _shared_units(by_unit[method], by_unit[other])]
            yield self._comparison(metric.name, method, other, answer, gaps, resamples, p_holm)

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

    def _comparison(
        self,
        metric: str,
        method: str,
        other: str,
        answer: Estimate | str,
        points: Sequence[float],
        resamples: int,
        p_holm: float = math.nan,
    ) -> Comparison:
        """A comparison; ``answer`` is the estimate or why there is none, ``points`` are the values of the units."""
        estimate, note = _estimate_and_note(answer, points)
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


def _estimate_and_note(answer: Estimate | str, points: Sequence[float]) -> tuple[Estimate, str]:
    """An answer as an estimate with an empty note, or as a mean without an interval and the note that says why."""
    if isinstance(answer, Estimate):
        return answer, ""
    return Estimate(float(np.mean(points)) if points else math.nan, *[math.nan] * 5), answer


def _estimate(metric: Metric, by_unit: _ByUnit) -> Estimate | str:
    """The mean of a method over its units with its interval, or why it has none."""
    units = list(by_unit.values())
    if not units:
        return "no run"
    values = np.array([unit.value for unit in units])
    if not np.isfinite(values).all():
        return "the metric is undefined in a unit"
    try:
        if len(units) == 1:
            return _bootstrapped(units[0])
        value = float(values.mean())
        variance = _variance_of_examples([unit.draws for unit in units])
        error = math.sqrt(values.var(ddof=1) / len(values) + variance)
    except Undefined as reason:
        return str(reason)
    half = half_width(error, len(values) - 1)
    return Estimate(value, *bounded(value, half, metric.bounds), math.nan, error, len(values) - 1.0)


def _bootstrapped(unit: _Unit) -> Estimate:
    """The interval of a single unit, from its resampled examples."""
    if unit.draws is None or unit.left is None:
        raise Undefined("an interval over runs needs at least 2, got 1")
    return bootstrap(unit.value, unit.draws, unit.left)


def _variance_of_examples(draws: Sequence[Floats | None]) -> float:
    """The variance that shared examples give the mean over units; 0 where they were not resampled."""
    drawn = [draws_of_unit for draws_of_unit in draws if draws_of_unit is not None]
    return float(defined(np.mean(drawn, axis=0)).var()) if drawn else 0.0


def _estimated_differences(by_unit: Sequence[_ByUnit]) -> list[Estimate | str]:
    """The difference of each two methods, or why there is none, in the order of `itertools.combinations`."""
    if len(by_unit) < 2:
        return []
    numbers = sorted({number for units in by_unit for number in units} - {_EVERY}) or [_EVERY]
    nothing = _Unit(math.nan)
    values = [[units.get(number, units.get(_EVERY, nothing)).value for number in numbers] for units in by_unit]
    pairs = [list(_shared_units(first, second)) for first, second in itertools.combinations(by_unit, 2)]
    examples = np.array([_variance_of_gaps(pair) for pair in pairs])
    gaps = differences(values, np.nan_to_num(examples))
    p = two_sided(*gaps)
    return [
        _difference(pair, *moderated)
        for pair, *moderated in zip(pairs, gaps.value, gaps.error, gaps.freedom, p, examples, strict=True)
    ]


def _shared_units(first: _ByUnit, second: _ByUnit) -> Iterator[tuple[_Unit, _Unit]]:
    """The units that both methods have; a run that stands for every unit is set against each."""
    for number in sorted((set(first) | set(second)) - {_EVERY} or {_EVERY}):
        both = first.get(number, first.get(_EVERY)), second.get(number, second.get(_EVERY))
        if both[0] is not None and both[1] is not None:
            yield both[0], both[1]


def _variance_of_gaps(pair: Sequence[tuple[_Unit, _Unit]]) -> float:
    """`_variance_of_examples` of a difference; NaN where too many resamples have no value."""
    try:
        return _variance_of_examples([_gap(first.draws, second.draws) for first, second in pair])
    except Undefined:
        return math.nan


def _gap(first: Floats | None, second: Floats | None) -> Floats | None:
    """The difference of resampled numbers, 0 where it is the rounding of float32: equal methods are to be equal."""
    if first is None or second is None:
        return None
    gap: Floats = first - second
    gap[np.abs(gap) <= 2e-6 * np.abs(first)] = 0.0
    return gap


def _difference(
    pair: Sequence[tuple[_Unit, _Unit]], value: float, error: float, freedom: float, p: float, examples: float
) -> Estimate | str:
    """The difference of two methods with its interval, or why it has none."""
    if not pair:
        return "no run of both"
    if not all(math.isfinite(unit.value) for both in pair for unit in both):
        return "the metric is undefined in a unit"
    if len(pair) == 1:
        ((first, second),) = pair
        draws, left = _gap(first.draws, second.draws), _gap(first.left, second.left)
        try:
            return _bootstrapped(_Unit(first.value - second.value, draws, left))
        except Undefined as reason:
            return str(reason)
    if math.isnan(examples):
        return "the metric is undefined in too many resamples"
    if math.isnan(error):
        return "the difference is exactly the same in every run, so that no interval can be computed"
    half = half_width(float(error), float(freedom))
    return Estimate(float(value), float(value - half), float(value + half), float(p), float(error), float(freedom))


def _or_nan(function: Callable[..., float], *arguments: object) -> float:
    """The number that a function gives, NaN where it is undefined."""
    try:
        return function(*arguments)
    except Undefined:
        return math.nan
