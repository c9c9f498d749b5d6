from __future__ import annotations

import math

import pytest

from fairl_bench.science.diversity import distinct


def test_distinct_2_by_hand() -> None:
    # the cat, cat sat | the cat, cat ran: 3 of 4 differ
    assert distinct(["the cat sat", "The cat ran"]) == 0.75


def test_a_run_does_not_reach_into_the_next_text() -> None:
    assert distinct(["a b", "c d"]) == 1.0
    assert distinct(["a b", "a b"]) == 0.5
    assert math.isnan(distinct(["a", "b"]))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_texts_of_different_words_are_wholly_distinct(n: int) -> None:
    assert distinct([" ".join(f"w{i}" for i in range(20))], n) == 1.0


def test_one_word_over_and_over_tends_to_0() -> None:
    assert distinct([" ".join(["x"] * 1001)]) == 1 / 1000


@pytest.mark.parametrize("texts", [[], [""], ["  ", "one"]])
def test_distinct_2_of_nothing_is_nan(texts: list[str]) -> None:
    assert math.isnan(distinct(texts))
