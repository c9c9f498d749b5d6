"""The tokens of texts as a language model drew them: what a text alone no longer says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fairl_bench.guards.readonly import freeze_arrays

A = TypeVar("A", bound=np.generic)
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class DrawnTokens:
    """The tokens of ``n`` texts, those of text ``i`` in ``ids[offsets[i]:offsets[i + 1]]``; all arrays are read-only.

    ``ended[i]`` is True where a text ended by itself; where its tokens are known, the last one is then the end token.
    ``vocabulary[i]`` is the digest of the vocabulary that they are tokens of, empty where a text's tokens are not
    known; such a text has none.  ``log_probability[i]`` is that of the text, in nats, under the model that drew it at
    temperature 1 from its whole distribution, NaN where it is not known.
    """

    ids: NDArray[np.int32]  # [tokens]
    offsets: Rows  # [n + 1]
    ended: NDArray[np.bool_]  # [n]
    vocabulary: tuple[str, ...]  # [n]
    log_probability: NDArray[np.float64]  # [n]

    def __post_init__(self) -> None:
        freeze_arrays(self, "ids", "offsets", "ended", "log_probability")
        n = len(self.vocabulary)
        if {len(self.offsets) - 1, len(self.ended), len(self.log_probability)} != {n}:
            raise ValueError(f"the tokens of {n} texts need columns of one length")
        if self.offsets[0] or self.offsets[-1] != len(self.ids) or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"the offsets do not divide {len(self.ids)} tokens among {n} texts")

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __eq__(self, other: object) -> bool:
        """True where every column is equal; numbers that are not known are."""
        if not isinstance(other, DrawnTokens):
            return NotImplemented
        columns = [(getattr(self, name), getattr(other, name)) for name in ("ids", "offsets", "ended")]
        log = self.log_probability, other.log_probability
        same = all(np.array_equal(*both) for both in columns) and np.array_equal(*log, equal_nan=True)
        return same and self.vocabulary == other.vocabulary

    def of(self, i: int) -> list[int]:
        """The tokens of one text."""
        tokens: list[int] = self.ids[self.offsets[i] : self.offsets[i + 1]].tolist()
        return tokens

    def take(self, rows: Sequence[int] | Rows) -> DrawnTokens:
        """Those of these texts, in this order."""
        picked = np.asarray(rows, np.int64)
        return DrawnTokens(
            *taken(self.ids, self.offsets, picked),
            self.ended[picked],
            tuple(self.vocabulary[i] for i in picked),
            self.log_probability[picked],
        )

    @staticmethod
    def joined(parts: Sequence[DrawnTokens]) -> DrawnTokens:
        """Those of all texts, one part after the other."""
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        return DrawnTokens(
            np.concatenate([part.ids for part in parts]),
            offsets_of(lengths),
            np.concatenate([part.ended for part in parts]),
            tuple(name for part in parts for name in part.vocabulary),
            np.concatenate([part.log_probability for part in parts]),
        )

    @staticmethod
    def made(
        tokens: Sequence[Sequence[int]], ended: Sequence[bool], vocabulary: str, log_probability: Sequence[float]
    ) -> DrawnTokens:
        """Those of texts that one model has drawn.

        >>> DrawnTokens.made([[5, 0], [], [7]], [True, False, False], "v", [-1.0, 0.0, -2.0]).take([2, 0]).ids.tolist()
        [7, 5, 0]
        """
        ids = np.array([token for one in tokens for token in one], np.int32)
        log = np.array(log_probability, np.float64)
        offsets = offsets_of([len(one) for one in tokens])
        return DrawnTokens(ids, offsets, np.array(ended, np.bool_), (vocabulary,) * len(tokens), log)

    def forgotten(self) -> DrawnTokens:
        """The same texts without their tokens: whether each ended by itself is still known."""
        return replace(DrawnTokens.unknown(len(self)), ended=self.ended)

    @staticmethod
    def unknown(n: int) -> DrawnTokens:
        """Those of texts whose tokens are not known."""
        nothing = np.empty(0, np.int32)
        return DrawnTokens(nothing, np.zeros(n + 1, np.int64), np.zeros(n, np.bool_), ("",) * n, np.full(n, np.nan))


def together(parts: Sequence[DrawnTokens | None], sizes: Sequence[int]) -> DrawnTokens | None:
    """The tokens of parts of these sizes, one part after the other; None where those of no part are known."""
    if all(part is None for part in parts):
        return None
    known = [DrawnTokens.unknown(n) if part is None else part for part, n in zip(parts, sizes, strict=True)]
    return DrawnTokens.joined(known)


def interleaved(first: DrawnTokens | None, second: DrawnTokens | None, n: int) -> DrawnTokens | None:
    """The tokens of ``n`` pairs of texts, the two of each one after the other; None where those of no text are known.

    >>> first, second = (DrawnTokens.made([[number], [number + 1]], [False] * 2, "v", [0.0] * 2) for number in (1, 3))
    >>> both = interleaved(first, second, 2)
    >>> both.ids.tolist() if both else None
    [1, 3, 2, 4]
    """
    both = together([first, second], [n, n])
    return None if both is None else both.take(np.arange(2 * n).reshape(2, n).T.ravel())


def offsets_of(lengths: Sequence[int] | Rows) -> Rows:
    """Where each of so many entries begins in one long column, and where the last one ends ``[n + 1]``.

    >>> offsets_of([2, 0, 1]).tolist()
    [0, 2, 2, 3]
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.asarray(lengths, np.int64))])


def merged_rows(sizes: Sequence[int]) -> Rows:
    """The order that puts shards of these sizes together again, where each has every ``len(sizes)``-th row.

    >>> merged_rows([2, 1]).tolist()
    [0, 2, 1]
    """
    starts, row = offsets_of(sizes), np.arange(sum(sizes))
    return starts[row % len(sizes)] + row // len(sizes)


def taken(column: NDArray[A], offsets: Rows, rows: Rows) -> tuple[NDArray[A], Rows]:
    """The entries of these rows of a long column, one row after the other, and their offsets.

    >>> [array.tolist() for array in taken(np.array([5, 6, 7]), np.array([0, 2, 3]), np.array([1, 0]))]
    [[7, 5, 6], [0, 1, 3]]
    """
    lengths = np.diff(offsets)[rows]
    begins = offsets_of(lengths)
    places = np.arange(begins[-1]) + np.repeat(offsets[rows] - begins[:-1], lengths)
    return column[places], begins
