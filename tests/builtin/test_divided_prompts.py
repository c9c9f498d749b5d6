"""Prompts divided in two: no prompt is on both sides, whoever draws and whenever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairl_bench.builtin.prompts import ToyPrompts
from fairl_bench.builtin.shared.divided_prompts import Divided
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import Prompts


class Listed(Prompts):
    """The numbers up to ``n``, in random order."""

    n: int = 400

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        return tuple(str(i) for i in rng.permutation(self.n)[:n])


def side(name: str, of: Prompts | None = None, **fields: Any) -> Divided:
    return Divided.named("divided", of=of or Listed.named("listed"), side=name, **fields)


def test_the_sides_are_disjoint_and_make_the_whole() -> None:
    kept, held_out = (side(name).texts(400, np.random.default_rng(i)) for i, name in enumerate(("kept", "held-out")))
    assert not set(kept) & set(held_out)
    assert set(kept) | set(held_out) == {str(i) for i in range(400)}
    # a share of 400 within four standard errors
    assert abs(len(held_out) / 400 - 0.25) < 4 * (0.25 * 0.75 / 400) ** 0.5


def test_another_draw_is_of_the_same_side() -> None:
    draws = [side("held-out", ToyPrompts.named("toy-prompts")).texts(50, np.random.default_rng(i)) for i in (0, 1)]
    kept = side("kept", ToyPrompts.named("toy-prompts")).texts(500, np.random.default_rng(2))
    assert [len(draw) for draw in draws] == [50, 50]
    assert draws[0] != draws[1]
    assert not set(kept) & {text for draw in draws for text in draw}


def test_no_prompt_comes_twice() -> None:
    found = side("kept", ToyPrompts.named("toy-prompts")).texts(300, np.random.default_rng(0))
    assert len(set(found)) == len(found) == 300


def test_a_side_without_a_prompt_is_refused() -> None:
    with pytest.raises(DataError, match="none of 1 prompts 'listed' is held-out; give more, or another share"):
        side("held-out", Listed.named("listed", n=1), share=1e-9).texts(3, np.random.default_rng(0))


def test_it_draws_where_the_others_draw() -> None:
    assert side("kept", ToyPrompts.named("toy-prompts")).draws()
    assert not side("kept").draws()
