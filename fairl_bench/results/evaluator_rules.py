"""What the evaluators of a suite hold texts to: the class that F1 is of, and where a threshold is from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairl_bench.errors import SuiteError
from fairl_bench.suite.yaml import load_written


def positive_classes(suite: str) -> dict[tuple[str, str], str]:
    """``good`` or ``bad`` by data and truth, as the evaluators of a suite, the text of ``suite.yaml``, say.

    >>> positive_classes("evaluate: [{use: classification, data: [pairs/test], label: gold, positive: bad}]")
    {('pairs/test', 'gold'): 'bad'}
    """
    return {
        (str(data), str(evaluator["label"])): str(evaluator["positive"])
        for evaluator in _evaluators(suite)
        if "positive" in evaluator and "label" in evaluator
        for data in evaluator.get("data") or ()
    }


def threshold_rules(suite: str) -> dict[tuple[str, str], tuple[str, str, str]]:
    """The data, the label and what is maximised, by which thresholds are set, by evaluated data and truth.

    >>> threshold_rules("evaluate: [{data: [web], label: gold, threshold: {data: a, label: b, maximise: balanced}}]")
    {('web', 'gold'): ('a', 'b', 'balanced')}
    """
    return {
        (str(data), str(evaluator["label"])): (str(rule["data"]), str(rule["label"]), str(rule["maximise"]))
        for evaluator in _evaluators(suite)
        if "label" in evaluator
        and isinstance(rule := evaluator.get("threshold"), Mapping)
        and {"data", "label", "maximise"} <= rule.keys()
        for data in evaluator.get("data") or ()
    }


def _evaluators(suite: str) -> Iterable[Mapping[str, Any]]:
    """The evaluators of a suite, whose defaults are written out; none of one that cannot be read."""
    try:
        listed = load_written(suite).get("evaluate")
    except SuiteError:
        return ()
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else ()
