"""What is asked of a language model."""

from __future__ import annotations

import numpy as np
import pytest

from fairl_bench.builtin.prompts import ToyPrompts
from fairl_bench.engine.stages.models import ask
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import Prompts
from fairl_bench.values.language_models import Sampling


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


def test_several_completions_of_a_prompt_ask_for_fewer_prompts() -> None:
    asked = ask(Three(), 4, Sampling(), "base", 0, each=2)
    assert (asked.prompt, asked.draw) == (("a", "b", "a", "b"), (0, 0, 1, 1))


def test_another_occasion_draws_other_prompts_with_its_voices_own_numbers() -> None:
    one, same, other = (
        ask(ToyPrompts(), 5, Sampling(), "base", 0, occasion=occasion) for occasion in ("", "", "best-of-n")
    )
    assert one.prompt == same.prompt
    assert not set(one.prompt) & set(other.prompt)
    assert one.rng(0).random() == other.rng(0).random()
