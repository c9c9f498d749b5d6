"""What a method is given when it learns, and what when it scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.suite.read import read_study

TARGET = """
from fairl_bench import LM, AskLikelihoods, Method, Reward, hookimpl

class Target(Method):
    reads_upstream = {reads}
    given = "one model"
    lm: LM
    def upstream(self):
        return {{"base": AskLikelihoods(lm=self.lm)}}
    def fit(self, task):
        return Reward({{}})

@hookimpl
def fairl_methods(register):
    register("target", Target)
"""
SUITE = """
name: given
plugins: [target.py]
models: [{name: toy, use: toy-comments, n: 40, gold: {use: toy-truth}}]
encoders: [{name: tfidf, use: tfidf, dimensions: 8}]
methods: [{name: target, use: target, lm: {use: tiny-lm, corpus: {use: toy-comments}}}]
testsets: {shifted: {use: toy-comments, n: 20, gold: {use: toy-truth}}}
evaluate: [{use: fidelity, data: [pairs/test, shifted]}]
"""


def planned(write_suite: Callable[..., Path], reads: bool) -> Plan:
    write_suite(TARGET.format(reads=reads), "target.py")
    return plan(read_study(write_suite(SUITE)))


@pytest.mark.parametrize(("reads", "data"), [(True, {"pairs", "shifted"}), (False, {"pairs"})])
def test_texts_that_are_scored_are_read_by_the_models_only_for_a_score_that_needs_it(
    reads: bool, data: set[str], write_suite: Callable[..., Path]
) -> None:
    made = planned(write_suite, reads)
    read = [stage for stage in made.stages.values() if stage.kind == "likelihoods"]
    examples = {name: key for name, key in made.cells[0].inputs.texts().items() if name in data}
    assert {stage.inputs["examples"] for stage in read} == set(examples.values())


def test_a_method_that_reads_them_for_its_fit_alone_is_given_those_of_the_pairs(
    write_suite: Callable[..., Path],
) -> None:
    made = planned(write_suite, reads=False)
    cell = made.cells[0]
    assert [role for role in made.stages[cell.reward].inputs if "likelihoods" in role] == ["likelihoods/pairs/base"]
    assert not [role for role in made.stages[cell.scores].inputs if "likelihoods" in role]


def test_who_reads_the_values_of_the_states_shares_the_stage_of_who_does_not(write_suite: Callable[..., Path]) -> None:
    lm = "{use: tiny-lm, corpus: {use: toy-comments}}"
    row = next(line for line in SUITE.splitlines() if line.startswith("methods"))
    methods = f"[{{name: a, use: endogenous, lm: {lm}}}, {{name: b, use: log-ratio, base: {lm}, expert: {lm}}}]"
    suite = SUITE.replace(row, f"methods: {methods}").replace("plugins: [target.py]\n", "")
    made = plan(read_study(write_suite(suite)))
    read = [stage for stage in made.stages.values() if stage.kind == "likelihoods"]
    assert len(read) == 2  # the pairs and the test set, by the one model that all three roles have
