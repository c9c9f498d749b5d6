"""Which judges are concepts, what a concept may declare, and that its truth has no label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from fairl_bench.builtin.judges.known import ToyTruth
from fairl_bench.errors import PluginError, SuiteError
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.source import Source, TestSet
from fairl_bench.suite.concepts import Concept, concepts
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_judge
from fairl_bench.values.data import GOLD, Examples, Truth

BUILT_IN = Registry(installed=False)
DROP_IN = """
from fairl_bench import Judge, Truth, hookimpl


class Commas(Judge):
    \"\"\"The number of commas.\"\"\"

    {declares}

    def judge(self, examples):
        return {{"gold": Truth.numbers(text.count(",") for text in examples.text)}}


@hookimpl
def fairl_judges(register):
    register("commas", Commas)
"""


def drop_in(folder: Path, declares: str) -> Path:
    path = folder / "commas.py"
    path.write_text(DROP_IN.format(declares=declares))
    return path


# --- which they are


def test_the_concepts_are_the_judges_that_say_what_they_measure() -> None:
    found = {concept.name: concept for concept in concepts(BUILT_IN)}
    assert len(found) == 25
    assert found["words"] == Concept("words", "length in words", "The number of words.")
    assert found["regex"].measures == ""  # its fields say it
    others = set(BUILT_IN.names("judge")) - set(found)
    assert {"role", "toy-truth", "sequence-classifier", "detoxify", "recovered"} <= others
    assert len({concept.measures for concept in found.values() if concept.measures}) == 20  # no two measure the same


def test_a_concept_of_a_plugin_stands_behind_the_built_in_ones(tmp_path: Path) -> None:
    registry = Registry([drop_in(tmp_path, 'concept = "commas"')], installed=False)
    assert concepts(registry)[-1] == Concept("commas", "commas", "The number of commas.")
    assert "commas" not in [concept.name for concept in concepts(Registry([drop_in(tmp_path, "")], installed=False))]


def test_a_judge_that_cannot_be_loaded_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text(
        "from fairl_bench import hookimpl\n"
        "@hookimpl\ndef fairl_judges(register):\n    register('gone', 'nowhere:Gone')\n"
    )
    registry = Registry([tmp_path / "gone.py"], installed=False)
    assert "gone" in registry.names("judge")
    assert concepts(registry) == concepts(BUILT_IN)


def test_the_command_lists_them_with_what_they_measure(cli: Callable[..., Result], tmp_path: Path) -> None:
    path = drop_in(tmp_path, 'concept = "commas"')
    listed = cli("list", "concepts", "--plugin", str(path)).stdout.splitlines()
    assert listed[0] == "concepts:"
    assert listed[1].split() == ["words", "length", "in", "words", "built-in"]
    assert listed[-1].split() == ["commas", "commas", str(path)]
    assert any(line.split() == ["regex", "depends", "on", "its", "fields", "built-in"] for line in listed)
    refused = cli("list", "concept")
    assert refused.exit_code == 2
    assert "kind 'concept' is unknown; did you mean 'concepts'?" in refused.stderr


# --- what a plugin may declare

WRONG: Mapping[str, tuple[str, str]] = {
    "a number": ("concept = 3", "concept is 3; make it a few words on what it measures, at most 100 characters in one"),
    "nothing": ("concept = None", "concept is None; make it a few words"),
    "two lines": ('concept = "one\\n    two"', r"concept is 'one\\n    two'; make it a few words"),
    "space around it": ('concept = " commas"', "concept is ' commas'; make it a few words"),
    "a page": ('concept = "many " * 30 + "commas"', "concept is 'many many .*; make it a few words"),
    "a field": ('concept: str = "commas"', "has a field 'concept', which hides what every Judge has; rename it"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_concept_is_refused_with_one_sentence(wrong: str, tmp_path: Path) -> None:
    declares, sentence = WRONG[wrong]
    path = drop_in(tmp_path, declares)
    with pytest.raises(PluginError, match=rf"judge 'commas' of {path}:? .*{sentence}"):
        Registry([path], installed=False).find("judge", "commas")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [("3", "concept is 3; make it a few words"), ("1 / 0", "concept raised ZeroDivisionError: division by zero")],
)
def test_a_wrong_concept_of_a_property_is_refused_before_any_work(answer: str, sentence: str, tmp_path: Path) -> None:
    path = drop_in(tmp_path, f"@property\n    def concept(self):\n        return {answer}")
    registry = Registry([path], installed=False)
    judge = registry.build(Judge, {"use": "commas"})
    with pytest.raises(PluginError, match=f"judge 'commas' of {path}: {sentence}"):
        registry.check(judge)


# --- no label


class Loud(Judge):
    """Gives labels though it is a concept."""

    concept = "loudness"

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        return {GOLD: ToyTruth().judge(examples)[GOLD]}


class Undefined(Judge):
    """The mean length of the words, undefined without any."""

    concept = "length of words"

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        lengths = [list(map(len, text.split())) for text in examples.text]
        return {GOLD: Truth.numbers(float(np.mean(found)) if found else np.nan for found in lengths)}


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        (Loud(), "a concept gave labels; it says how much, so let every label be 0"),
        (Undefined(), "a concept gave NaN or infinity; give 0 where a text has none of it"),
    ],
)
def test_the_kit_refuses_a_concept(judge: Judge, sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        check_judge(judge)


def test_a_source_whose_gold_is_a_concept_has_no_labels() -> None:
    words, toy = {"use": "words"}, {"use": "toy-truth"}

    def source(use: str, **fields: Any) -> Source:
        return BUILT_IN.build(Source, {"use": use, **fields})

    def testset(use: str, **fields: Any) -> TestSet:
        return BUILT_IN.build(TestSet, {"use": use, **fields})

    of_words, of_toy = source("toy-comments", gold=words), source("toy-comments", gold=toy)
    assert (of_words.judged(), of_words.labelled(), of_toy.labelled()) == (True, False, True)
    assert not source("select", of=of_toy.plain(), gold=words).labelled()
    assert source("select", of=of_words.plain(), gold=toy).labelled()
    assert not source("jsonl", path="/nowhere", gold=words).labelled()
    assert source("jsonl", path="/nowhere", gold=toy).labelled()
    assert not testset("toy-comments", gold=words).labelled()
    assert testset("toy-comments", gold=toy).labelled()
    assert not testset("judged", of={"use": "toy-comments"}, judge=words).labelled()
    assert testset("judged", of={"use": "toy-comments"}, judge=toy).labelled()
    assert testset("judged", of={"use": "toy-comments", "gold": toy}, judge=words).labelled()


def test_a_method_that_learns_from_labels_is_refused_on_a_concept(
    tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    tiny["models"][0]["gold"] = {"use": "words"}
    fa = {"name": "fa", "use": "failure-aware", "base": {"use": "max-margin"}, "detector": {"use": "supervised"}}
    tiny["methods"].append(fa)
    with pytest.raises(SuiteError, match="'toy' has only numbers; give its 'gold' a 'label_above', or a judge that"):
        read_study(write_suite(tiny))
