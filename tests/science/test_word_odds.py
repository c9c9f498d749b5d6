"""Log-odds of words: by hand, identities, and how often they are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from fairl_bench.science.word_odds import word_odds


def test_log_odds_by_hand() -> None:
    first, second = np.array([[3, 1], [1, 1]]), np.array([[1, 2], [1, 2]])
    found = word_odds(first, second, prior=12)
    # both sides together have 6 and 6 words: the prior counts 6 for each
    expected = np.log((4 + 6) / (2 + 6)) - np.log((2 + 6) / (4 + 6))
    np.testing.assert_allclose(found.log_odds, [expected, -expected], rtol=1e-12)


def test_the_score_by_hand() -> None:
    first, second = np.array([[3, 1], [1, 1], [0, 2]]), np.array([[1, 2], [1, 2], [1, 1]])
    # of 16 words 7 are the first: of it, a prompt has more than is expected of a difference in length of 1, -1 and 0
    beyond = np.array([2 - 7 / 16, 0 + 7 / 16, -1])
    counts = np.array([2, 0, -1])
    by_rate, by_count = (one.sum() / np.sqrt((one**2).sum()) for one in (beyond, counts))
    found = word_odds(first, second)
    np.testing.assert_allclose(found.z[0], min(by_rate, by_count), rtol=1e-12)
    assert 0 < by_count < by_rate


def test_a_word_that_both_texts_have_is_no_more_frequent_in_the_shorter_one() -> None:
    """And one that a long text has more of is not, if only for its length; one that is dropped is told apart."""
    rng = np.random.default_rng(0)
    kept = rng.poisson(2, (300, 4)) + 1
    first = np.column_stack([kept, np.zeros(300)])
    second = np.column_stack([kept, np.ones(300)])
    found = word_odds(first, second)
    assert found.z[:4].tolist() == [0] * 4
    assert found.log_odds[0] > 0
    assert found.z[4] < -10
    longer = word_odds(rng.multinomial(20, [0.25] * 4, 300), rng.multinomial(10, [0.25] * 4, 300))
    assert (longer.q > 0.01).all()


def test_a_word_of_one_side_alone_has_the_score_of_a_sign_test() -> None:
    first, second = np.eye(3)[[0] * 5 + [1] * 45], np.eye(3)[[2] * 5 + [1] * 45]
    found = word_odds(first, second)
    np.testing.assert_allclose(found.z, [np.sqrt(5), 0, -np.sqrt(5)], atol=1e-12)


def test_rare_words_of_sides_that_are_exchanged_at_random_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    share = 1 / np.arange(5, 605)  # most of 600 words are rare, as words are
    found = []
    for _ in range(200):
        counts = [rng.binomial(1, share, (100, 600)) for _ in range(2)]
        kept = sum(side.sum(0) for side in counts) >= 5
        found.append(word_odds(*(side[:, kept] for side in counts)).q.min() <= 0.05)
    assert np.mean(found) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)  # four standard errors of a share


def test_sides_can_be_exchanged() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.poisson(2, (30, 2)), rng.poisson(2, (30, 2))
    there, back = word_odds(first, second), word_odds(second, first)
    np.testing.assert_allclose(back.z, -there.z, atol=1e-12)


def test_sparse_counts_give_the_numbers_of_dense_ones() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.poisson(0.3, (40, 9)), rng.poisson(0.3, (40, 9))
    dense, thin = word_odds(first, second), word_odds(sparse.csr_array(first), sparse.csr_array(second))
    np.testing.assert_allclose(thin.z, dense.z, atol=1e-12)


def test_equal_sides_tell_nothing() -> None:
    counts = np.random.default_rng(0).poisson(1, (20, 5))
    found = word_odds(counts, counts)
    assert found.log_odds.tolist() == [0] * 5
    assert found.z.tolist() == [0] * 5


@pytest.mark.parametrize("empty", [np.zeros((3, 4)), np.zeros((0, 4))])
def test_a_side_without_words_tells_nothing(empty: np.ndarray) -> None:
    found = word_odds(empty, np.ones_like(empty))
    assert found.z.tolist() == [0] * 4
    assert found.q.tolist() == [1] * 4


def test_texts_that_repeat_themselves_give_no_more_certainty_than_their_prompts() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.binomial(1, 0.5, (50, 4)), rng.binomial(1, 0.5, (50, 4))
    first[:, 0] = rng.binomial(1, 0.9, 50)
    once = word_odds(first, second, prior=10)
    often = word_odds(20 * first, 20 * second, prior=200)
    np.testing.assert_allclose(often.z, once.z, rtol=1e-9)


def test_the_variance_is_that_of_many_draws() -> None:
    rng = np.random.default_rng(0)
    share = np.array([0.05, 0.15, 0.3, 0.5])
    draws = [
        word_odds(rng.multinomial(12, share, 200), rng.multinomial(12, share, 200), prior=1e-9) for _ in range(400)
    ]
    z = np.array([draw.z for draw in draws])
    np.testing.assert_allclose(z.std(0), 1, atol=4 / np.sqrt(2 * 400))  # four standard errors of a standard deviation
    assert np.mean([(draw.q <= 0.05).any() for draw in draws]) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 400)


def test_the_variance_counts_that_texts_of_one_prompt_are_alike() -> None:
    rng = np.random.default_rng(0)
    z = []
    for _ in range(300):
        topic = rng.dirichlet([0.5, 0.5, 0.5], 100)  # a prompt's own words, in both of its texts
        first, second = (np.array([rng.multinomial(8, share) for share in topic]) for _ in range(2))
        z.append(word_odds(first, second, prior=1e-9).z)
    np.testing.assert_allclose(np.std(z, 0), 1, atol=4 / np.sqrt(2 * 300))


def test_words_that_were_seen_once_are_not_told_apart_by_chance() -> None:
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 3001)
    share /= share.sum()
    alarms = []
    for _ in range(10):
        first, second = rng.multinomial(30, share, (2, 200))
        found = word_odds(sparse.csr_array(first), sparse.csr_array(second))
        assert np.isfinite(found.z).all()
        alarms.append(int((found.q <= 0.05).sum()))
    assert sum(alarm > 0 for alarm in alarms) <= 2  # at a rate of .05, three of ten would be rare


def test_a_word_that_one_side_uses_much_more_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 301)
    other = share.copy()
    other[20] *= 5
    first, second = (rng.multinomial(30, one / one.sum(), 300) for one in (other, share))
    found = word_odds(first, second)
    assert found.q[20] <= 0.001
    assert found.z[20] > 5
    assert (found.q[np.arange(300) != 20] <= 0.05).sum() <= 3
