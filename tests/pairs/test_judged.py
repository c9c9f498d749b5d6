"""From a source's pairs to judged examples: what is refused, what is dropped and counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fairl_bench.errors import DataError
from fairl_bench.kinds.source import Source
from fairl_bench.pairs.judged import judged_pairs
from fairl_bench.values.data import Pairs, Truth
from fairl_bench.values.drawn_tokens import DrawnTokens

PAIRS = Pairs(("good", "same", " ", "fine", "kind"), ("bad", "same", "rude", "", "mean"))


class Given(Source):
    """Pairs as they are."""

    def pairs(self, rng: np.random.Generator, *, given: Pairs = PAIRS) -> Pairs:
        return given


def given(**fields: Any) -> Source:
    return Given.named("given", **fields)


def test_a_pair_with_an_empty_text_is_refused_by_its_place() -> None:
    with pytest.raises(
        DataError,
        match=r"source 'given': a text is empty, first in pair 2: \(' ', 'rude'\); mend the data, or set 'empty: drop'",
    ):
        judged_pairs(given(identical="drop"), 0, {})


def test_equal_texts_are_refused_by_their_place() -> None:
    with pytest.raises(
        DataError, match=r"both texts are equal, first in pair 1: \('same', 'same'\).*'identical: drop'"
    ):
        judged_pairs(given(empty="drop"), 0, {})


def test_what_is_dropped_is_counted_by_reason() -> None:
    examples, dropped = judged_pairs(given(empty="drop", identical="drop"), 0, {})
    assert examples.text == ("good", "bad", "kind", "mean")
    assert dropped == {"identical": 1, "empty": 2}


def test_a_source_of_which_nothing_is_left_says_what_became_of_it() -> None:
    with pytest.raises(DataError, match="source 'given' holds no pair; 1 identical ones were dropped"):
        judged_pairs(given(identical="drop"), 0, {"given": Pairs(("a",), ("a",))})


def test_truths_known_beforehand_go_with_their_pairs() -> None:
    value = np.arange(10.0)
    truths = {"gold": Truth(value, np.ones(10, np.int8))}
    whole = Pairs(PAIRS.preferred, PAIRS.rejected, truths=truths)
    examples, _ = judged_pairs(given(empty="drop", identical="drop"), 0, {"given": whole})
    assert examples.truths["gold"].value.tolist() == [0, 1, 8, 9]


def test_each_text_keeps_its_tokens_whatever_is_dropped_and_turned() -> None:
    drawn = DrawnTokens.made([[i, 0] for i in range(10)], [True] * 10, "v", list(range(-10, 0)))
    whole = Pairs(PAIRS.preferred, PAIRS.rejected, drawn=drawn)
    examples, _ = judged_pairs(given(empty="drop", identical="drop", flip=1.0), 0, {"given": whole})
    assert examples.role.tolist() == [-1, 1, -1, 1]
    assert examples.drawn == drawn.take([0, 1, 8, 9])


def test_what_the_source_has_dropped_is_counted_with_the_rest() -> None:
    pairs = Pairs(("a", "same"), ("b", "same"), weight=(1.0, 2.0), dropped={"identical": 3, "tied": 2})
    part = given(identical="drop")
    examples, dropped = judged_pairs(part, 0, {"given": pairs})
    assert dropped == {"identical": 4, "empty": 0, "tied": 2}
    assert examples.weight is not None
    assert examples.weight.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"weight": (1.0, 0.0)}, "gave a weight that is no finite number above 0"),
        ({"weight": (1.0, float("inf"))}, "gave a weight that is no finite number above 0"),
        ({"dropped": {"tied": -1}}, "gave -1 as the number of pairs dropped as 'tied'"),
        ({"dropped": {"": 1}}, "gave a reason ''; a name needs"),
    ],
)
def test_weights_and_counts_that_are_none_are_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(DataError, match=f"source 'given' {why}"):
        judged_pairs(given(), 0, {"given": Pairs(("a", "b"), ("c", "d"), **fields)})
