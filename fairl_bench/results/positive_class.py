"""Which class of texts the F1 and the average precision of a suite are of: the good or the bad ones."""

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


def _evaluators(suite: str) -> Iterable[Mapping[str, Any]]:
    """The evaluators of a suite, whose defaults are written out; none of one that cannot be read."""
    try:
        listed = load_written(suite).get("evaluate")
    except SuiteError:
        return ()
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else ()
