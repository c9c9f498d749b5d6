"""What ``run.json`` says of methods and models beside the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fairl_bench.pipeline import Finished
from fairl_bench.results.results import read_results
from fairl_bench.results.run_facts import run_facts
from fairl_bench.suite.read import read_study
from fairl_bench.values.finished import FinishedRun
from fairl_bench.values.run_facts import NO_LOG_RATIO, Ceiling, MethodFacts, RunFacts

Run = Callable[..., Finished]
ORACLE = {"name": "oracle", "use": "oracle", "judge": {"use": "toy-truth"}}
LM = {"use": "tiny-lm", "corpus": {"use": "toy-comments", "n": 20}}
DRAWN = {"use": "aligned-lm", "base": LM, "expert": {**LM, "steps": 3}, "prompts": {"use": "toy-prompts"}}
NOTHING = FinishedRun(
    worlds=(), cells=(), whole=True, rows={}, stages=lambda: (), failed={}, logs={}, skipped={}, damaged=(), lost=(),
    warnings=(),
)  # fmt: skip


def facts_of(models: list[dict[str, Any]], methods: list[dict[str, Any]], **more: Any) -> RunFacts:
    """What a run of these would write of them, before any of it is done."""
    content = {"name": "s", "models": models, "encoders": [{"name": "e", "use": "tfidf"}], "methods": methods, **more}
    content["evaluate"] = [{"use": "classification", "data": ["pairs/test"]}]
    return run_facts(read_study(content), NOTHING, [], 0.0)


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


def test_it_keeps_which_method_bounds_which_model() -> None:
    cut = {"name": "cut", **DRAWN, "sampling": {"top_p": 0.9}}
    methods = [
        {"name": "length", "use": "length"},
        {"name": "alone", "use": "log-ratio", "prompts": "withheld"},
        {"name": "whole", "use": "log-ratio"},
    ]
    facts = facts_of([{"name": "drawn", **DRAWN}, cut], methods)
    bounds = {"length": (), "alone": (), "whole": ("drawn", "cut")}
    assert {name: method.bounds for name, method in facts.methods.items()} == bounds
    assert facts.ceiling_of("drawn") == Ceiling("whole")
    assert facts.ceiling_of("cut") == Ceiling("", "its sampling does not draw from the models' whole distributions")
    assert RunFacts.read(json.loads(json.dumps(facts.plain()))).methods == facts.methods


def test_it_keeps_what_is_estimated_of_which_model() -> None:
    expert = {"use": "best-of", "reward": {"use": "toy-truth"}, "estimate_from": 8}
    methods = [{"name": "length", "use": "length"}, {"name": "whole", "use": "log-ratio"}]
    facts = facts_of([{"name": "drawn", **DRAWN}, {"name": "best", **DRAWN, "expert": expert}], methods)
    estimated = {"length": {}, "whole": {"best": "from 8 completions of its base for each prompt"}}
    assert {name: method.estimated for name, method in facts.methods.items()} == estimated
    assert facts.ceiling_of("best") == Ceiling("whole")  # which is then an estimate
    assert RunFacts.read(json.loads(json.dumps(facts.plain()))).methods == facts.methods


def test_of_a_product_a_method_bounds_what_it_bounds_at_every_point() -> None:
    product = {"methods.d.normalise": ["sum", "token"]}
    facts = facts_of([{"name": "m", **DRAWN}], [{"name": "d", "use": "log-ratio"}], product=product)
    assert facts.ceiling_of("m") == Ceiling("", NO_LOG_RATIO)


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
