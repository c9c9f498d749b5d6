"""Finds the numbers that the tables and claims of a suite ask for and that none of its evaluators can give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.suite.suite import PAIRS, Suite
from fairl_bench.suite.yaml import Place
from fairl_bench.values.records import NO_TRUTH
from fairl_bench.views import ReportTable


def unmeasured(suite: Suite, evaluators: Sequence[Evaluator]) -> Iterator[tuple[Place, str]]:
    """The place of each metric that a table or a claim asks for in vain, and a sentence about it.

    The evaluators are those of all points of the product.  Where one does not say against which truth it measures, or
    of which data, it may give any.
    """
    for name, table in suite.report.items():
        for metric in table.measures():
            if message := _of_table(evaluators, metric, table):
                yield ("report", name, "metrics"), f"report.{name}: {message}"
    for index, claim in enumerate(suite.claims):
        makers = _makers(evaluators, claim.metric)
        if makers and (reason := _why_not(makers, claim.metric, claim.data, claim.truth)):
            against = _truths(makers, claim.data)
            hint = f", and the claim asks for {claim.truth!r}; write truth: {against[0]}" if against else ""
            yield ("claims", index), f"claims: {reason}{hint}"


def _makers(evaluators: Sequence[Evaluator], metric: str) -> list[Evaluator]:
    """The evaluators that declare a metric."""
    return [evaluator for evaluator in evaluators if any(declared.name == metric for declared in evaluator.metrics)]


def _of_table(evaluators: Sequence[Evaluator], metric: str, table: ReportTable) -> str:
    """Why a table can have no number of a metric on any of its data; empty where it can.

    A table shows every metric on every data set, and some may lack there; only a metric that lacks on all is refused.
    """
    makers = _makers(evaluators, metric)
    # a table that does not say which truth it shows may show any
    says_truth = type(table).truth_of is not ReportTable.truth_of
    truth_of = {data: table.measured_against(metric, data) if says_truth else None for data in table.datasets()}
    reasons = {data: _why_not(makers, metric, data, truth) for data, truth in truth_of.items()}
    if not makers or not reasons or not all(reasons.values()):
        return ""
    data = next((data for data in reasons if _truths(makers, data)), next(iter(reasons)))
    if not (against := _truths(makers, data)):
        return reasons[data]
    key = "pairs" if data in PAIRS else data
    return f"{reasons[data]}, and the table asks for {truth_of[data]!r}; write truth: {{{key}: {against[0]}}}"


def _why_not(makers: Sequence[Evaluator], metric: str, data: str, truth: str | None) -> str:
    """Why none of the evaluators can give a metric of this data against this truth; empty where one may."""
    there = [evaluator for evaluator in makers if not evaluator.data or data in evaluator.data]
    if not there:
        places = ", ".join(dict.fromkeys(repr(name) for evaluator in makers for name in evaluator.data))
        return f"metric {metric!r} is not measured of {data!r}, but of {places}"
    if truth is None or any(not (of := evaluator.measured()) or of & {truth, NO_TRUTH} for evaluator in there):
        return ""
    against = " and ".join(map(repr, _truths(makers, data)))
    return f"metric {metric!r} of {data!r} is measured against {against}"


def _truths(makers: Sequence[Evaluator], data: str) -> list[str]:
    """The truths that evaluators say they measure this data against."""
    return sorted({truth for evaluator in makers if data in evaluator.data for truth in evaluator.measured()})
