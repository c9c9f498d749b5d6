"""Likelihoods, taken and put together again: each text keeps its own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.engine.shards import rows_of
from fairl_bench.values.data import Examples
from fairl_bench.values.drawn_tokens import DrawnTokens
from fairl_bench.values.likelihoods import Continuations, Likelihoods
from tests.support.token_strategies import drawn_tokens, likelihoods


def texts(found: Likelihoods) -> list[tuple[Any, ...]]:
    """What is known of each text by itself; what a server does not tell is None."""
    token = np.split(found.token, found.offsets[1:-1]) if len(found) else []
    spelled = [np.empty(0)] * len(found)
    if found.spelled is not None and len(found):
        spelled = np.split(found.spelled, found.offsets[1:-1])
    states = [
        [None if math.isnan(one) else one for one in column.tolist()]
        for column in (found.total, found.before, found.after)
    ]
    flags = found.ended.tolist(), found.tokenised.tolist()
    whole = [0.0] * len(found) if found.whole is None else found.whole.tolist()
    each = ([one.tolist() for one in column] for column in (token, spelled))
    return list(zip(next(each), *states, *flags, next(each), whole, strict=True))


@given(likelihoods(), st.data())
def test_taken_texts_are_those_texts_in_that_order(found: Likelihoods, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, len(found) - 1), max_size=9)) if len(found) else []
    assert texts(found.take(rows)) == [texts(found)[i] for i in rows]
    assert found.take(rows).tokens.tolist() == [len(texts(found)[i][0]) for i in rows]


@given(st.lists(likelihoods(), min_size=1, max_size=4))
def test_joined_texts_come_part_after_part(parts: list[Likelihoods]) -> None:
    if any(part.spelled is None for part in parts):
        parts = [replace(part, spelled=None) for part in parts]  # what is not known of all is known of none
    joined = Likelihoods.joined(parts)
    assert texts(joined) == [one for part in parts for one in texts(part)]
    assert (joined.whole is None) == all(part.whole is None for part in parts)


@given(likelihoods(), st.data())
def test_reweighted_texts_are_likelier_as_wholes_and_their_tokens_are_not(
    found: Likelihoods, data: st.DataObject
) -> None:
    ratio = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=len(found), max_size=len(found))), np.float64)
    other = found.reweighted(ratio)
    assert other.total == pytest.approx(found.total + ratio, abs=1e-12)
    assert other.whole is not None
    assert other.whole == pytest.approx(ratio + (0.0 if found.whole is None else found.whole), abs=1e-12)
    assert np.array_equal(other.token, found.token)
    assert np.isnan(other.before).all()
    assert np.isnan(other.after).all()


@given(likelihoods(), st.data())
def test_without_their_ends_texts_lack_their_last_token_where_it_is_the_end(
    found: Likelihoods, data: st.DataObject
) -> None:
    n = len(found)
    rows = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
    counted = found.ended & (found.tokens > 0)
    found = replace(found, ended=counted)
    less = found.without_end(rows)
    for i, (before, after) in enumerate(zip(texts(found), texts(less), strict=True)):
        if not (rows[i] and counted[i]):
            assert after == before
            continue
        assert after[0] == before[0][:-1]
        assert after[1] == pytest.approx(before[1] - before[0][-1], abs=1e-9)  # float64
        assert after[2:] == (before[2], None, False, before[5], before[6][:-1], before[7])


@given(likelihoods(), st.integers(1, 4))
def test_shards_are_put_together_again(found: Likelihoods, shards: int) -> None:
    parts = [found.take(np.array(rows_of({"shard": i, "shards": shards}, len(found)))) for i in range(shards)]
    assert texts(Likelihoods.merged(parts)) == texts(found)


@given(drawn_tokens(), st.integers(1, 4))
def test_shards_of_what_is_asked_have_the_tokens_of_their_texts(drawn: DrawnTokens, shards: int) -> None:
    n = len(drawn)
    asked = Continuations(("p",) * n, tuple(map(str, range(n))), drawn, 2.0, 7, "bfloat16")
    for i in range(shards):
        rows = rows_of({"shard": i, "shards": shards}, n)
        part = asked.take(rows)
        assert part.text == tuple(map(str, rows))
        assert part.drawn == drawn.take(rows)
        assert (part.temperature, part.batch, part.dtype) == (2.0, 7, "bfloat16")


def test_a_text_without_its_prompt_stands_alone_and_without_its_tokens() -> None:
    drawn = DrawnTokens.made([[1, 0]], [True], "v", [-1.0])
    examples = Examples(("a",), ("p",), drawn=drawn)
    assert Continuations.of(examples, batch=3) == Continuations(("p",), ("a",), drawn, batch=3)
    assert Continuations.of(examples, "withheld") == Continuations(("",), ("a",), None)


def test_columns_that_do_not_fit_together_are_refused() -> None:
    one, flag = np.zeros(1), np.zeros(1, np.bool_)
    for token, offsets in ((np.zeros(2, np.float32), [0, 1]), (np.zeros(1, np.float32), [0, 1, 1])):
        with pytest.raises(ValueError, match="columns of likelihoods do not fit together"):
            Likelihoods(one, token, np.array(offsets), one, one, flag, flag)
    with pytest.raises(ValueError, match="columns of likelihoods do not fit together"):
        Likelihoods(one, one.astype(np.float32), np.array([0, 1]), one, one, flag, flag, np.zeros(2, np.int32))
