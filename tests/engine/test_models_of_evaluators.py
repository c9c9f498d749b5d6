"""An evaluator may be for some of a suite's models only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.engine.planner import plan
from fairl_bench.errors import SuiteError
from fairl_bench.suite.read import read_study

Write = Callable[..., Path]
MODELS = [
    {"name": "linear", "use": "synthetic-linear", "n": 60, "dimension": 3, "weights": {"a": 0.6, "b": -0.4}},
    {"name": "toy", "use": "toy-comments", "n": 60, "gold": {"use": "toy-truth"}},
]
FIDELITY = {"use": "fidelity", "data": ["pairs/test"], "truth": "gold"}


def suite(*evaluators: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "two",
        "models": MODELS,
        "encoders": [{"name": "tfidf", "use": "tfidf", "dimensions": 4}],
        "methods": [{"name": "length", "use": "length"}],
        "evaluate": list(evaluators),
    }


def measured(path: Path) -> list[tuple[str, int]]:
    """Return how many stages of measures each model has."""
    planned = plan(read_study(path))
    return [(cell.model, len(cell.measures)) for cell in planned.cells]


def test_an_evaluator_measures_the_models_that_it_names(write_suite: Write) -> None:
    objectives = {"use": "objectives", "data": ["pairs/test"], "refits": 0}
    path = write_suite(suite(FIDELITY, {**objectives, "models": ["linear"]}))
    assert measured(path) == [("linear", 2), ("toy", 1)]
    with pytest.raises(SuiteError, match="that of model 'toy' is none; make it a 'blend'"):
        read_study(write_suite(suite(objectives)))


def test_the_truths_of_its_models_are_enough(write_suite: Write) -> None:
    of_part = {**FIDELITY, "truth": "gold:a"}
    assert measured(write_suite(suite({**of_part, "models": ["linear"]}))) == [("linear", 1), ("toy", 0)]
    with pytest.raises(SuiteError, match="data 'pairs/test' has no truth 'gold:a'"):
        read_study(write_suite(suite(of_part)))


def test_two_evaluators_may_give_the_same_number_of_other_models(write_suite: Write) -> None:
    halves = [{**FIDELITY, "models": [name]} for name in ("linear", "toy")]
    assert measured(write_suite(suite(*halves))) == [("linear", 1), ("toy", 1)]
    with pytest.raises(SuiteError, match="'fidelity' measures 'pairs/test' against gold twice"):
        read_study(write_suite(suite(FIDELITY, halves[0])))


def test_a_misspelt_model_is_refused(write_suite: Write) -> None:
    with pytest.raises(SuiteError, match="evaluate: model 'linar' is unknown; did you mean 'linear'"):
        read_study(write_suite(suite({**FIDELITY, "models": ["linar"]})))


def test_which_models_it_is_for_is_in_no_key(write_suite: Write) -> None:
    every, one = (
        {stage.title: key for key, stage in plan(read_study(write_suite(suite(fields)))).stages.items()}
        for fields in (FIDELITY, {**FIDELITY, "models": ["toy"]})
    )
    assert one.items() < every.items()
