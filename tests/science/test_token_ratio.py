"""What two models say of the pieces of texts, and of each token in all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairl_bench.science.token_ratio import median_rows, shared_pieces, token_means


@st.composite
def read(draw: st.DrawFn, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The log-probabilities of the tokens of a text, and where they end: the last one with the text."""
    ends = [*sorted(draw(st.lists(st.integers(0, length), max_size=8))), length]
    return np.array(draw(st.lists(st.floats(-9, 0), min_size=len(ends), max_size=len(ends)))), np.array(ends)


@given(st.data(), st.integers(1, 20))
def test_the_pieces_of_a_text_are_all_of_it_and_add_up(data: st.DataObject, length: int) -> None:
    one, two = data.draw(read(length)), data.draw(read(length))
    found = shared_pieces(*one, *two)
    assert found.begin.tolist() == [0, *found.end.tolist()][:-1]
    assert found.end[-1] == length
    assert (found.end > found.begin).all()
    assert set(found.end.tolist()) == (set(one[1].tolist()) & set(two[1].tolist())) - {0}
    assert found.base.sum() == pytest.approx(one[0].sum(), abs=1e-9)
    assert found.expert.sum() == pytest.approx(two[0].sum(), abs=1e-9)


@given(st.data(), st.integers(1, 20))
def test_the_same_tokens_are_the_pieces(data: st.DataObject, length: int) -> None:
    ends = np.array(sorted({*data.draw(st.sets(st.integers(1, length))), length}))
    one, two = np.arange(1.0, len(ends) + 1), np.linspace(0, 1, len(ends))
    found = shared_pieces(one, ends, two, ends)
    assert found.end.tolist() == ends.tolist()
    assert found.base == pytest.approx(one, abs=1e-12)
    assert found.ratio == pytest.approx(two - one, abs=1e-12)


def test_tokens_that_spell_nothing_belong_to_the_piece_before_them() -> None:
    found = shared_pieces(np.array([-1.0, -2, -4, -8]), np.array([0, 3, 3, 5]), np.array([-1.0, -1]), np.array([3, 5]))
    assert found.base.tolist() == [-7.0, -8.0]


def test_a_text_without_tokens_has_no_pieces() -> None:
    nothing = np.empty(0), np.empty(0, np.int64)
    assert [len(column) for column in shared_pieces(*nothing, *nothing)] == [0] * 4


def test_a_text_without_letters_is_one_piece() -> None:
    found = shared_pieces(np.array([-1.0]), np.array([0]), np.array([-3.0]), np.array([0]))
    assert (found.begin.tolist(), found.end.tolist(), found.ratio.tolist()) == ([0], [0], [-2.0])


def test_means_and_errors_by_hand() -> None:
    """Token 0 in three clusters: sums of 4, 1 and 1 over 2, 1 and 1 places; its mean is 1.5."""
    ratio, token = np.array([1.0, 3, 1, 1, 7]), np.array([0, 0, 0, 0, 1])
    found = token_means(ratio, token, np.array([0, 0, 1, 2, 2]))
    assert found.mean.tolist() == [1.5, 7.0]
    assert (found.places.tolist(), found.clusters.tolist()) == ([4, 1], [3, 1])
    assert found.error[0] == pytest.approx(np.sqrt(1.5 * (1 + 0.25 + 0.25)) / 4, abs=1e-12)
    assert np.isnan(found.error[1])


def test_with_one_place_a_cluster_the_error_is_that_of_a_mean() -> None:
    ratio = np.random.default_rng(0).normal(size=50)
    found = token_means(ratio, np.zeros(50, np.int64), np.arange(50))
    assert found.error[0] == pytest.approx(ratio.std(ddof=1) / np.sqrt(50), abs=1e-12)


def test_the_error_is_that_of_least_squares_with_clusters() -> None:
    """The sandwich of a regression on a constant (Liang and Zeger 1986), with the factor G / (G - 1)."""
    rng = np.random.default_rng(1)
    cluster = rng.integers(0, 30, 200)
    ratio = rng.normal(size=200) + rng.normal(size=30)[cluster]
    constant = np.ones((200, 1))
    away = ratio - constant @ np.linalg.lstsq(constant, ratio, rcond=None)[0]
    scores = [constant[cluster == one].T @ away[cluster == one] for one in np.unique(cluster)]
    bread, meat = np.linalg.inv(constant.T @ constant), sum(np.outer(score, score) for score in scores)
    variance = bread @ meat @ bread * len(scores) / (len(scores) - 1)
    found = token_means(ratio, np.zeros(200, np.int64), cluster)
    assert found.error[0] == pytest.approx(np.sqrt(variance[0, 0]), rel=1e-9)


def test_copies_of_a_cluster_are_no_further_evidence() -> None:
    rng = np.random.default_rng(2)
    ratio, cluster = rng.normal(size=40), np.arange(40)
    once = token_means(ratio, np.zeros(40, np.int64), cluster).error[0]
    twice = token_means(np.tile(ratio, 2), np.zeros(80, np.int64), np.tile(cluster, 2)).error[0]
    assert twice == pytest.approx(once, abs=1e-12)


def test_nothing_has_no_means() -> None:
    assert [len(column) for column in token_means(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))] == [0] * 4


def test_rows_near_the_median() -> None:
    assert median_rows([], 3).tolist() == []
    assert median_rows([3.0, 1, 2], 9).tolist() == [2, 0, 1]
