"""What two language models say of the pieces of texts: token by token where they read the same ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class Pieces(NamedTuple):
    """The pieces of one text, those between two places where a token of both models ends.

    A piece is one token of each where both read the same tokens.  Log-probabilities are sums over a piece, in nats.
    """

    begin: Rows  # [pieces] characters
    end: Rows  # [pieces]
    base: Floats  # [pieces]
    expert: Floats  # [pieces]

    @property
    def ratio(self) -> Floats:
        """The log-ratio of each piece, expert less base."""
        return self.expert - self.base


def shared_pieces(base: Floats, base_ends: Rows, expert: Floats, expert_ends: Rows) -> Pieces:
    """The pieces of a text whose tokens have these log-probabilities, and end behind these characters.

    Tokens that spell nothing belong to the piece before them, those before the first letter to the first piece.  Both
    models' last tokens must end at the same place; a text without tokens has no pieces.

    >>> one, two = np.array([-1.0, -2, -3]), np.array([-1.0, -1])
    >>> shared_pieces(one, np.array([2, 5, 9]), two, np.array([5, 9]))._asdict() # doctest: +NORMALIZE_WHITESPACE
    {'begin': array([0, 5]), 'end': array([5, 9]), 'base': array([-3., -3.]), 'expert': array([-1., -1.])}
    """
    ends = np.intersect1d(base_ends, expert_ends).astype(np.int64)
    ends = ends[ends > 0] if (ends > 0).any() else ends
    sides = (
        np.diff(np.cumsum(log)[np.searchsorted(of, ends, side="right") - 1], prepend=0.0) if len(ends) else np.empty(0)
        for log, of in ((base, base_ends), (expert, expert_ends))
    )
    return Pieces(np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)], ends, *sides)


class TokenMeans(NamedTuple):
    """The mean log-ratio of each of several tokens, wherever it stands."""

    mean: Floats  # [tokens] nats
    error: Floats  # [tokens] its standard error; NaN for a token of one cluster alone
    places: Rows  # [tokens] how often it stands somewhere
    clusters: Rows  # [tokens] in how many it stands


def token_means(ratio: Floats, token: Rows, cluster: Rows) -> TokenMeans:
    """The mean of ``ratio [n]`` over the places of each ``token [n]``, codes from 0, with an error by ``cluster [n]``.

    The error is that of a ratio of two sums over clusters, which are independent: ``sqrt(G / (G - 1) sum u²) / n``,
    where ``u`` is the sum over one cluster of what its places differ from the mean, and ``G`` counts the clusters that
    have the token.
    """
    tokens = int(token.max(initial=-1)) + 1
    places = np.bincount(token, minlength=tokens)
    mean = np.bincount(token, ratio, tokens) / np.maximum(places, 1)
    pairs, place = np.unique(np.stack([token, cluster]), axis=1, return_inverse=True)
    away = np.bincount(place.ravel(), ratio - mean[token], pairs.shape[1])
    clusters = np.bincount(pairs[0], minlength=tokens)
    square = np.bincount(pairs[0], away**2, tokens)
    factor = np.where(clusters > 1, clusters / np.maximum(clusters - 1, 1), math.nan)
    return TokenMeans(mean, np.sqrt(factor * square) / np.maximum(places, 1), places, clusters)


def median_rows(values: Sequence[float] | Floats, few: int) -> Rows:
    """The rows of the ``few`` values that are nearest to the median, the nearest first.

    >>> median_rows([1.0, 9, 5, 4, 100], 2).tolist()
    [2, 3]
    """
    away = np.abs(np.asarray(values) - np.median(values)) if len(values) else np.empty(0)
    return np.argsort(away, kind="stable")[:few].astype(np.int64)
