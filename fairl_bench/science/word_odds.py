"""The words that one side of pairs of texts uses more than the other.

The log-odds of a word under an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, "Fightin' Words"): the prior
is the words of both sides together, so that a word must be frequent, and not only one-sided, to stand out.  The two
texts of a prompt, and all words of a text, depend on one another; variances are therefore those of sums over prompts.
They are never below Monroe's own, which hold for independent words: a word that was seen once has no spread of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_LEAST = 1e-12  # of a word that neither side has: its odds are equal, and it is not told apart


class WordOdds(NamedTuple):
    """What is known of each word ``[words]``: positive where the first side uses it more."""

    log_odds: Floats
    z: Floats
    q: Floats  # the false discovery rate of the list that ends at this word (Benjamini & Hochberg 1995)


def word_odds(first: Any, second: Any, prior: float = 500.0) -> WordOdds:
    """The difference of each word's log-odds between two sides, in nats.

    ``first`` and ``second`` are counts ``[prompts, words]``, dense or sparse; row by row they belong to one prompt.
    ``prior`` is the number of words that the prior counts for, in the proportions of both sides together.  A side
    without a word, and a table of one word, give zeros.
    """
    from scipy import sparse, stats

    sides = [sparse.csr_array(counts, dtype=np.float64) for counts in (first, second)]
    totals = [np.asarray(side.sum(0)).ravel() for side in sides]
    both = totals[0] + totals[1]
    words = len(both)
    if words < 2 or not all(total.sum() for total in totals):
        return WordOdds(np.zeros(words), np.zeros(words), np.ones(words))
    alpha = np.maximum(prior * both / both.sum(), _LEAST)
    told = [_Side.of(side, total + alpha) for side, total in zip(sides, totals, strict=True)]
    log_odds = told[0].log_odds - told[1].log_odds
    clustered = told[0].square + told[1].square - 2 * _together(*told)
    variance = np.maximum(clustered, told[0].scale + told[1].scale)
    known = both > 0
    z = np.where(known, log_odds / np.sqrt(np.where(known, variance, 1)), 0.0)
    p = np.where(known, 2 * stats.norm.sf(np.abs(z)), 1.0)
    return WordOdds(log_odds, z, stats.false_discovery_control(p))


class _Side(NamedTuple):
    """One side: log-odds of each word, and what each prompt adds to them to first order.

    That of prompt ``c`` and word ``w`` is ``(y_cw - n_c p_w) / (y_w (1 - p_w))``: a count less what is expected of it.
    """

    counts: Any  # [prompts, words] sparse
    length: Floats  # [prompts]
    share: Floats  # [words] p, with the prior
    scale: Floats  # [words] 1 / (y_w (1 - p_w))
    log_odds: Floats
    square: Floats  # [words] the sum over prompts of the square

    @classmethod
    def of(cls, counts: Any, total: Floats) -> _Side:
        share = total / total.sum()
        length = np.asarray(counts.sum(1)).ravel()
        scale = 1 / np.maximum(total * (1 - share), np.finfo(np.float64).tiny)
        crossed = np.asarray(counts.T @ length).ravel()
        squares = np.asarray(counts.multiply(counts).sum(0)).ravel()
        square = scale**2 * (squares - 2 * share * crossed + share**2 * (length**2).sum())
        log_odds = np.log(np.maximum(share, np.finfo(np.float64).tiny)) - np.log1p(-share)
        return cls(counts, length, share, scale, log_odds, square)


def _together(one: _Side, other: _Side) -> Floats:
    """The sum over prompts of the product of what both sides add ``[words]``: the texts of a prompt are alike."""
    products = np.asarray(one.counts.multiply(other.counts).sum(0)).ravel()
    crossed = other.share * np.asarray(one.counts.T @ other.length).ravel()
    crossed += one.share * np.asarray(other.counts.T @ one.length).ravel()
    expected = one.share * other.share * (one.length @ other.length)
    found: Floats = one.scale * other.scale * (products - crossed + expected)
    return found
