"""Intervals of each method and paired differences of each two, from the scores of all their runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from fairl_bench.data import Floats, Rows
from fairl_bench.errors import Undefined
from fairl_bench.science import resampling
from fairl_bench.science.intervals import Estimate, Units, cohens_d, t_interval, t_test, two_level
from fairl_bench.science.ranks import holm
from fairl_bench.science.resampling import Clustered, Draws
from fairl_bench.science.streams import stream
from fairl_bench.tables.comparisons import Comparison
from fairl_bench.tables.forms import Forms
from fairl_bench.tables.scores import Run, Sheet, Values

RESAMPLES = 10_000
FEWEST = 10  # clusters below which resampling them says too little: Student's t over units is all there is
MANY = 400_000  # examples times runs from which on a fifth of the resamples must do: minutes become seconds


class Question(NamedTuple):
    """What to compare: a data set, its truth, and the metrics."""

    data: str
    truth: str
    metrics: tuple[str, ...]


def compared(
    sheets: Sequence[Sheet], values: Values, questions: Iterable[Question], resamples: int = RESAMPLES
) -> list[Comparison]:
    """Each method's interval and each two methods' paired difference, by model, encoder, variant, data and metric."""
    found: list[Comparison] = []
    for question in questions:
        mine = [sheet for sheet in sheets if sheet.data == question.data]
        for model in dict.fromkeys(sheet.model for sheet in mine):
            worlds = [sheet for sheet in mine if sheet.model == model]
            for axes in dict.fromkeys((run.encoder, run.variant) for sheet in worlds for run in sheet.rewards):
                found += Group(worlds, (model, *axes), question, values).comparisons(resamples)
    return found


_EVERY = -1  # the unit of a run that stands for every seed
_ByUnit = Mapping[int, Units]


class Group:
    """The runs of one model, encoder and variant on one data set."""

    def __init__(
        self, worlds: Sequence[Sheet], names: tuple[str, str, str], question: Question, values: Values
    ) -> None:
        self.names, self.question, self.values = names, question, values
        chosen = [
            (sheet, [run for run in sheet.rewards if (run.encoder, run.variant) == names[1:]]) for sheet in worlds
        ]
        self.worlds = {sheet.replicate: (sheet, runs) for sheet, runs in chosen if runs}
        self.methods = list(dict.fromkeys(run.method for _, runs in self.worlds.values() for run in runs))
        samples = [sheet.sample() for sheet, _ in self.worlds.values()]
        self.sample = dict(zip(self.worlds, map(samples.index, samples), strict=True))

    @property
    def several(self) -> bool:
        """Whether replicates, and not seeds, are the units."""
        return len(self.worlds) > 1

    def comparisons(self, resamples: int) -> Iterator[Comparison]:
        """Every metric's."""
        work = max(len(sheet.examples) * len(runs) for sheet, runs in self.worlds.values())
        resamples = resamples if work < MANY else resamples // 5
        draws = {replicate: self._draws(replicate, resamples) for replicate in self.worlds}
        for metric in self.question.metrics:
            known = all(metric in found for found in draws.values())
            of = {replicate: found[metric] if known else None for replicate, found in draws.items()}
            yield from self._of(metric, of, resamples if known else 0)

    def _draws(self, replicate: int, resamples: int) -> dict[str, Draws]:
        """Every metric that can be resampled; runs as columns."""
        sheet, runs = self.worlds[replicate]
        clusters = sheet.clusters()
        statistics = self.statistics(sheet, runs, clusters)
        if not statistics or int(clusters.max()) + 1 < FEWEST:
            return {}
        rng = stream("bootstrap", self.sample[replicate])  # equal examples are drawn alike
        found = resampling.resampled(list(statistics.values()), int(clusters.max()) + 1, resamples, rng)
        return dict(zip(statistics, found, strict=True))

    def statistics(self, sheet: Sheet, runs: Sequence[Run], clusters: Rows) -> dict[str, Clustered]:
        """The metrics of these runs that can be resampled, as functions of weights."""
        forms = Forms(sheet, runs, self.question.truth, self.values, clusters)
        return {metric: form for metric in self.question.metrics if (form := forms.of(metric)) is not None}

    def _of(self, metric: str, draws: Mapping[int, Draws | None], resamples: int) -> Iterator[Comparison]:
        """One metric: each method's own, then each difference with its p over all of them."""
        by_unit = {method: self._units(method, metric, draws) for method in self.methods}
        for method, own in by_unit.items():
            yield self._row(metric, method, "", _beside(list(own.values())), resamples)
        paired = [
            self._row(metric, one, other, _difference(by_unit[one], by_unit[other]), resamples)
            for one, other in itertools.combinations(self.methods, 2)
        ]
        told = [row.p for row in paired if not math.isnan(row.p)]
        adjusted = iter(holm(told))
        for row in paired:
            yield row if math.isnan(row.p) else replace(row, p_holm=next(adjusted))

    def _units(self, method: str, metric: str, draws: Mapping[int, Draws | None]) -> _ByUnit:
        """A method's metric by replicate, the mean over its seeds; where there is one replicate, by seed."""
        found = {}
        for replicate, (sheet, runs) in self.worlds.items():
            told = [self.values.get(sheet, run, self.question.truth, metric) for run in runs]
            value = np.array(told, np.float64)
            columns = [at for at, run in enumerate(runs) if run.method == method and told[at] is not None]
            of = partial(_unit, value, draws[replicate], self.sample[replicate])
            if self.several and columns:
                found[replicate] = of(columns)
            elif not self.several:
                found |= {_EVERY if (seed := runs[column].seed) is None else seed: of([column]) for column in columns}
        return found

    def _row(self, metric: str, method: str, other: str, units: Units | None, resamples: int) -> Comparison:
        model, encoder, variant = self.names
        note, estimate, effect = "", Estimate(math.nan, math.nan, math.nan, math.nan), math.nan
        if units is None:
            note = "no run of both" if other else "no run"
        else:
            estimate = estimate._replace(value=float(units.point.mean()))
            try:
                estimate = self._estimate(units, resamples)
            except Undefined as reason:
                note = str(reason)
            effect = _or_nan(cohens_d, units.point) if other else math.nan
        count = 0 if units is None else units.point.size
        return Comparison(
            model=model,
            encoder=encoder,
            variant=variant,
            data=self.question.data,
            truth=self.question.truth,
            metric=metric,
            method=method,
            other=other,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            p=estimate.p if other else math.nan,
            p_holm=math.nan,
            effect=effect,
            n=min(len(sheet.examples) for sheet, _ in self.worlds.values()),
            units=count,
            unit="" if count < 2 else "replicate" if self.several else "seed",
            resamples=resamples,
            note=note,
        )

    def _estimate(self, units: Units, resamples: int) -> Estimate:
        if resamples:
            return two_level(units, stream("bootstrap/units", 0))
        if not np.isfinite(units.point).all():
            raise Undefined("the metric is undefined in a unit")
        return Estimate(float(units.point.mean()), *t_interval(units.point), t_test(units.point))


def _unit(value: Floats, draws: Draws | None, sample: int, columns: list[int]) -> Units:
    """The mean over these runs, as one unit."""
    nothing = np.empty((0, 1))
    drawn, left = (array[:, columns].mean(1, keepdims=True) for array in draws) if draws else (nothing, nothing)
    return Units(value[columns].mean(keepdims=True), drawn, left, np.array([sample]))


def _beside(units: Sequence[Units]) -> Units | None:
    """Units side by side; None where there is none."""
    if not units:
        return None
    return Units(*(np.concatenate(columns, axis=-1) for columns in zip(*units, strict=True)))


def _difference(one: _ByUnit, other: _ByUnit) -> Units | None:
    """The differences over the units that both have; a run that stands for every unit is set against each."""
    names = (set(one) | set(other)) - {_EVERY} or {_EVERY}
    pairs = [(one.get(unit, one.get(_EVERY)), other.get(unit, other.get(_EVERY))) for unit in sorted(names)]
    return _beside([a.minus(b) for a, b in pairs if a is not None and b is not None])


def _or_nan(function: Callable[..., float], *arguments: object) -> float:
    try:
        return function(*arguments)
    except Undefined:
        return math.nan
