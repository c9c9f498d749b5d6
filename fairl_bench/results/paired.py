"""Intervals of each method and paired differences of each two, from the scores of all their runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from fairl_bench.errors import Undefined
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.resampled import Resampling
from fairl_bench.results.units import (
    EVERY,
    ByUnit,
    Unit,
    estimated,
    estimated_differences,
    share_of_ceiling,
    shared_units,
)
from fairl_bench.science import resampling
from fairl_bench.science.intervals import Estimate, cohens_d
from fairl_bench.science.ranks import holm
from fairl_bench.science.resampling import Clustered, Draws
from fairl_bench.science.streams import stream
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE, no_ceiling
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Run, Setting
from fairl_bench.values.data import Rows
from fairl_bench.values.rows import Column
from fairl_bench.values.sheets import Sheet, Values

RESAMPLES = 10_000
FEWEST = 10  # clusters below which resampling them says too little: Student's t over units is all there is
MANY = 400_000  # examples times runs from which on a fifth of the resamples must do: minutes become seconds
NO_CEILINGS: Final[Mapping[str, str]] = {}


def compared(
    sheets: Sequence[Sheet],
    values: Values,
    questions: Iterable[Question],
    declared: Metrics,
    resamples: int = RESAMPLES,
    *,
    references: Container[str] = (),
    ceilings: Mapping[str, str] = NO_CEILINGS,
) -> list[Comparison]:
    """The interval of each method and the paired difference of each two methods, one `Comparison` each.

    They are made for each model, encoder, variant, data and metric.  A method among ``references`` has its interval
    and no difference: it is in no test, and counts nowhere among those that are.  ``ceilings`` name, by model, the
    method whose pair accuracy is the ceiling: beside each pair accuracy that it bounds stands the share of it.
    """
    rows: list[Comparison] = []
    for question in questions:
        of_data = [sheet for sheet in sheets if sheet.data == question.data]
        for model in dict.fromkeys(sheet.model for sheet in of_data):
            worlds = [sheet for sheet in of_data if sheet.model == model]
            for setting in dict.fromkeys(sheet.at(run).setting for sheet in worlds for run in sheet.rewards):
                ceiling = ceilings.get(model, "")
                runs = RunsOfSetting(worlds, setting, question, values, declared, references, ceiling)
                rows += runs.comparisons(resamples)
    return rows


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
        ceiling: str = "",
    ) -> None:
        self.setting, self.question, self.values = setting, question, values
        self.metrics = [declared[name] for name in question.metrics]
        within = (setting.encoder, setting.variant)
        chosen = [(sheet, [run for run in sheet.rewards if run.within == within]) for sheet in worlds]
        self.worlds = {sheet.replicate: (sheet, runs) for sheet, runs in chosen if runs}
        self.methods = list(dict.fromkeys(run.method for _, runs in self.worlds.values() for run in runs))
        self.tested = [method for method in self.methods if method not in references]
        place = Column.of_place(question.data)
        self.ceiling = "" if no_ceiling(place.data, question.truth, place.slice) else ceiling

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
            yield self._comparison(metric.name, method, "", estimated(metric, units), values, resamples)
        if metric.name == PAIR_ACCURACY and self.ceiling in by_unit:
            yield from self._shares(by_unit, resamples)
        answers = estimated_differences([by_unit[method] for method in self.tested])
        adjusted = holm([answer.p if isinstance(answer, Estimate) else math.nan for answer in answers])
        pairs = itertools.combinations(self.tested, 2)
        for (method, other), answer, p_holm in zip(pairs, answers, adjusted, strict=True):
            shared = list(shared_units(by_unit[method], by_unit[other]))
            gaps = [first.value - second.value for first, second in shared]
            row = self._comparison(metric.name, method, other, answer, gaps, resamples, p_holm)
            yield row if _both_vary(shared) else replace(row, effect=math.nan)

    def _shares(self, by_unit: Mapping[str, ByUnit], resamples: int) -> Iterator[Comparison]:
        """The share of the ceiling that each method reaches."""
        ceiling = by_unit[self.ceiling]
        for method, units in by_unit.items():
            answer = share_of_ceiling(units, ceiling, worlds=self.several)
            shared = len(list(shared_units(units, ceiling)))
            shares = [answer.value] * shared if isinstance(answer, Estimate) else []
            yield self._comparison(SHARE, method, "", answer, shares, resamples)

    def _recorded(self, metric: str, sheet: Sheet, runs: Sequence[Run]) -> list[float | None]:
        """The number of each run; None where there is none on record."""
        return [self.values.get(sheet, run, self.question.truth, metric) for run in runs]

    def _units(self, method: str, recorded: Mapping[int, Sequence[float | None]], draws: Draws | None) -> ByUnit:
        """A method's metric by replicate, the mean over its seeds; where there is one replicate, by seed."""
        by_unit = dict[int, Unit]()
        for replicate, (_, runs) in self.worlds.items():
            numbers = recorded[replicate]
            columns = [at for at, run in enumerate(runs) if run.method == method and numbers[at] is not None]
            value = np.array(numbers, np.float64)  # None becomes NaN
            if self.several and columns:
                by_unit[replicate] = Unit(float(value[columns].mean()))
            elif not self.several:
                for at in columns:
                    more = (draws.draws[:, at], draws.left[:, at]) if draws else ()
                    by_unit[EVERY if (seed := runs[at].seed) is None else seed] = Unit(float(value[at]), *more)
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


def _both_vary(shared: Sequence[tuple[Unit, Unit]]) -> bool:
    """Whether neither of two methods has the same value in every unit: an effect size is in the spread of both."""
    return all(len({unit.value for unit in units}) > 1 for units in zip(*shared, strict=True))


def _estimate_and_note(answer: Estimate | str, points: Sequence[float]) -> tuple[Estimate, str]:
    """An answer as an estimate with an empty note, or as a mean without an interval and the note that says why."""
    if isinstance(answer, Estimate):
        return answer, ""
    return Estimate(float(np.mean(points)) if points else math.nan, *[math.nan] * 5), answer


def _or_nan(function: Callable[..., float], *arguments: object) -> float:
    """The number that a function gives, NaN where it is undefined."""
    try:
        return function(*arguments)
    except Undefined:
        return math.nan
