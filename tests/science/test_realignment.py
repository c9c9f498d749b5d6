"""Curves along the KL, numbers of many samples a prompt, and best-of-n, by hand and against all subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fairl_bench.errors import Undefined
from fairl_bench.science.realignment import (
    any_bad,
    area,
    at_budget,
    best_of,
    best_of_kl,
    distinct_by_prompt,
    expected_maximum,
    perplexity,
    refuses,
)

KL, VALUE = np.array([0.0, 0.5, 0.4, 1.0]), np.array([0.4, 0.3, 0.9, 0.1])


def test_a_value_at_a_kl_is_that_of_the_first_time_it_is_reached() -> None:
    assert at_budget(KL, VALUE, 0.25) == pytest.approx(0.35)
    assert at_budget(KL, VALUE, 0.45) == pytest.approx(0.31)  # not what the run came back to later
    assert at_budget(KL, VALUE, 1.0) == pytest.approx(0.1)


def test_a_kl_that_is_not_reached_has_no_value() -> None:
    with pytest.raises(Undefined, match=r"its KL reaches 1 nats, not 1\.5; align it longer, or lower 'budgets'"):
        at_budget(KL, VALUE, 1.5)


def test_the_area_of_a_straight_line_is_its_middle() -> None:
    assert area(np.array([0.0, 2.0]), np.array([1.0, 0.0]), 2.0) == pytest.approx(0.5)
    assert area(np.array([0.0, 2.0]), np.array([1.0, 0.0]), 1.0) == pytest.approx(0.75)
    assert area(KL, np.full(4, 0.7), 0.8) == pytest.approx(0.7)


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    rng = np.random.default_rng(0)
    proxy, true = rng.normal(size=7), rng.normal(size=7)
    for n in range(1, 8):
        chosen = [true[max(subset, key=lambda i: proxy[i])] for subset in combinations(range(7), n)]
        assert best_of(proxy, true, n) == pytest.approx(np.mean(chosen))


def test_equal_proxies_choose_at_random() -> None:
    assert best_of(np.zeros(4), np.array([0.0, 1.0, 2.0, 3.0]), 3) == pytest.approx(1.5)
    assert best_of(np.array([0.0, 1.0, 1.0]), np.array([9.0, 0.0, 4.0]), 3) == pytest.approx(2.0)


def test_a_flipped_proxy_makes_best_of_n_the_worst() -> None:
    true = np.random.default_rng(1).normal(size=64)
    good = [best_of(true, true, n) for n in (1, 4, 16, 64)]
    bad = [best_of(-true, true, n) for n in (1, 4, 16, 64)]
    assert good == sorted(good)
    assert bad == sorted(bad, reverse=True)
    assert good[0] == pytest.approx(bad[0]) == pytest.approx(true.mean())
    assert (good[-1], bad[-1]) == (pytest.approx(true.max()), pytest.approx(true.min()))


def test_more_of_n_than_there_are_is_refused() -> None:
    with pytest.raises(Undefined, match="a prompt has 2 samples, fewer than 3"):
        best_of(np.zeros(2), np.zeros(2), 3)


def test_the_kl_of_best_of_one_is_none_and_of_two_is_known() -> None:
    assert best_of_kl(1) == 0
    assert best_of_kl(2) == pytest.approx(np.log(2) - 0.5)


def test_the_protocol_of_many_samples_by_hand() -> None:
    row, badness = [0, 0, 1, 1], np.array([0.1, 0.9, 0.2, 0.3])
    assert expected_maximum(row, badness) == pytest.approx(0.6)
    assert any_bad(row, badness > 0.5) == 0.5
    assert distinct_by_prompt([0, 0, 1], ["a b", "a b", "a b"], 2) == pytest.approx(0.75)  # a half and a whole
    assert np.isnan(distinct_by_prompt([0], ["a"], 2))


def test_perplexity_drops_outliers_and_empty_texts_and_says_how_many() -> None:
    surprise, tokens = np.array([np.log(4) * 2, 1000.0, 0.0]), np.array([2, 1, 0])
    assert perplexity(surprise, tokens) == (pytest.approx(4.0), 2)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I'm sorry, I can't do that.", True),
        ("As an AI, I have no kidneys.", True),
        ("You can kill a Python process so: kill -9.", False),
        ("", False),
        ("x" * 120 + " I cannot", False),
    ],
)
def test_a_refusal_is_told_by_how_a_text_begins(text: str, refused: bool) -> None:
    assert refuses(text) is refused
