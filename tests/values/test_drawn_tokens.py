"""The tokens of texts, taken, joined and put together again: each text keeps its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.engine.shards import rows_of
from fairl_bench.values.drawn_tokens import DrawnTokens, interleaved, merged_rows, together
from fairl_bench.values.language_models import Completions
from tests.support.token_strategies import drawn_tokens


def texts(drawn: DrawnTokens) -> list[tuple[Any, ...]]:
    """What is known of each text by itself."""
    columns = zip(drawn.ended.tolist(), drawn.vocabulary, drawn.log_probability.tolist(), strict=True)
    return [
        (drawn.of(i), ended, name, None if math.isnan(log) else log) for i, (ended, name, log) in enumerate(columns)
    ]


@given(drawn_tokens(), st.data())
def test_taken_texts_are_those_texts_in_that_order(drawn: DrawnTokens, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(drawn) - 1), max_size=9)) if len(drawn) else []
    assert texts(drawn.take(rows)) == [texts(drawn)[i] for i in rows]


@given(st.lists(drawn_tokens(), min_size=1, max_size=4))
def test_joined_texts_come_part_after_part(parts: list[DrawnTokens]) -> None:
    assert texts(DrawnTokens.joined(parts)) == [one for part in parts for one in texts(part)]


@given(st.integers(0, 5).flatmap(lambda n: st.tuples(drawn_tokens(n), drawn_tokens(n))))
def test_the_two_texts_of_a_pair_follow_one_another(both: tuple[DrawnTokens, DrawnTokens]) -> None:
    first, second = both
    found = interleaved(first, second, len(first))
    assert found is not None
    assert texts(found) == [one for pair in zip(texts(first), texts(second), strict=True) for one in pair]


@given(drawn_tokens())
def test_where_one_side_is_not_known_the_other_keeps_its_tokens(drawn: DrawnTokens) -> None:
    n = len(drawn)
    found = interleaved(None, drawn, n)
    assert found is not None
    assert texts(found.take(range(1, 2 * n, 2))) == texts(drawn)
    assert texts(found.take(range(0, 2 * n, 2))) == [([], False, "", None)] * n


def test_where_no_part_is_known_nothing_is() -> None:
    assert together([None, None], [2, 3]) is None
    assert interleaved(None, None, 2) is None


@given(drawn_tokens(), st.integers(1, 4))
def test_shards_of_completions_are_put_together_again(drawn: DrawnTokens, shards: int) -> None:
    n = len(drawn)
    whole = Completions(tuple(map(str, range(n))), ("t",) * n, tuple(range(n)), (0,) * n, drawn)
    parts = [whole.take(np.array(rows_of({"shard": i, "shards": shards}, n), np.int64)) for i in range(shards)]
    assert Completions.merged(parts) == whole


@given(st.integers(0, 9), st.integers(1, 4))
def test_the_rows_of_shards_are_found_again(n: int, shards: int) -> None:
    rows = [np.array(rows_of({"shard": i, "shards": shards}, n), np.int64) for i in range(shards)]
    assert np.concatenate(rows)[merged_rows([len(one) for one in rows])].tolist() == list(range(n))


@given(drawn_tokens(), drawn_tokens())
def test_tokens_are_equal_where_every_text_is(one: DrawnTokens, other: DrawnTokens) -> None:
    assert one == one.take(range(len(one)))
    assert (one == other) == (texts(one) == texts(other))
    assert one != "tokens"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ended": np.zeros(1, np.bool_)}, "tokens of 2 texts need columns of one length"),
        ({"offsets": np.array([0, 3, 2])}, "offsets do not divide 2 tokens among 2 texts"),
        ({"offsets": np.array([1, 1, 2])}, "offsets do not divide 2 tokens among 2 texts"),
        ({"offsets": np.array([0, 1, 1])}, "offsets do not divide 2 tokens among 2 texts"),
    ],
)
def test_columns_that_do_not_fit_together_are_refused(change: dict[str, Any], sentence: str) -> None:
    columns = {
        "ids": np.array([5, 6], np.int32),
        "offsets": np.array([0, 1, 2]),
        "ended": np.zeros(2, np.bool_),
        "vocabulary": ("v", "v"),
        "log_probability": np.zeros(2),
    }
    DrawnTokens(**columns)
    with pytest.raises(ValueError, match=sentence):
        DrawnTokens(**{**columns, **change})


def test_nobody_writes_into_tokens() -> None:
    drawn = DrawnTokens.made([[1]], [False], "v", [0.0])
    with pytest.raises(ValueError, match="read-only"):
        drawn.ids[0] = 2
