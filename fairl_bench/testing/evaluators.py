"""Promises of an evaluator: each number once, and a reason for each that is undefined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fairl_bench.data import Scored
from fairl_bench.kinds import Evaluator
from fairl_bench.readonly import ReadOnly, read_only
from fairl_bench.records import Evidence, Measure
from fairl_bench.testing.promises import answer, check_spec, must

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry


def check_evaluator(evaluator: Evaluator, scored: Mapping[str, Scored], *, registry: Registry | None = None) -> None:
    """Measures of the data it names, each once, NaN only with a note; ``scored`` holds what a suite would give."""
    lacking = sorted(evaluator.needs() - set(scored))
    must(not lacking, f"needs() names {lacking}, which this check was not given; add it to 'scored'")
    given = ReadOnly({name: Scored(scored[name][0], read_only(scored[name][1])) for name in evaluator.needs()})

    def evaluated() -> list[Measure | Evidence]:
        return answer(evaluator, lambda: list(evaluator.evaluate(given)), scored=given)

    try:
        answers = evaluated()
    except KeyError as error:
        raise AssertionError(f"evaluate reads {error}, which needs() does not name; add it there") from error
    measures = [each for each in answers if not isinstance(each, Evidence)]
    must(len(answers) - len(measures) <= 1, "evaluate gave several tables of evidence; give one")
    must(bool(measures), "evaluate gave no measure; where a number is undefined, give NaN with a note")
    _check_measures(evaluator, measures)
    again = [each for each in evaluated() if isinstance(each, Measure)]
    must(
        repr(again) == repr(measures), "evaluated twice, it gave other numbers; keep nothing from one call to the next"
    )
    check_spec(evaluator, registry)


def _check_measures(evaluator: Evaluator, measures: Sequence[Measure]) -> None:
    """Each is at a place of its own, and finite or explained."""
    seen = set()
    for measure in measures:
        must(isinstance(measure, Measure), f"evaluate gave {measure!r}; make it a fairl_bench.Measure")
        where = (measure.data, measure.truth, measure.metric, measure.slice)
        must(measure.data in evaluator.data, f"{where} is of data that 'data' does not name; use a name of self.data")
        must(where not in seen, f"two measures are at {where}; give each its own metric or slice")
        seen.add(where)
        must(not math.isinf(measure.value), f"{where} is infinite; give NaN with a note")
        must(not math.isnan(measure.value) or bool(measure.note), f"{where} is NaN without a note; say why")
