"""The generated tables of failure-aware.md: what learning from failures gains over the same method without."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairl_bench.comparison import ALPHA, Comparison
from fairl_bench.metrics import Metric
from fairl_bench.results.results import read_results
from fairl_bench.rows import mean_and_spread, selection_of, summary
from fairl_bench.suite.yaml import load


def table(name: str, results: Path | None) -> str | None:
    """The block ``SUITE DATA METRIC``; nothing where there are no results of that suite."""
    suite, data, metric = name.split()
    folder = results / suite if results else None
    if folder is None or not (folder / "records.parquet").exists():
        return None
    return gains(folder, data, metric)


def gains(folder: Path, data: str, metric: str) -> str:
    """A line for each method that learns from failures, a column for each selection: its gain over its control.

    The first lines are the baselines' own numbers, by which the selections themselves can be compared.
    """
    found = read_results(folder)
    content = load(folder / "suite.yaml", variables=False).content
    controls = {_base(method): method["name"] for method in content["methods"] if _learns_nothing(method)}
    learning = {
        method["name"]: controls[_base(method)]
        for method in content["methods"]
        if method["use"] == "failure-aware" and not _learns_nothing(method) and _base(method) in controls
    }
    there = {selection_of(row.variant): row.variant for row in found.single_records}
    variants = {selection: there[selection] for selection in content.get("selections") or there}
    truth = found.truth_of(data)
    known = {
        (one.variant, frozenset((one.method, one.other))): one
        for one in found.comparisons
        if (one.data, one.truth, one.metric) == (data, truth, metric) and one.other
    }
    rows = [
        f"| {found.metrics[metric].head} of {data} | {' | '.join(map(_called, variants))} |",
        "|" + "---|" * (len(variants) + 1),
    ]
    for base in controls:
        cells = []
        for variant in variants.values():
            own = [
                row
                for row in found.single_records
                if (row.method, row.variant, row.data, row.truth, row.metric, row.slice)
                == (base, variant, data, truth, metric, "all")
            ]
            cells.append(mean_and_spread(*summary(own)))
        rows.append(f"| {base} itself | {' | '.join(cells)} |")
    for method, control in learning.items():
        pairs = [known.get((variant, frozenset((method, control)))) for variant in variants.values()]
        cells = [_gain(pair, method, found.metrics[metric]) for pair in pairs]
        rows.append(f"| {method} over {control} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _base(method: Mapping[str, Any]) -> str:
    """The name of the row that is a failure-aware method's base alone."""
    return str((method.get("base") or {}).get("use", ""))


def _learns_nothing(method: Mapping[str, Any]) -> bool:
    sampling = method.get("sampling") or {}
    return method["use"] == "failure-aware" and sampling.get("use") == "constant" and sampling.get("value") == 0


def _called(selection: str) -> str:
    return selection.replace("-", " ") or "as the suite says"


def _gain(one: Comparison | None, method: str, metric: Metric) -> str:
    """How much better, with its interval; bold where it is shown, by p adjusted for all pairs of methods."""
    if one is None or math.isnan(one.value):
        return "n/a"
    sign = (1 if one.method == method else -1) * metric.sign
    low, high = sorted((sign * one.low, sign * one.high))
    shown = f"{sign * one.value:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"**{shown}**" if one.p_holm <= ALPHA else shown
