"""What an alignment tells of itself on prompts that it was not trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.shared.held_out import Look, Seen, changed
from fairl_bench.values.data import Truth


def look(reward: Any, label: Any, *, kl: float = 0.0, surprise: float = 20.0, text: str = "a b c") -> Look:
    reward = np.asarray(reward, np.float64)
    n = len(reward)
    each = [np.full(n, number) for number in (kl, kl, surprise, 10.0)]
    return Look(Seen((text,) * n, *each), Truth(reward, np.asarray(label, np.int8)))


def test_the_change_is_that_of_the_same_prompts_with_students_interval() -> None:
    rng = np.random.default_rng(0)
    level, gap = rng.normal(size=40) * 10, rng.normal(size=40) + 1

    told = changed(look(level, np.ones(40)), look(level + gap, np.ones(40)))

    half = 2.0227 * gap.std(ddof=1) / math.sqrt(40)  # Student's t with 39 degrees of freedom
    assert told["reward_after"] - told["reward_before"] == pytest.approx(gap.mean())
    assert told["reward_change_low"] == pytest.approx(gap.mean() - half, abs=1e-4)
    assert told["reward_change_high"] == pytest.approx(gap.mean() + half, abs=1e-4)


def test_the_share_of_bad_texts_is_of_those_with_a_label() -> None:
    told = changed(look([0.0] * 4, [-1, -1, 1, 0]), look([0.0] * 4, [1, -1, 1, -1]))
    assert (told["bad_before"], told["bad_after"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_a_judge_of_numbers_alone_tells_no_share() -> None:
    told = changed(look([0.0, 1.0], [0, 0]), look([1.0, 1.0], [0, 0]))
    assert "bad_before" not in told
    assert told["reward_after"] == 1.0


@pytest.mark.parametrize(
    ("after", "strayed"),
    [
        ({}, False),
        ({"kl": 4.9}, False),  # ten tokens a text
        ({"kl": 5.1}, True),
        ({"surprise": 26.0}, False),
        ({"surprise": 27.5}, True),  # perplexity e^2.75 against e^2
        ({"surprise": 5.0}, False),
    ],
)
def test_one_that_is_far_from_its_base_or_writes_strangely_has_strayed(after: dict[str, float], strayed: bool) -> None:
    told = changed(look([0.0] * 3, [1] * 3), look([0.0] * 3, [1] * 3, **after))
    assert told["strayed"] is strayed
