import numpy as np
import pytest

from fairl_bench.toy import frames, lexicon
from fairl_bench.toy.prompts import STANCES, Prompt, Stance, prompt, toy_prompts
from fairl_bench.toy.truth import toxicity


def challenged(one: Prompt) -> bool:
    return one.text.startswith((*frames.A["challenge"], *frames.B["challenge"]))


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("stance", STANCES)
def test_a_prompt_has_the_stance_asked_for(stance: Stance, shift: float) -> None:
    drawn = [prompt(np.random.default_rng(seed), stance, shift) for seed in range(50)]
    assert {one.stance for one in drawn} == {stance}
    assert {challenged(one) for one in drawn} == {stance == "hostile"}


def test_stances_come_in_turn() -> None:
    drawn = toy_prompts(7, np.random.default_rng(0), ("neutral", "hostile", "neutral"))
    assert [one.stance for one in drawn] == ["neutral", "hostile", "neutral"] * 2 + ["neutral"]
    assert all(challenged(one) == (one.stance == "hostile") for one in drawn)


def test_by_default_half_of_the_prompts_are_hostile() -> None:
    drawn = toy_prompts(40, np.random.default_rng(0))
    assert sum(one.stance == "hostile" for one in drawn) == 20


def test_more_prompts_begin_with_the_same_ones() -> None:
    few, many = (toy_prompts(n, np.random.default_rng(3), shift=0.4) for n in (10, 30))
    assert many[:10] == few
    assert toy_prompts(0, np.random.default_rng(3)) == ()


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_prompts_hold_9_to_22_words_end_where_a_sentence_can_follow_and_are_clean(shift: float) -> None:
    drawn = toy_prompts(2000, np.random.default_rng(1), shift=shift)
    assert all(9 <= len(one.text.split()) <= 22 for one in drawn)
    assert all(one.text.endswith((",", " and", " so", " because", " since")) for one in drawn)
    assert max(toxicity(one.text) for one in drawn) < 0.1


def test_prompts_seldom_repeat() -> None:
    drawn = toy_prompts(3500, np.random.default_rng(2))
    assert len({one.text for one in drawn}) > 0.98 * len(drawn)


@pytest.mark.parametrize(("shift", "held_out"), [(0.0, lexicon.B), (1.0, lexicon.A)])
def test_a_full_shift_changes_the_topics_of_prompts(shift: float, held_out: lexicon.Lexicon) -> None:
    text = " ".join(one.text for one in toy_prompts(1000, np.random.default_rng(4), shift=shift))
    assert not [topic for topic in held_out.topic if topic in text]
