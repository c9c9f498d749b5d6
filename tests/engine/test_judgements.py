"""What judges say of the texts that evaluators read: a stage of its own, done once for all rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.judges.concepts.length import Words
from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.errors import PluginError
from fairl_bench.kinds.evaluator import Evaluator
from fairl_bench.kinds.judge import Judge
from fairl_bench.metrics import Metric
from fairl_bench.pipeline import Finished
from fairl_bench.store.store import Store
from fairl_bench.suite.plugin_checks import check_part
from fairl_bench.suite.read import read_study
from fairl_bench.values.data import Scored
from fairl_bench.values.records import Measure
from fairl_bench.values.stage import Stage

CONCEPTS = {"length": {"use": "words"}, "questions": {"use": "questions"}}


@pytest.fixture
def suite(tiny: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """The tiny suite with an attribution to these concepts."""

    def of(data: tuple[str, ...] = ("pairs/test",), **concepts: dict[str, Any]) -> dict[str, Any]:
        about = {"use": "attribution", "data": [*data], "concepts": concepts or CONCEPTS, "resamples": 100}
        return {**tiny, "evaluate": [*tiny["evaluate"], about]}

    return of


@pytest.fixture
def planned(write_suite: Callable[..., Path]) -> Callable[[dict[str, Any]], Plan]:
    return lambda content: plan(read_study(write_suite(content)))


def judgements(made: Plan) -> dict[str, Stage]:
    return {stage.title: stage for stage in made.stages.values() if stage.kind == "judgements"}


def test_each_concept_of_each_data_set_is_one_stage_however_many_rewards_there_are(
    suite: Callable[..., dict[str, Any]], planned: Callable[[dict[str, Any]], Plan]
) -> None:
    assert sorted(judgements(planned(suite(("pairs/test", "shifted"))))) == [
        "questions of pairs of toy, replicate 0, test",
        "questions of texts of shifted, replicate 0",
        "words of pairs of toy, replicate 0, test",
        "words of texts of shifted, replicate 0",
    ]


def test_a_further_concept_leaves_the_others_as_they_are_and_its_name_does_not_matter(
    suite: Callable[..., dict[str, Any]], planned: Callable[[dict[str, Any]], Plan]
) -> None:
    before = {stage.key for stage in judgements(planned(suite())).values()}
    more = {"size": {"use": "words"}, "asked": {"use": "questions"}, "loud": {"use": "exclamations"}}
    after = {stage.key for stage in judgements(planned(suite(**more))).values()}
    assert before < after
    assert len(after) == 3


def test_a_run_judges_each_text_once_and_keeps_what_was_said(
    suite: Callable[..., dict[str, Any]],
    run_suite: Callable[..., Finished],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    amount = Words.amount
    monkeypatch.setattr(Words, "amount", lambda self, text: (read.append(text), amount(self, text))[1])
    finished = run_suite(suite())
    (of_words,) = [stage for title, stage in judgements(finished.plan).items() if title.startswith("words")]
    assert len(read) == len(set(read)) > 20
    assert store.manifest(of_words.key)["facts"]["texts"] >= len(read)
    run_suite(suite(length={"use": "words"}), results="again")
    assert len(read) == len(set(read))


def test_the_concepts_of_a_failure_slice_are_those_of_its_pairs(
    suite: Callable[..., dict[str, Any]], run_suite: Callable[..., Finished]
) -> None:
    content = {**suite(length={"use": "words"}), "seeds": [0]}
    content["methods"] = content["methods"][:1]
    content["slices"] = {"baseline": "max-margin", "near_tie": 0.999}  # of so few pairs, all
    finished = run_suite(content)
    numbers = {
        which: {
            (one.truth, one.metric): one.value
            for one in finished.results.records
            if one.slice == which and one.metric.startswith(("concept_", "unexplained"))
        }
        for which in ("all", "near-tie:max-margin")
    }
    sliced = numbers["near-tie:max-margin"]
    assert sliced
    np.testing.assert_equal([numbers["all"][key] for key in sliced], list(sliced.values()))


class Asks(Evaluator):
    """Asks what is no judge."""

    metrics = (Metric("one"),)

    def judges(self) -> Mapping[str, Judge]:
        return {"concept:length": "words"}  # type: ignore[dict-item]

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        return ()


class Silent(Evaluator):
    """Does not say why a number is undefined."""

    metrics = (Metric("one"),)

    def not_measured(self) -> Mapping[str, str]:
        return {"one": None}  # type: ignore[dict-item]

    def evaluate(self, scored: Mapping[str, Scored]) -> Iterable[Measure]:
        return ()


def test_what_is_not_measured_needs_a_sentence() -> None:
    with pytest.raises(
        PluginError, match=r"mine: not_measured gave .*None.*; it needs a dict of sentences by the name"
    ):
        check_part(Silent(data=("pairs/test",)), "mine")


def test_what_is_asked_needs_to_be_a_judge() -> None:
    with pytest.raises(PluginError, match=r"mine: judges gave .*'words'.*; it needs a dict of judges by the name"):
        check_part(Asks(data=("pairs/test",)), "mine")
