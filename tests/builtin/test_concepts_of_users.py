"""Concepts that are told what to look for: words, a pattern, likeness to texts, another judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.judges.concepts.of_judge import OfJudge
from fairl_bench.builtin.judges.concepts.pattern import Pattern
from fairl_bench.builtin.judges.concepts.similar import SimilarTo
from fairl_bench.builtin.judges.concepts.word_list import WordList
from fairl_bench.builtin.judges.known import ToyTruth
from fairl_bench.digests import digest
from fairl_bench.engine.keys import identity
from fairl_bench.errors import DataError
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge
from fairl_bench.kinds.lm import LM
from fairl_bench.suite.read import read_study
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_judge
from fairl_bench.values.data import GOLD, Examples, Floats, Vectors

BUILT_IN = Registry(installed=False)


def amounts(judge: Judge, *texts: str) -> list[float]:
    return judge.judge(Examples(texts))[GOLD].value.tolist()


# --- words


def test_words_are_looked_for_whole_and_in_any_case() -> None:
    judge = WordList(words=("Cat", "dog*", "ice cream"))
    assert amounts(judge, "CAT scatter DOGS", "ice-cream, ice", "cream ice") == [2 / 3, 1 / 3, 0]


def test_words_may_be_counted_in_the_whole_text() -> None:
    judge = WordList(words=("cat",), per="text")
    assert amounts(judge, "cat", "cat and cat", "!") == [1, 2, 0]


def test_a_file_of_words_is_read_again_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("cat\n")
    judge = WordList(words=str(tmp_path / "words"))
    judge.check()
    assert amounts(judge, "cat bird") == [0.5]
    (tmp_path / "words").write_text("cat\nbird  # too\n")
    assert amounts(judge, "cat bird") == [1]


def test_a_file_of_words_that_is_not_there_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing cannot be read: No such file"):
        WordList(words=str(tmp_path / "nothing")).check()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "words\\n  Field required"),
        ({"words": []}, "at least 1 item"),
        ({"words": ""}, "at least 1 item"),
        ({"words": ["a", 3]}, "Input should be a valid string"),
        ({"words": ["fine", "!?"]}, r"the entry '!\?' has no letter or digit"),
        ({"words": ["a"], "about": "x" * 81}, "at most 80 characters"),
        ({"words": ["a"], "about": "two\nlines"}, "String should match pattern"),
    ],
)
def test_a_word_list_needs_words(fields: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        BUILT_IN.build(Judge, {"use": "word-list", **fields})


def test_a_path_is_relative_to_the_suite_and_the_key_has_the_content_of_the_file(
    tiny: dict[str, Any], write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("cat\n")
    (tmp_path / "same.txt").write_text("cat\n")
    (tmp_path / "more.txt").write_text("cat\ndog\n")
    keys = []
    for name in ("mine.txt", "same.txt", "more.txt"):
        tiny["models"][0]["gold"] = {"use": "word-list", "words": name}
        study = read_study(write_suite(tiny))
        judge = study.suite.models[0].part.gold
        assert isinstance(judge, WordList)
        assert judge.words == str(tmp_path / name)
        keys.append(digest(identity(judge, study.registry)))
    assert keys[0] == keys[1] != keys[2]


# --- a pattern


def test_matches_are_counted_in_the_whole_text_or_per_word() -> None:
    assert amounts(Pattern(pattern="^Sure"), "Sure, sure", "sure", "") == [1, 0, 0]
    assert amounts(Pattern(pattern="(?i)sure", per="word"), "Sure, sure", "not sure", "!") == [1, 0.5, 0]


def test_matches_of_no_character_do_not_count() -> None:
    assert amounts(Pattern(pattern="a*"), "baab", "bbb") == [1, 0]


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "[z-a]", "*", "(?<name>a)(?<name", "\\p{Nonsense}"])
def test_what_is_no_pattern_is_refused_when_the_suite_is_read(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no regular expression: "):
        BUILT_IN.build(Judge, {"use": "regex", "pattern": pattern})


def test_a_pattern_that_never_ends_is_refused_with_the_text() -> None:
    judge = BUILT_IN.build(Judge, {"use": "regex", "pattern": "(a|aa)+$"})
    assert amounts(judge, "aaa") == [1]
    with pytest.raises(
        DataError, match=r"judge 'regex': the pattern '\(a\|aa\)\+\$' took more than 1 s on the text 'a"
    ):
        amounts(judge, "a" * 100 + "!")


def test_the_end_of_a_very_long_text_is_not_read() -> None:
    assert amounts(Pattern(pattern="end"), " " * 19_997 + "end", " " * 20_000 + "end") == [1, 0]


# --- likeness


class Compass(Encoder):
    """East and north of a text: how many of its letters are e, and how many are n."""

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        return np.array([[text.count("e"), text.count("n")] for text in texts], np.float32).reshape(-1, 2)


class FromLM(Compass):
    """A compass that starts from a language model."""

    lm: LM

    def upstream(self) -> Mapping[str, LM]:
        return {"lm": self.lm}

    def encode(self, texts: Sequence[str], corpus: Sequence[str], *, lm: Path | None = None) -> Vectors:
        assert lm == Path("made")
        return super().encode(texts, corpus)


def test_likeness_is_the_cosine_with_the_mean_of_the_unit_vectors() -> None:
    judge = SimilarTo(texts=("eeee", "n"), encoder=Compass())  # as long as one another: the mean is to the north-east
    half = np.sqrt(0.5)
    assert amounts(judge, "en", "e", "nnn", "eeen", "xyz", " ", "") == pytest.approx(
        [1, half, half, 4 * half / np.sqrt(10), 0, 0, 0], abs=1e-12
    )  # float64


def test_likeness_to_the_texts_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("e\n\n  ee \n")
    judge = SimilarTo(texts=str(tmp_path / "texts"), encoder=Compass())
    judge.check()
    assert amounts(judge, "e", "n") == [1, 0]
    (tmp_path / "texts").write_text("\n")
    with pytest.raises(DataError, match="texts holds no text; write one a line"):
        judge.check()


def test_likeness_to_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="gives its texts vectors whose mean is zero, and nothing is like that"):
        amounts(SimilarTo(texts=("xyz",), encoder=Compass()), "e")


def test_likeness_keeps_the_contract() -> None:
    check_judge(SimilarTo(texts=("eeen",), encoder=Compass()))


def test_an_encoder_that_starts_from_a_language_model_is_given_it_by_role() -> None:
    lm = BUILT_IN.build(LM, {"use": "pretrained", "model": "/nowhere"})
    judge = SimilarTo(texts=("e",), encoder=FromLM(lm=lm))
    assert dict(judge.upstream()) == {"encoder/lm": lm}
    value = judge.ready({"encoder/lm": Path("made")})(Examples(("e", "n")))[GOLD].value
    assert value.tolist() == [1, 0]
    with pytest.raises(DataError, match="starts from a language model, which is not known here"):
        judge.judge(Examples(("e",)))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "texts\\n  Field required"),
        ({"texts": []}, "at least 1 item"),
        ({"texts": ["a", " "]}, "an empty text among 'texts'; take it out"),
        (
            {"texts": ["a"], "encoder": {"use": "tfidf"}},
            "needs an encoder that learns from no text, .*this one is fitted",
        ),
    ],
)
def test_likeness_needs_texts_and_an_encoder_that_learns_nothing(fields: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        BUILT_IN.build(Judge, {"use": "similar-to", "encoder": {"use": "sentence-transformer"}, **fields})


# --- another judge


TOY = Examples(("you are a numbskull", "Thank you, that was kind.", ""))


def told(**fields: Any) -> Floats:
    truths = OfJudge(of=ToyTruth(), about="kindness", **fields).judge(TOY)
    assert list(truths) == [GOLD]
    assert truths[GOLD].label.tolist() == [0, 0, 0]
    return truths[GOLD].value


def test_a_judge_as_a_concept_gives_one_of_its_truths_and_no_label() -> None:
    known = ToyTruth().judge(TOY)
    assert told().tolist() == known[GOLD].value.tolist()
    assert told(truth="subtype:insult").tolist() == known["subtype:insult"].value.tolist() == [1, -1, -1]


def test_less_of_a_truth_may_be_more_of_the_concept() -> None:
    assert told(less=True).tolist() == (-told()).tolist()


def test_a_truth_that_the_judge_does_not_give_is_told_with_those_it_gives() -> None:
    judge = BUILT_IN.build(
        Judge, {"use": "concept", "of": {"use": "toy-truth"}, "about": "insults", "truth": "subtype:insults"}
    )
    with pytest.raises(
        DataError, match="judge 'toy-truth' gives no truth 'subtype:insults'; did you mean 'subtype:insult'"
    ):
        judge.judge(TOY)


def test_badness_is_that_of_the_judge() -> None:
    value = ToyTruth().judge(TOY)[GOLD].value
    bad = ToyTruth().badness(value).tolist()
    assert OfJudge(of=ToyTruth(), about="kindness").badness(told()).tolist() == bad
    assert OfJudge(of=ToyTruth(), about="toxicity", less=True).badness(told(less=True)).tolist() == bad


def test_a_judge_as_a_concept_starts_from_what_the_judge_starts_from() -> None:
    lm = BUILT_IN.build(LM, {"use": "pretrained", "model": "/nowhere"})
    inner = SimilarTo(texts=("e",), encoder=FromLM(lm=lm))
    judge = OfJudge(of=inner, about="unlikeness", less=True)
    assert dict(judge.upstream()) == {"of/encoder/lm": lm}
    truth = judge.ready({"of/encoder/lm": Path("made")})(Examples(("e", "n")))[GOLD]
    assert truth.value.tolist() == [-1, 0]
    assert str(truth.value[1]) == "0.0"  # and not -0.0


# --- what they measure


@pytest.mark.parametrize(
    ("judge", "concept"),
    [
        (WordList(words=("cat", "dog")), "words such as 'cat'"),
        (WordList(words="/nowhere/cats.txt"), "words of cats.txt"),
        (WordList(words=("cat",), about=" cats "), "cats"),
        (Pattern(pattern="^a"), "matches of '^a'"),
        (Pattern(pattern="^a", about="articles"), "articles"),
        (SimilarTo(texts=("north",), encoder=Compass()), "likeness to 'north'"),
        (SimilarTo(texts="/nowhere/texts.txt", encoder=Compass()), "likeness to texts.txt"),
        (SimilarTo(texts=("north",), encoder=Compass(), about="the north"), "the north"),
        (OfJudge(of=ToyTruth(), about="kindness"), "kindness"),
    ],
)
def test_a_concept_says_what_its_user_calls_it_or_what_it_looks_for(judge: Judge, concept: str) -> None:
    assert judge.concept == concept


@pytest.mark.parametrize(
    "spec",
    [
        {"use": "word-list", "words": ["x" * 500]},
        {"use": "regex", "pattern": "x" * 500},
        {"use": "similar-to", "texts": ["x\n" * 500], "encoder": {"use": "sentence-transformer"}},
    ],
)
def test_what_a_concept_measures_fits_into_a_line(spec: Mapping[str, Any]) -> None:
    judge = BUILT_IN.build(Judge, json.loads(json.dumps(spec)))
    assert len(judge.concept) <= 100
    assert judge.concept.isprintable()
