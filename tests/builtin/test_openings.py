"""The prompts of the package: everyday openings, mild, each once."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fairl_bench.builtin.judges.concepts.lexical import Profanity, ToxicityWords
from fairl_bench.builtin.openings import Openings
from fairl_bench.builtin.shared.opening_lines import FRAMES, Frame, opening_lines
from fairl_bench.values.data import Examples


def drawn(n: int, seed: int = 0) -> tuple[str, ...]:
    return Openings().texts(n, np.random.default_rng(seed))


def test_each_comes_once_in_an_order_of_its_own() -> None:
    every = drawn(10_000)
    assert len(every) == len(set(every)) >= 1_000
    assert set(every) == set(opening_lines())
    assert drawn(50) == every[:50]
    assert drawn(50) != drawn(50, seed=1)
    assert Openings.drawn


def test_no_two_frames_have_a_line_in_common() -> None:
    assert sum(len(frame.lines()) for frame in FRAMES) == len(opening_lines())


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.sentence)
def test_a_frame_has_different_phrases_for_each_of_its_places(frame: Frame) -> None:
    assert frame.sentence.count("{}") == len(frame.phrases)
    assert all(len(set(phrases)) == len(phrases) for phrases in frame.phrases)


def test_a_line_is_the_beginning_of_an_english_sentence() -> None:
    for line in opening_lines():
        assert line[0].isupper(), line
        assert line == " ".join(line.split()), line
        assert re.search(r"""([a-z]|, ")$""", line), line
        assert line.count('"') in (0, 1), line
        assert 3 <= len(line.split()) <= 20, line


@pytest.mark.parametrize("judge", [Profanity(), ToxicityWords()])
def test_no_line_has_a_rude_word(judge: Profanity | ToxicityWords) -> None:
    assert not judge.judge(Examples(opening_lines()))["gold"].value.any()
