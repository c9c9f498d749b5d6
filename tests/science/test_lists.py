from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.errors import DataError
from fairl_bench.science.lists import Lists, lists_of
from fairl_bench.science.runs import RowPairs


def made(*pairs: tuple[int, int], prompts: Sequence[Hashable] | None = None) -> Lists:
    """The lists of pairs ``(preferred, rejected)``."""
    rows = np.array(pairs, np.int64).reshape(-1, 2)
    return lists_of(RowPairs(rows[:, 0], rows[:, 1]), [""] * len(rows) if prompts is None else prompts)


def worse(lists: Lists, at: int) -> set[tuple[int, int]]:
    """What a list knows, as pairs ``(better, worse)`` of rows."""
    rows = lists.rows[:, at]
    return {(int(rows[i]), int(rows[j])) for i, j in np.argwhere(lists.below[:, :, at])}


def test_a_chain_is_ordered_throughout() -> None:
    lists = made((4, 2), (9, 4), (2, 1))
    assert len(lists) == 1
    assert lists.rows[:, 0].tolist() == [9, 4, 2, 1]
    assert worse(lists, 0) == {(9, 4), (9, 2), (9, 1), (4, 2), (4, 1), (2, 1)}


def test_texts_that_pairs_do_not_order_are_tied() -> None:
    lists = made((1, 3), (2, 3), (2, 4))
    assert worse(lists, 0) == {(1, 3), (2, 3), (2, 4)}


def test_a_circle_is_a_tie_and_what_lies_below_it_lies_below_all_of_it() -> None:
    lists = made((1, 2), (2, 3), (3, 1), (2, 4))
    assert worse(lists, 0) == {(1, 4), (2, 4), (3, 4)}


def test_the_best_stands_first_and_a_short_list_is_filled_up_with_it() -> None:
    lists = made((7, 5), (1, 2), (0, 1), prompts=["one", "two", "two"])
    assert lists.rows.T.tolist() == [[7, 5, 7, 7], [0, 1, 2, 0]]
    assert lists.length.tolist() == [2, 3]
    assert not lists.below[2:, :, 0].any()
    assert not lists.below[:, 2:, 0].any()


def test_pairs_of_other_prompts_are_other_lists_though_they_share_a_text() -> None:
    lists = made((1, 0), (2, 0), (3, 0), prompts=["one", "two", "one"])
    assert [worse(lists, at) for at in range(len(lists))] == [{(1, 0), (3, 0)}, {(2, 0)}]


def test_lists_stand_in_the_order_of_their_first_pairs() -> None:
    """One pair a prompt gives one list a pair, in place: the batches are then those of a pairwise method."""
    rng = np.random.default_rng(0)
    pairs = RowPairs(*rng.permutation(60).reshape(2, 30))
    lists = lists_of(pairs, [f"prompt {i}" for i in rng.permutation(30)])
    np.testing.assert_array_equal(lists.rows, np.stack(pairs))
    assert lists.below.sum(1).tolist() == [[1] * 30, [0] * 30]


def test_texts_that_are_compared_again_are_judged_again() -> None:
    lists = made((1, 0), (2, 1), (0, 1), (1, 0))
    assert [worse(lists, at) for at in range(len(lists))] == [{(1, 0), (2, 1), (2, 0)}, {(0, 1)}, {(1, 0)}]


def test_pairs_taken_twice_are_lists_taken_twice() -> None:
    once = [(4, 2), (9, 4), (5, 6)]
    lists = made(*once, *once, prompts=["one", "one", "two"] * 2)
    assert [worse(lists, at) for at in range(4)] == 2 * [worse(lists, 0), worse(lists, 1)]


def test_a_text_against_itself_says_nothing() -> None:
    lists = made((3, 3))
    assert lists.length.tolist() == [1]
    assert not lists.below.any()


def test_no_pair_makes_no_list() -> None:
    lists = made()
    assert (len(lists), lists.rows.shape, lists.below.shape) == (0, (2, 0), (2, 2, 0))


def test_a_list_that_is_too_long_is_refused() -> None:
    star = [(0, text) for text in range(1, 64)]
    assert made(*star).rows.shape == (64, 1)
    with pytest.raises(DataError, match="make a list of 65 texts, and a method of lists takes at most 64"):
        made(*star, (0, 64))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 1)), max_size=12), st.randoms())
def test_the_order_of_the_pairs_changes_no_list(pairs: list[tuple[int, int, int]], random: object) -> None:
    """But for pairs that are there twice, whose first stands with the others."""
    distinct = {(min(a, b), max(a, b), prompt): (a, b) for a, b, prompt in pairs}
    named = [(ab, key[2]) for key, ab in distinct.items()]

    def known(chosen: list[tuple[tuple[int, int], int]]) -> set[tuple[tuple[int, ...], frozenset[tuple[int, int]]]]:
        lists = made(*(ab for ab, _ in chosen), prompts=[prompt for _, prompt in chosen])
        sizes = lists.length.tolist()
        return {(tuple(lists.rows[:size, at].tolist()), frozenset(worse(lists, at))) for at, size in enumerate(sizes)}

    mixed = list(named)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert known(mixed) == known(named)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=14, unique=True))
def test_what_is_worse_is_what_paths_lead_to_and_not_back(pairs: list[tuple[int, int]]) -> None:
    """Against a search by hand, over the pairs of each list."""
    pairs = list({(min(ab), max(ab)): ab for ab in pairs}.values())
    lists = made(*pairs)

    def reached(start: int) -> set[int]:
        seen, todo = set[int](), [start]
        while todo:
            at = todo.pop()
            todo += [loser for winner, loser in pairs if winner == at and loser not in seen]
            seen |= {loser for winner, loser in pairs if winner == at}
        return seen

    texts = {text for pair in pairs for text in pair}
    expected = {(a, b) for a in texts for b in reached(a) if a not in reached(b)}
    assert set().union(*(worse(lists, at) for at in range(len(lists)))) == expected
    assert sorted(texts) == sorted(
        text for at, size in enumerate(lists.length.tolist()) for text in lists.rows[:size, at].tolist()
    )
