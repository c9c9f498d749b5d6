"""The metrics that a results folder declares, so that it is read without the plugins that measured them."""

from __future__ import annotations

from functools import cache

from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.metrics import Metric, Metrics
from fairl_bench.results.folder import METRICS, ResultsFolder, readable
from fairl_bench.suite.registry import Registry


def read_metrics(files: ResultsFolder) -> Metrics:
    """The metrics of a results folder; of one from before they were kept, those of the built-in evaluators.

    Raises `ResultsError` for a file that is broken.
    """
    if not files.has(METRICS):
        return built_in_metrics()
    with readable(files.path / METRICS):
        return Metrics.read(files.json(METRICS)["metrics"])


@cache
def built_in_metrics() -> Metrics:
    """The metrics that the built-in evaluators declare whatever their fields."""
    registry = Registry(installed=False)
    declared: list[tuple[str, Metric]] = []
    for use in registry.names("evaluator"):
        part = registry.find(Evaluator.kind, use)
        if issubclass(part, Evaluator) and isinstance(part.metrics, tuple):  # else their names depend on fields
            declared += [(use, metric) for metric in part.metrics]
    return Metrics(declared)
