"""Promises of an evaluator: each number once, and a reason for each that is undefined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.guards.readonly import ReadOnly, read_only
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.results.resampled import Resampling
from fairl_bench.science.resampling import Form
from fairl_bench.testing.promises import answer, check_spec, must
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import GOLD, Examples, Scored
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.sheets import Place, Sheet, Values

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry


def check_evaluator(
    evaluator: Evaluator, scored: Mapping[str, Scored], *, registry: Registry | None = None, **upstream: object
) -> None:
    """Measures of the data it names, each once, NaN only with a note; ``scored`` holds what a suite would give.

    ``upstream`` is what it asks for, by role.
    """
    lacking = sorted(evaluator.needs() - set(scored))
    must(not lacking, f"needs() names {lacking}, which this check was not given; add it to 'scored'")
    judged = {name: _judged(evaluator, name, scored[name].examples) for name in evaluator.needs()}
    given = ReadOnly({name: Scored(judged[name], read_only(scored[name].reward)) for name in evaluator.needs()})

    def evaluated() -> list[Measure | Evidence]:
        return answer(evaluator, lambda: list(evaluator.evaluate(given, **upstream)), scored=given, upstream=upstream)

    try:
        answers = evaluated()
    except KeyError as error:
        raise AssertionError(f"evaluate reads {error}, which needs() does not name; add it there") from error
    measures = [each for each in answers if not isinstance(each, Evidence)]
    tables = [each.name for each in answers if isinstance(each, Evidence)]
    must(len(tables) == len(set(tables)), "evaluate gave two tables of evidence of one name; name each differently")
    must(bool(measures), "evaluate gave no measure; where a number is undefined, give NaN with a note")
    _check_measures(evaluator, measures)
    _check_forms(evaluator, measures, scored)
    again = [each for each in evaluated() if isinstance(each, Measure)]
    must(
        repr(again) == repr(measures), "evaluated twice, it gave other numbers; keep nothing from one call to the next"
    )
    if not evaluator.reads_reward:
        given = ReadOnly(
            {name: Scored(one.examples, read_only(np.full(len(one[1]), np.nan))) for name, one in given.items()}
        )
        without = [each for each in evaluated() if isinstance(each, Measure)]
        must(repr(without) == repr(measures), "its numbers depend on the reward; leave reads_reward = True")
    check_spec(evaluator, registry)


def _judged(evaluator: Evaluator, data: str, examples: Examples) -> Examples:
    """The examples with what the judges say that the evaluator asks about them."""
    asked = evaluator.judges() if data in evaluator.data else {}
    return examples.knowing({truth: judge.judge(examples)[GOLD] for truth, judge in asked.items()})


def _check_measures(evaluator: Evaluator, measures: Sequence[Measure]) -> None:
    """Each is at a place of its own, and finite or explained."""
    declared = {metric.name: metric for metric in evaluator.metrics}
    seen = set()
    for measure in measures:
        must(isinstance(measure, Measure), f"evaluate gave {measure!r}; make it a fairl_bench.Measure")
        where = (measure.data, measure.truth, measure.metric, measure.slice)
        must(measure.data in evaluator.data, f"{where} is of data that 'data' does not name; use a name of self.data")
        must(where not in seen, f"two measures are at {where}; give each its own metric or slice")
        seen.add(where)
        name, bounds = measure.metric, declared[measure.metric].bounds if measure.metric in declared else None
        what = f"{name!r} of {measure.data!r}"
        must(name in declared, f"{what} is no number that it declares; add Metric({name!r}) to its 'metrics'")
        inside = bounds is None or math.isnan(measure.value) or bounds[0] <= measure.value <= bounds[1]
        must(inside, f"{what} is {measure.value:g}, beyond the bounds {bounds} that its Metric has")
        must(not math.isinf(measure.value), f"{where} is infinite; give NaN with a note")
        must(not math.isnan(measure.value) or bool(measure.note), f"{where} is NaN without a note; say why")


def _check_forms(evaluator: Evaluator, measures: Sequence[Measure], scored: Mapping[str, Scored]) -> None:
    """A number with forms is what one of them gives with weights of one."""
    metrics = {metric.name: metric for metric in evaluator.metrics}
    run, whole = Run("", "", "checked", "", 0), [measure for measure in measures if measure.slice == "all"]
    for measure in whole:
        forms = [form for form in metrics[measure.metric].resampled if isinstance(form, Form)]
        if not forms or math.isnan(measure.value):
            continue
        examples, reward = scored[measure.data]
        sheet = Sheet("", "", 0, measure.data, examples, {run: reward})
        cell = sheet.at(run).cell
        values = Values({Place(cell, one.data, one.truth, one.metric): one.value for one in whole})
        found = Resampling(sheet, [run], measure.truth, values, sheet.clusters()).of(metrics[measure.metric])
        must(
            found is not None,
            f"{measure.metric!r} of {measure.data!r} is {measure.value:g}, and with weights of one no form of it gives "
            "that; mend the form, or leave it out of 'resampled'",
        )
