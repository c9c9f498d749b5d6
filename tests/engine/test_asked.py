"""What is asked of a language model."""

from __future__ import annotations

import numpy as np
import pytest

from fairl_bench.data import Sampling
from fairl_bench.engine.asked import ask
from fairl_bench.errors import DataError
from fairl_bench.kinds import Prompts


class Three(Prompts):
    """At most three prompts."""

    texts_there: tuple[str, ...] = ("a", "b", "c")

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        return self.texts_there[:n]


def test_where_prompts_are_fewer_than_completions_each_is_drawn_several_times() -> None:
    asked = ask(Three(), 5, Sampling(), "base", 0)
    assert (asked.prompt, asked.row, asked.draw) == (("a", "b", "c", "a", "b"), (0, 1, 2, 0, 1), (0, 0, 0, 1, 1))


def test_more_completions_leave_the_random_numbers_of_the_first_ones_as_they_are() -> None:
    few, many = ask(Three(), 2, Sampling(), "base", 0), ask(Three(), 3, Sampling(), "base", 0)
    assert [few.rng(i).random() for i in range(2)] == [many.rng(i).random() for i in range(2)]


def test_each_draw_voice_and_replicate_has_numbers_of_its_own() -> None:
    asked = [ask(Three(), 5, Sampling(), voice, replicate) for voice in ("base", "expert") for replicate in (0, 1)]
    assert len({one.rng(i).random() for one in asked for i in range(5)}) == 20


def test_no_prompt_is_refused() -> None:
    with pytest.raises(DataError, match="hold no text to go on from"):
        ask(Three(texts_there=()), 5, Sampling(), "base", 0)
