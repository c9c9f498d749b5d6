"""What a part may answer: each answer that is none is told in a sentence, each that is one is made plain."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairl_bench.builtin.encoders.tfidf import Tfidf
from fairl_bench.builtin.evaluators.fidelity import Fidelity
from fairl_bench.builtin.lms.pretrained import Pretrained
from fairl_bench.builtin.methods.length import Length
from fairl_bench.errors import DataError, FairlError, NotFinite
from fairl_bench.guards import answers
from fairl_bench.values.data import Examples, Pairs, Truth
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.language_models import DrawnTexts, Model
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.records import Evidence, Measure
from fairl_bench.values.training import Reward

N = 4
METHOD, ENCODER = Length.named("length"), Tfidf.named("tfidf")
EVALUATOR = Fidelity.named("fidelity", data=("pairs/test",))
LIKELY = Likelihoods(
    *(np.full(1, -1.0), np.full(1, -1.0, np.float32), np.array([0, 1])),
    *(np.zeros(1), np.zeros(1), np.zeros(1, np.bool_), np.zeros(1, np.bool_)),
)
ONE = Measure("pairs/test", "gold", "starc", 1.0, 3)


def scores(found: Any) -> Any:
    return answers.scores(METHOD, found, N)


def vectors(found: Any) -> Any:
    return answers.vectors(ENCODER, found, N)


def reward(**arrays: Any) -> Any:
    return answers.reward(METHOD, Reward(arrays))


def facts(**values: Any) -> Any:
    return answers.reward(METHOD, Reward({}, {}, values))


def judged(**truths: Any) -> Any:
    return answers.judged("j", truths, N)


def gold(value: Any = None, label: Any = None) -> Any:
    value, label = (np.ones(N) if one is None else one for one in (value, label))
    return judged(gold=Truth(value, label))


def measured(**change: Any) -> Any:
    return answers.measures(EVALUATOR, [ONE._replace(**change)])


def examples(**columns: Any) -> Any:
    return answers.examples("t", Examples(**{"text": ("a",) * N, **columns}))


def tokens(**columns: Any) -> Any:
    """The tokens of one text, of which one column is wrong."""
    one = {"ids": np.zeros(1, np.int32), "offsets": np.array([0, 1]), "ended": np.zeros(1, np.bool_)}
    return answers.drawn_tokens(
        "it", DrawnTokens(**{**one, "vocabulary": ("v",), "log_probability": np.zeros(1), **columns}), 1
    )


def likely(found: Any) -> Any:
    return answers.likelihoods(Pretrained(model="somebody/model"), found, 1)


def told(facts: Any) -> Any:
    """A completion with these facts."""
    return answers.completions(Pretrained(model="somebody/model"), DrawnTexts(("a",), None, facts), 1)


def raising() -> Any:
    class Odd:
        def __array__(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError

        def __repr__(self) -> str:
            raise RuntimeError

    return Odd()


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        *(
            (lambda found=found: scores(found), sentence)
            for found, sentence in [
                (np.ones((N, 2)), r"method 'length' scores 4 texts with an array of shape \[4, 2\]; return one number"),
                (np.ones((N, 1)), r"of shape \[4, 1\]"),
                (np.ones(N + 1), r"of shape \[5\]; return one number a text, \[4\]"),
                (np.ones(()), r"of shape \[\]"),
                (np.ones(N) * 1j, "an array of complex numbers"),
                (np.array([None] * N), "an array of objects"),
                (["1"] * N, "an array of texts"),
                ("1234", "with the text '1234'"),
                (np.ones(N, bool), "an array of true and false"),
                (None, "with None; return one number a text"),
                ({}, "with a dict"),
                (iter([1.0] * N), "with a list_iterator"),
                ([[1.0], [1.0, 2.0]], "that is no array"),
                (raising(), "with a Odd that is no array"),
                (np.array(["2020-01-01"] * N, "M8[D]"), "an array of dates"),
                (np.full(N, 1e300), r"1e\+300 in entry 0, which is infinite as a float32; keep rewards small"),
                (np.array([0, 0, -4e38, 0]), r"-4e\+38 in entry 2"),
            ]
        ),
        (lambda: vectors(np.ones(N)), r"encoder 'tfidf' turned 4 texts into an array of shape \[4\]"),
        (lambda: vectors(np.ones((N - 1, 2))), "turned 4 texts into 3 vectors"),
        (lambda: vectors(np.ones((N, 0))), "vectors of no dimension"),
        (lambda: vectors(np.full((N, 2), 1e39)), "infinite as a float32; scale the vectors"),
        (lambda: answers.rewards([METHOD] * 2, [Reward({})]), "fit_many gave 1 rewards for 2 runs"),
        (lambda: answers.rewards([METHOD], None), "fit_many gave None for 1 runs"),
        (lambda: answers.reward(METHOD, {}), "fit gave a dict; return a fairl_bench.Reward"),
        (lambda: answers.reward(METHOD, Reward([])), "whose arrays are a list; make them a dict"),  # type: ignore[arg-type]
        (lambda: reward(weight=np.array([object()])), "the array 'weight' an array of objects"),
        (lambda: reward(**{"w" * 300: np.ones(2)}), "a name needs 1 to 200 printable characters"),
        (lambda: reward(__metadata__=np.ones(2)), "an array '__metadata__'; a name needs"),
        (lambda: reward(**{"a\n": np.ones(2)}), r"an array 'a\\n'; a name needs"),
        (lambda: reward(weight=np.array([2**24 + 1])), r"whole numbers above 2\^24, which float32 rounds"),
        (lambda: answers.reward(METHOD, Reward({}, {"loss": [[1.0]]})), r"the history 'loss' of shape \[1, 1\]"),
        (lambda: facts(seconds=1), "a fact 'seconds', which each stage has of its own"),
        (lambda: facts(x=[1]), "as the fact 'x' a list; make it a number"),
        (lambda: facts(x="\ud800"), r"half of a character in row 0: '\\ud800'"),
        (lambda: judged(silver=Truth(np.ones(N), np.ones(N))), "gave no truth 'gold' .it gave: silver"),
        (lambda: answers.judged("j", None, N), "judge 'j' gave None as truths"),
        (lambda: judged(gold=np.ones(N)), "gave a ndarray as the truth 'gold'; return fairl_bench.Truth"),
        (lambda: gold(label=np.full(N, 2)), r"the labels \[2\] of the truth 'gold'; a label is 1 good, -1 bad or 0"),
        (lambda: gold(label=np.full(N, 0.5)), r"the labels of the truth 'gold': \[0.5\], not whole numbers"),
        (lambda: gold(label=np.full(N, math.nan)), "not whole numbers of 8 bits"),
        (lambda: gold(label=np.full(N, 257)), r"\[257.0\], not whole numbers of 8 bits"),
        (lambda: gold(value=np.ones(N - 1)), r"the truth 'gold' shape \[3\] for 4 texts"),
        (lambda: gold(label=["good"] * N), "an array of texts"),
        (lambda: measured(value="1"), "gave 'starc' of 'pairs/test' as the text '1'; make it a number"),
        (lambda: measured(value=True), "as True; make it a number"),
        (lambda: measured(value=1j), "as 1j; make it a number"),
        (lambda: measured(value=math.inf), "as inf; where it is not defined, give NaN with a note"),
        (lambda: measured(value=math.nan), "NaN without a note"),
        (lambda: measured(metric=None), "whose metric is None; make it a text"),
        (lambda: measured(metric="m" * 201), "with the metric 'm"),
        (lambda: measured(n=-1), "with n = -1; n counts examples"),
        (lambda: measured(n=1.5), "with n = 1.5"),
        (lambda: answers.measures(EVALUATOR, [ONE, ONE]), "gave 'starc' of 'pairs/test' twice"),
        (lambda: answers.measures(EVALUATOR, [Evidence({})] * 2), "gave evidence with the name '' twice"),
        (lambda: answers.measures(EVALUATOR, [Evidence({}, "../up")]), "gave evidence the name '../up'; use letters"),
        (
            lambda: answers.measures(EVALUATOR, [Evidence({"a": [1], "b": []})]),
            "gave evidence with columns of {'a': 1, 'b': 0} rows",
        ),
        (lambda: answers.measures(EVALUATOR, ONE), "gave a Measure; return a list"),
        (lambda: answers.measures(EVALUATOR, [1.0]), "gave 1.0; make it a fairl_bench.Measure"),
        (lambda: answers.pairs("s", None), "source 's' gave None; return fairl_bench.Pairs"),
        (lambda: answers.pairs("s", Pairs(("a", None), ("b", "c"))), "preferred gave None in row 1"),  # type: ignore[arg-type]
        (lambda: answers.pairs("s", Pairs(("a",), ("b",), group=(7,))), "group gave 7 in row 0"),  # type: ignore[arg-type]
        (lambda: examples(text=(1,) * N), "test set 't': text gave 1 in row 0"),
        (lambda: examples(prompt=("p",)), "gave 4 texts and 1 entries of 'prompt'"),
        (lambda: examples(pair=np.zeros(2)), r"pair: shape \[2\] for 4 texts"),
        (lambda: examples(truths={"gold": Truth(np.ones(1), np.ones(1))}), r"shape \[1\] for 4 texts"),
        (lambda: answers.completions(None, ["a"], 2), "completed 2 prompts with 1 texts"),
        (lambda: told(None), "complete gave None as facts; make them a dict"),
        (lambda: told({"mean": [1]}), "complete gave as the fact 'mean' a list; make it a number"),
        (lambda: told({"seconds": 1}), "gave a fact 'seconds', which each stage has of its own"),
        (lambda: tokens(ids=["a"]), "gave as tokens an array of texts; return one whole number a text"),
        (lambda: tokens(ids=np.array([0.5])), r"gave as tokens: \[0.5\], not whole numbers of 32 bits"),
        (lambda: tokens(ids=np.array([-1])), "it gave the token -1; a token is its number in the vocabulary, from 0"),
        (lambda: tokens(vocabulary=(1,)), "it: vocabulary gave 1 in row 0; every entry needs to be a text"),
        (lambda: tokens(log_probability=["low"]), "gave as log-probabilities an array of texts; give one a text"),
        (lambda: answers.drawn_tokens("it", [[1]], 1), "it gave a list as tokens; return fairl_bench.DrawnTokens, or"),
        (
            lambda: answers.drawn_tokens("it", DrawnTokens.unknown(3), 2),
            "it gave the tokens of 3 texts for 2; give one",
        ),
        (lambda: likely(None), "gave None; return fairl_bench.Likelihoods"),
        (lambda: likely(LIKELY.take([0, 0])), "gave those of 2 texts for 1; return one row a text"),
        (lambda: likely(replace(LIKELY, total=np.array([-math.inf]))), "are not finite; use dtype float32, or look at"),
        (lambda: likely(replace(LIKELY, token=np.array([math.nan]))), "are not finite; use dtype float32, or look at"),
        (lambda: answers.texts("it", "abc"), "it gave the text 'abc'; return a sequence of texts"),
        (lambda: answers.texts("it", 3), "it gave 3; return a sequence of texts"),
    ],
)
def test_an_answer_that_is_none_is_told_in_a_sentence(ask: Callable[[], Any], sentence: str) -> None:
    if "completed" in sentence:
        from fairl_bench.builtin.lms.tiny import TinyLM

        lm = TinyLM.model_construct()
        with pytest.raises(DataError, match=sentence):
            answers.completions(lm, ["a"], 2)
        return
    with pytest.raises(FairlError, match=sentence) as told:
        ask()
    assert isinstance(told.value, DataError | NotFinite)
    assert len(str(told.value)) < 300
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "found",
    [
        [1, 2, 3, 4],
        (1.0, 2.0, 3.0, 4.0),
        np.arange(1, 5),
        np.arange(1, 5, dtype=np.float16),
        torch.arange(1.0, 5, requires_grad=True),
        torch.arange(1, 5, dtype=torch.bfloat16),
    ],
)
def test_numbers_of_any_kind_are_scores(found: Any) -> None:
    made = scores(found)
    assert made.dtype == np.float64
    assert made.tolist() == [1, 2, 3, 4]


def test_what_a_mask_hides_is_no_score() -> None:
    assert np.isnan(scores(np.ma.masked_equal(np.ones(N), 1))).all()


def test_an_array_of_a_reward_keeps_its_shape_and_becomes_float32() -> None:
    made = reward(weight=np.ones((2, 3)), bias=np.float64(1.5), none=np.empty(0), whole=np.array([2**24]))
    assert {name: (one.shape, one.dtype) for name, one in made.arrays.items()} == {
        "weight": ((2, 3), np.float32),
        "bias": ((), np.float32),
        "none": ((0,), np.float32),
        "whole": ((1,), np.float32),
    }


def test_facts_of_numpy_become_plain() -> None:
    made = facts(a=np.float32(1), b=np.int64(2), c=np.bool_(True), d="x", e=np.array(3)).facts
    assert made == {"a": 1.0, "b": 2, "c": True, "d": "x", "e": 3}
    assert [type(one) for one in made.values()] == [float, int, bool, str, int]


def test_columns_of_any_sequence_become_tuples() -> None:
    made = answers.pairs("s", Pairs(["a", "b"], np.array(["c", "d"]), (text for text in "pq")))  # type: ignore[arg-type]
    assert (made.preferred, made.rejected, made.prompt) == (("a", "b"), ("c", "d"), ("p", "q"))
    assert {type(text) for text in made.rejected} == {str}


def test_tokens_of_any_whole_numbers_become_plain_and_stay_with_their_texts() -> None:
    some = DrawnTokens([5, 6, 0], [0, 2, 3], [False, True], ["v", "v"], [-1, math.nan])  # type: ignore[arg-type]
    found = answers.pairs("s", Pairs(("a",), ("b",), drawn=some)).drawn
    assert found == answers.examples("t", Examples(("a", "b"), drawn=some)).drawn
    assert found == DrawnTokens.made([[5, 6], [0]], [False, True], "v", [-1.0, math.nan])
    assert (found.ids.dtype, found.offsets.dtype, found.ended.dtype) == (np.int32, np.int64, np.bool_)


def test_a_measure_of_numpy_becomes_plain() -> None:
    (made,) = answers.measures(EVALUATOR, (one for one in [ONE._replace(value=np.float32(0.5), n=np.int64(2))]))
    assert made == ONE._replace(value=0.5, n=2)
    assert (type(made.value), type(made.n)) == (float, int)  # type: ignore[union-attr]


def test_a_model_that_left_nothing_is_told(tmp_path: Path) -> None:
    from fairl_bench.builtin.lms.tiny import TinyLM

    lm = TinyLM.model_construct()
    for found, sentence in [
        (Model(tmp_path), "left nothing in"),
        (None, "gave None; return a fairl_bench.Model"),
        (Model(str(tmp_path)), "return a fairl_bench.Model of a folder"),  # type: ignore[arg-type]
    ]:
        with pytest.raises(DataError, match=sentence):
            answers.model(lm, found, tmp_path)
    (tmp_path / "x").touch()
    assert answers.model(lm, Model(tmp_path, {"loss": np.float64(1)}), tmp_path) == Model(tmp_path, {"loss": 1.0})
