"""What learning from failures gains over the same methods without: the tables of failure-aware.md, and a sentence."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from fairl_bench.metrics import Metric
from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.values.comparison import ALPHA, Comparison
from fairl_bench.values.rows import mean_and_spread, selection_of, summary


class Column(NamedTuple):
    """The question of one column: a metric on one data set, under one selection of the kept epoch."""

    data: str
    truth: str
    metric: Metric
    variant: str


def table(name: str, results: Path | None) -> str | None:
    """Return the block ``SUITE DATA METRIC``, or None where there are no results of that suite."""
    suite, data, metric = name.split()
    folder = results / suite if results else None
    if folder is None or not (folder / "records.parquet").exists():
        return None
    return gains(folder, data, metric)


def sentence(name: str, results: Path | None) -> str | None:
    """Return what Table 1 shows of learning from failures, or None where there are no results of that suite."""
    folder = results / name if results else None
    if folder is None or not (folder / "records.parquet").exists():
        return None
    return said(*differences(read_results(folder)))


def said(better: Mapping[str, list[str]], worse: Mapping[str, list[str]]) -> str:
    """Return the sentence on where methods that learn from failures are better and worse, by method.

    >>> print(said({}, {}), end="")
    Learning from failures is not shown to help any failure-aware row (`fa-...`). Each was held against its base and
    against the same training without failures (`no-failures-...`).
    >>> print(said({"fa-mm": ["test STARC", "shifted AUC"]}, {"fa-me": ["shifted F1"]}), end="")
    Learning from failures is shown to help `fa-mm` (test STARC, shifted AUC) and to harm `fa-me` (shifted F1). Each
    failure-aware row (`fa-...`) was held against its base and against the same training without failures
    (`no-failures-...`).
    """
    helped, harmed = (
        " and ".join(f"`{name}` ({', '.join(where)})" for name, where in one.items()) for one in (better, worse)
    )
    if better or worse:
        told = " and ".join(filter(None, (f"to help {helped}" if better else "", f"to harm {harmed}" if worse else "")))
        told, rows = f"is shown {told}", "Each failure-aware row (`fa-...`)"
    else:
        told, rows = "is not shown to help any failure-aware row (`fa-...`)", "Each"
    text = (
        f"Learning from failures {told}. {rows} was held against its base and against the same training without "
        "failures (`no-failures-...`)."
    )
    return "\n".join(textwrap.wrap(text, 116, break_on_hyphens=False)) + "\n"


def differences(results: StudyResults) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return by ``fa-`` method the columns in which it is better, and those in which it is worse, than others.

    The others are its base and its control, and it must differ from both.
    A control is the same training without failures; a difference is shown by Holm over all pairs of methods.
    """
    methods = YAML(typ="safe").load(results.suite)["methods"]
    against = {
        method["name"]: [
            other["name"]
            for other in methods
            if other["use"] == _base(method) or (_learns_nothing(other) and _base(other) == _base(method))
        ]
        for method in methods
        if method["name"].startswith("fa-")
    }
    better: dict[str, list[str]] = {}
    worse: dict[str, list[str]] = {}
    columns = dict.fromkeys((one.data, one.truth, one.metric, one.variant) for one in results.comparisons)
    for data, truth, name, variant in columns:
        metric = results.metrics[name]
        if metric.better is None:
            continue
        column = Column(data, truth, metric, variant)
        for method, others in against.items():
            gains = [_shown(_comparison(results, method, other, column), method, metric) for other in others]
            for which, side in ((better, 1), (worse, -1)):
                if all(gain == side for gain in gains):
                    which.setdefault(method, []).append(f"{data} {metric.label or name}")
    return better, worse


def _shown(comparison: Comparison | None, method: str, metric: Metric) -> int:
    """Return 1 where a method is shown to be better than the other, -1 where worse, else 0."""
    if comparison is None or not comparison.p_holm <= ALPHA:
        return 0
    gain = metric.sign * comparison.value * (1 if comparison.method == method else -1)
    return 1 if gain > 0 else -1


def gains(folder: Path, data: str, metric_name: str) -> str:
    """Return a line for each method that learns from failures, with its gain over its control under each selection.

    The first lines are the baselines' own numbers, by which the selections themselves can be compared.
    """
    results = read_results(folder)
    content = YAML(typ="safe").load(results.suite)
    methods = [method for method in content["methods"] if method["use"] == "failure-aware"]
    controls = {_base(method): method["name"] for method in methods if _learns_nothing(method)}
    learning = {
        method["name"]: controls[_base(method)]
        for method in methods
        if not _learns_nothing(method) and _base(method) in controls
    }
    variants = {selection_of(record.variant): record.variant for record in results.single_records}
    selections = list(content.get("selections") or variants)
    metric = results.metrics[metric_name]
    columns = [Column(data, results.truth_of(data), metric, variants[selection]) for selection in selections]
    named = [selection.replace("-", " ") or "as the suite says" for selection in selections]
    rows = [f"| {metric.head} of {data} | {' | '.join(named)} |", "|" + "---|" * (len(columns) + 1)]
    rows += [
        f"| {base} itself | {' | '.join(_own(results, base, column) for column in columns)} |" for base in controls
    ]
    for method, control in learning.items():
        cells = [_gain(_comparison(results, method, control, column), method, metric) for column in columns]
        rows.append(f"| {method} over {control} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _base(method: Mapping[str, Any]) -> str:
    """Return the name of the row that is a failure-aware method's base alone."""
    return str((method.get("base") or {}).get("use", ""))


def _learns_nothing(method: Mapping[str, Any]) -> bool:
    sampling = method.get("sampling") or {}
    return sampling.get("use") == "constant" and sampling.get("value") == 0


def _own(results: StudyResults, method: str, column: Column) -> str:
    """Return a method's own mean and spread."""
    question = (method, column.variant, column.data, column.truth, column.metric.name, "all")
    return mean_and_spread(
        *summary(
            [
                record
                for record in results.single_records
                if (record.method, record.variant, record.data, record.truth, record.metric, record.slice) == question
            ]
        )
    )


def _comparison(results: StudyResults, method: str, control: str, column: Column) -> Comparison | None:
    """Return the paired difference of a method and its control, whichever of them it names first."""
    question = (column.variant, column.data, column.truth, column.metric.name, {method, control})
    for one in results.comparisons:
        if (one.variant, one.data, one.truth, one.metric, {one.method, one.other}) == question:
            return one
    return None


def _gain(comparison: Comparison | None, method: str, metric: Metric) -> str:
    """Return how much better a method is, with its interval; bold where it is shown, by Holm over all pairs."""
    if comparison is None or math.isnan(comparison.value):
        return "n/a"
    sign = metric.sign * (1 if comparison.method == method else -1)
    low, high = sorted((sign * comparison.low, sign * comparison.high))
    shown = f"{sign * comparison.value:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"**{shown}**" if comparison.p_holm <= ALPHA else shown
