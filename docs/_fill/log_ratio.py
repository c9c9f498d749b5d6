"""The generated tables of log-ratio.md: what the log-ratio and its distillation reach, and how they differ by world."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.values.rows import mean_and_spread, summary


class Question(NamedTuple):
    """One number of each run: a metric on one data set against one truth."""

    data: str
    truth: str
    metric: str


CONTRASTS = (
    ("log-ratio", "max-entropy"),
    ("log-ratio", "log-ratio-withheld"),
    ("log-ratio", "log-ratio-token"),
    ("log-ratio-distilled", "log-ratio"),
    ("log-ratio-distilled", "max-margin"),
    ("log-ratio-distilled", "max-entropy"),
    ("log-ratio-distilled", "mean-difference"),
    ("log-ratio-distilled", "distilled-head"),
    ("log-ratio-distilled", "distilled-withheld"),
    ("endogenous", "max-entropy"),
)
"""Pairs of rows whose difference the page shows."""


def table(name: str, results: Path | None) -> str | None:
    """Return the block ``NAME SUITE``, or None where there are no results of that suite."""
    which, suite = name.split()
    folder = results / suite if results else None
    if folder is None or not (folder / "records.parquet").exists():
        return None
    return TABLES[which](read_results(folder))


def rows(results: StudyResults) -> str:
    """Return a line for each row of the suite: what it was given, and its numbers."""
    questions = _questions(results)
    head = ["| | given |", "|---|---|"]
    for question in questions:
        metric = results.metrics[question.metric]
        against = "" if question.truth == "gold" else f" ({question.truth})"
        head = [head[0] + f" {question.data} {metric.head}{against} |", head[1] + "---|"]
    lines = []
    for method in _methods(results):
        cells = (mean_and_spread(*summary(results_of(results, method, question))) for question in questions)
        lines.append(f"| {method} | {results.run.methods[method].given} | {' | '.join(cells)} |")
    return "\n".join([*head, *lines]) + "\n"


def contrasts(results: StudyResults) -> str:
    """Return a line for each of `CONTRASTS`: the mean difference over worlds and its interval."""
    questions, known = _questions(results), set(_methods(results))
    head = ["| first row less the second |", "|---|"]
    for question in questions:
        against = "" if question.truth == "gold" else f" ({question.truth})"
        head = [head[0] + f" {question.data} {results.metrics[question.metric].called}{against} |", head[1] + "---|"]
    lines = [
        f"| {one} − {other} | {' | '.join(_difference(results, one, other, question) for question in questions)} |"
        for one, other in CONTRASTS
        if {one, other} <= known
    ]
    return "\n".join([*head, *lines]) + "\n"


def _questions(results: StudyResults) -> list[Question]:
    """Return the numbers of the page: those of the pairs, then those of the other test set."""
    (other,) = [data for data in results.data if not data.startswith("pairs/")]
    pairs, gold = "pairs/test", "gold"
    return [
        Question(pairs, "preferred", "pair_accuracy"),
        *(Question(pairs, gold, metric) for metric in ("auc", "starc", "starc_per_prompt")),
        *(Question(other, gold, metric) for metric in ("auc", "starc")),
    ]


def _methods(results: StudyResults) -> list[str]:
    return list(dict.fromkeys(row.method for row in results.rows))


def results_of(results: StudyResults, method: str, question: Question) -> list[object]:
    """Return the records of one method."""
    return [
        record
        for record in results.single_records
        if record.method == method
        and record.slice == "all"
        and Question(record.data, record.truth, record.metric) == question
    ]


def _by_world(results: StudyResults, method: str, question: Question) -> dict[int, float]:
    """Return the mean over seeds in each world."""
    values: dict[int, list[float]] = {}
    for record in results_of(results, method, question):
        values.setdefault(record.replicate, []).append(record.value)
    return {world: float(np.mean(each)) for world, each in values.items()}


def _difference(results: StudyResults, one: str, other: str, question: Question) -> str:
    """Return the mean over worlds, its 95 % interval by Student's t, and the number of worlds above 0."""
    first, second = (_by_world(results, method, question) for method in (one, other))
    gaps = np.array([first[world] - second[world] for world in first.keys() & second.keys()])
    if not len(gaps) or not np.isfinite(gaps).all():
        return "n/a"
    if len(gaps) == 1:
        return f"{gaps[0]:+.3f}"
    half = float(stats.t.ppf(0.975, len(gaps) - 1)) * gaps.std(ddof=1) / math.sqrt(len(gaps))
    mean = float(gaps.mean())
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}], {(gaps > 0).sum()} of {len(gaps)}"


TABLES: dict[str, Callable[[StudyResults], str]] = {"rows": rows, "contrasts": contrasts}
