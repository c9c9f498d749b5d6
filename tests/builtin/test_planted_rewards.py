"""Judges that are there to be planted as rewards: on some prompts only, a constant, and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.methods.oracle import Oracle
from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import TEXTS, check_judge
from fairl_bench.values.data import GOLD, Examples
from fairl_bench.values.training import Inputs, Reward

BUILT_IN = Registry(installed=False)
WHEN_PROVOKED = {"use": "on-prompts", "of": {"use": "words"}, "prompt": "^Look,", "about": "length when provoked"}


def built(fields: dict[str, Any]) -> Judge:
    return BUILT_IN.build(Judge, fields)


def judged(fields: dict[str, Any], *texts: str, prompts: tuple[str, ...] = ()) -> list[float]:
    values: list[float] = built(fields).judge(Examples(texts, prompts))[GOLD].value.tolist()
    return values


def test_on_prompts_is_the_other_judge_where_the_prompt_matches_and_0_elsewhere() -> None:
    prompts = ("Look, I say", "Hello, I say", "", "So look, I say")
    assert judged(WHEN_PROVOKED, "one two", "one two", "one two", "one", prompts=prompts) == [2, 0, 0, 0]
    assert judged({**WHEN_PROVOKED, "prompt": "(?i)look"}, "one two", "one", prompts=prompts[2:]) == [0, 1]


def test_on_prompts_is_a_concept_that_reads_prompts() -> None:
    judge = built(WHEN_PROVOKED)
    assert (judge.concept, judge.reads_prompts) == ("length when provoked", True)
    check_judge(judge, registry=BUILT_IN)
    around = built({"use": "concept", "of": WHEN_PROVOKED, "about": "brevity when provoked", "less": True})
    assert around.reads_prompts
    assert around.judge(Examples(("one two",), ("Look, I say",)))[GOLD].value.tolist() == [-2]
    assert not built({"use": "concept", "of": {"use": "words"}, "about": "length"}).reads_prompts


@pytest.mark.parametrize("wrong", [{"prompt": "("}, {"prompt": ""}, {"about": ""}])
def test_on_prompts_refuses_what_is_no_pattern_and_no_name(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        built({**WHEN_PROVOKED, **wrong})


def test_a_pattern_that_never_ends_is_named_with_its_prompt() -> None:
    judge = built({**WHEN_PROVOKED, "prompt": "(a|aa)+$"})
    with pytest.raises(DataError, match=r"judge 'on-prompts': the pattern '\(a\|aa\)\+\$' took more than 1 s .* 'aaaa"):
        judge.judge(Examples(("text",), ("a" * 60 + "!",)))


def test_the_oracle_of_a_judge_that_reads_prompts_is_given_them() -> None:
    oracle = Oracle(judge=built(WHEN_PROVOKED))
    assert oracle.reads_prompts
    assert not Oracle(judge=built({"use": "words"})).reads_prompts
    assert not Oracle().reads_prompts
    inputs = Inputs(("one two", "one two"), np.empty((2, 0), np.float32), ("Look, I say", "Hello"))
    assert oracle.score(Reward({}), inputs).tolist() == [2, 0]


def test_a_judge_that_reads_prompts_and_does_not_say_so_fails_its_check() -> None:
    class Secretly(type(built(WHEN_PROVOKED))):  # type: ignore[misc]
        reads_prompts = False

    with pytest.raises(AssertionError, match="declare reads_prompts = True"):
        check_judge(Secretly(of=built({"use": "words"}), prompt="more", about="secrets"))


def test_noise_is_the_same_for_the_same_text_and_uniform_over_texts() -> None:
    texts = [f"text {i}" for i in range(4000)]
    first = np.array(judged({"use": "noise"}, *texts))
    assert judged({"use": "noise"}, *texts[::-1])[::-1] == first.tolist()
    assert first.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / len(texts)) ** 0.5)
    assert first.std() == pytest.approx(12**-0.5, rel=0.05)
    assert np.unique(first).size == len(texts)
    assert judged({"use": "noise"}, " text 0\n", "", " ") == [first[0], 0, 0]
    check_judge(built({"use": "noise"}), registry=BUILT_IN)


def test_noise_of_another_seed_is_unrelated() -> None:
    texts = [f"text {i}" for i in range(4000)]
    first, other = (judged({"use": "noise", "seed": seed}, *texts) for seed in (0, 1))
    assert abs(np.corrcoef(first, other)[0, 1]) < 4 / len(texts) ** 0.5


def test_a_constant_is_the_same_number_for_every_text_with_the_label_of_its_sign() -> None:
    for value, label in ((0.0, 1), (2.5, 1), (-1.0, -1)):
        truth = built({"use": "constant", "value": value}).judge(Examples(TEXTS))[GOLD]
        assert set(truth.value.tolist()) == {value}
        assert set(truth.label.tolist()) == {label}
    check_judge(built({"use": "constant"}), registry=BUILT_IN)


def test_a_constant_is_a_finite_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        built({"use": "constant", "value": float("inf")})
