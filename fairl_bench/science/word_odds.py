"""The words that one side of pairs of texts uses more than the other.

How much more: the log-odds of a word under an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, "Fightin'
Words"), which is the words of both sides together, so that a word must be frequent, and not only one-sided, to stand
out.

How surely: a score test of the hypothesis that both sides use the word equally often.  The two texts of a prompt, and
all words of a text, depend on one another; its variance is therefore that of a sum over prompts.  It is asked of words
a word of text, and of words a text, and the less sure of the two answers counts: where one side writes shorter texts, a
word that both sides have in common would be more frequent there, a word of text, and no reader would call it so.

The log-odds by their own clustered error would not do: where one side has no such word, nothing varies there.  On 100,
400 and 1,500 pairs of the synthetic world whose sides are exchanged at random, some word was told apart at a false
discovery rate of 5 % in 90 % of the repeats and more.  With an error of at least Monroe's own there is no such alarm,
and 0, 10 and 236 words of the true sides are told apart; by the score test 0, 96 and 290, with 0, 1 and 0 alarms in 60,
60 and 30 repeats, and z of a standard deviation of .99 to 1.00.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class WordOdds(NamedTuple):
    """What is known of each word ``[words]``: positive where the first side uses it more."""

    log_odds: Floats  # nats
    z: Floats
    q: Floats  # the false discovery rate of the list that ends at this word (Benjamini & Hochberg 1995)


def word_odds(first: Any, second: Any, prior: float = 500.0) -> WordOdds:
    """The difference of each word's log-odds between two sides, in nats, and how surely it is none.

    ``first`` and ``second`` are counts ``[prompts, words]``, dense or sparse; row by row they belong to one prompt.
    ``prior`` is the number of words that the prior counts for, in the proportions of both sides together; it bears on
    the log-odds alone.  A side without a word, and a table of one word, give zeros.
    """
    from scipy import sparse, stats

    sides = [sparse.csr_array(counts, dtype=np.float64) for counts in (first, second)]
    totals = [np.asarray(side.sum(0)).ravel() for side in sides]
    both = totals[0] + totals[1]
    words = len(both)
    if words < 2 or not all(total.sum() for total in totals):
        return WordOdds(np.zeros(words), np.zeros(words), np.ones(words))
    share = both / both.sum()
    one, other = (_log_odds((total + prior * share) / (total.sum() + prior)) for total in totals)
    difference = sides[0] - sides[1]
    rates, counts = _score(difference, share), _score(difference, np.zeros(words))
    z = np.where(rates * counts > 0, np.sign(rates) * np.minimum(np.abs(rates), np.abs(counts)), 0.0)
    q = stats.false_discovery_control(2 * stats.norm.sf(np.abs(z)))
    return WordOdds(one - other, z, q)


def _log_odds(share: Floats) -> Floats:
    """The log-odds of shares ``[words]``; those of a word that no side has are finite."""
    least = np.finfo(np.float64).tiny
    odds: Floats = np.log(np.maximum(share, least)) - np.log(np.maximum(1 - share, least))
    return odds


def _score(difference: Any, share: Floats) -> Floats:
    """The sum over prompts of what is beyond the expected, by the root of the sum of its squares ``[words]``.

    ``difference [prompts, words]`` are the counts of the first side less those of the second.  Where both sides use
    each word with its ``share [words]``, a difference of ``n`` words in length has ``n share`` of them; with shares of
    0 a text is expected to have as many of a word as the other, however long it is.
    """
    length = np.asarray(difference.sum(1)).ravel()
    beyond = np.asarray(difference.sum(0)).ravel() - length.sum() * share
    squares = np.asarray(difference.multiply(difference).sum(0)).ravel()
    crossed = np.asarray(difference.T @ length).ravel()
    square = squares - 2 * share * crossed + share**2 * (length @ length)
    known = square > 1e-9 * np.maximum(squares, np.finfo(np.float64).tiny)  # of what rounding leaves, nothing is known
    z: Floats = np.where(known, beyond / np.sqrt(np.where(known, square, 1)), 0.0)
    return z
