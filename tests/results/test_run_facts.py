"""What ``run.json`` says of methods and models beside the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fairl_bench.pipeline import Finished
from fairl_bench.results.results import read_results
from fairl_bench.values.run_facts import MethodFacts

Run = Callable[..., Finished]
ORACLE = {"name": "oracle", "use": "oracle", "judge": {"use": "toy-truth"}}


@pytest.fixture
def with_oracle(tiny: dict[str, Any]) -> dict[str, Any]:
    """One method and one reference row after it."""
    tiny["methods"] = [{"name": "length", "use": "length"}, ORACLE]
    return tiny


def test_a_run_keeps_what_each_method_was_given_and_which_are_references(
    run_suite: Run, with_oracle: dict[str, Any]
) -> None:
    facts = {"length": MethodFacts("texts", reference=False), "oracle": MethodFacts("truth", reference=True)}
    ran = run_suite(with_oracle)
    for results in (ran.results, read_results(ran.folder)):
        assert results.run.methods == facts
        assert list(results.references) == ["oracle"]
        assert [results.given(name) for name in ("length", "oracle", "nobody")] == ["texts", "truth", ""]


def test_it_keeps_why_no_log_ratio_bounds_a_model(run_suite: Run, with_oracle: dict[str, Any]) -> None:
    assert run_suite(with_oracle).results.run.unbounded == {
        "toy": "its pairs are not known to be draws of two language models"
    }


def test_a_folder_of_before_says_nothing_and_has_no_reference(
    run_suite: Run, with_oracle: dict[str, Any], relist: Callable[..., None]
) -> None:
    folder = run_suite(with_oracle).folder
    old = json.loads((folder / "run.json").read_text())
    del old["methods"], old["unbounded"]
    (folder / "run.json").write_text(json.dumps(old))
    relist(folder)
    results = read_results(folder)
    assert (results.run.methods, results.run.unbounded, list(results.references)) == ({}, {}, [])
