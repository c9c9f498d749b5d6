from typing import get_args

import numpy as np
import pytest

from fairl_bench.toy import frames
from fairl_bench.toy.frames import CASES, CHATTER, Purpose, filled, frame, slots
from fairl_bench.toy.lexicon import TOXIC_FIELDS, A, Lexicon

CLEAN = ("greeting", "remark", "challenge", "accusation", "warm", "plain", "blunt", *CHATTER)


def test_both_sets_have_frames_for_every_purpose() -> None:
    purposes = {*CASES, *CHATTER, *(one for one in get_args(Purpose) if isinstance(one, str))}
    assert set(frames.A) == set(frames.B) == purposes
    assert all(len(several) >= 3 for several in (*frames.A.values(), *frames.B.values()))


def test_the_sets_share_only_frames_that_are_one_slot_and_sarcasm() -> None:
    for purpose, several in frames.A.items():
        shared = set(several) & set(frames.B[purpose])
        assert all(one == f"{{{slots(one)[0]}}}" for one in shared), shared


@pytest.mark.parametrize("several", [frames.A, frames.B], ids="AB")
def test_every_slot_is_a_field_of_the_lexicons(several: dict[Purpose, tuple[str, ...]]) -> None:
    assert {slot for of_one in several.values() for one in of_one for slot in slots(one)} <= set(Lexicon._fields)


@pytest.mark.parametrize("several", [frames.A, frames.B], ids="AB")
def test_toxic_frames_have_a_toxic_slot_and_clean_ones_none(several: dict[Purpose, tuple[str, ...]]) -> None:
    assert all(set(slots(one)) & set(TOXIC_FIELDS) for one in several["explicit"])
    assert all(set(slots(one)) & set(TOXIC_FIELDS) for one in several["implicit-toxicity"])
    for purpose in CLEAN:
        assert not any(set(slots(one)) & set(TOXIC_FIELDS) for one in several[purpose])


@pytest.mark.parametrize("several", [frames.A, frames.B], ids="AB")
def test_implicit_toxicity_can_be_an_insult_a_threat_and_an_attack(several: dict[Purpose, tuple[str, ...]]) -> None:
    found = {TOXIC_FIELDS[slot] for one in several["implicit-toxicity"] for slot in slots(one) if slot in TOXIC_FIELDS}
    assert found >= {"insult", "threat", "identity_attack"}


@pytest.mark.parametrize("several", [frames.A, frames.B], ids="AB")
def test_questions_alone_end_in_a_question_mark(several: dict[Purpose, tuple[str, ...]]) -> None:
    for purpose, of_one in several.items():
        assert all(one.endswith("?") == (purpose == "question") for one in of_one), purpose


def test_shift_is_the_share_of_frames_from_the_held_out_set() -> None:
    rng = np.random.default_rng(0)
    held_out = [frame("plain", rng, 0.3) in frames.B["plain"] for _ in range(2000)]
    four_standard_errors = 4 * (0.3 * 0.7 / len(held_out)) ** 0.5
    assert np.mean(held_out) == pytest.approx(0.3, abs=four_standard_errors)


def test_a_becomes_an_before_a_vowel() -> None:
    drawn = {filled("A {thing}", np.random.default_rng(seed), 0.0) for seed in range(60)}
    assert {"An article", "A draft"} <= drawn
    assert drawn == {f"An {word}" if word[0] in "aeio" else f"A {word}" for word in A.thing}


def test_the_topic_asked_for_is_taken_half_of_the_time() -> None:
    rng = np.random.default_rng(1)
    taken = [filled("{topic}", rng, 0.0, "the moon") == "the moon" for _ in range(1000)]
    assert np.mean(taken) == pytest.approx(0.5, abs=4 * (0.25 / len(taken)) ** 0.5)
