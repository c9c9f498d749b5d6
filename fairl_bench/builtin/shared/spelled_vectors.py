"""Vectors written out as texts, so that a world of vectors is treated like any other data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairl_bench.errors import DataError
from fairl_bench.textfiles import number_of
from fairl_bench.values.data import Floats

DECIMALS = 3


def spelled(vectors: Floats) -> tuple[str, ...]:
    """Return each row ``[n, d]`` as its numbers to three decimals.

    >>> spelled(np.array([[0.5, -1.23456]]))
    ('0.500 -1.235',)
    """
    return tuple(" ".join(f"{number:.{DECIMALS}f}" for number in row) for row in vectors.tolist())


def read(texts: Sequence[str]) -> Floats:
    """Return the numbers of each text ``[n, d]``.  Raises `DataError` where a text has another count than the first.

    >>> read(["0.500 -1.235"]).tolist()
    [[0.5, -1.235]]
    """
    rows = [_numbers(text) for text in texts]
    for text, row in zip(texts, rows, strict=True):
        if not row or len(row) != len(rows[0]):
            wanted = f"{len(rows[0])} numbers, as the first text does" if rows[0] else "numbers, and nothing else"
            raise DataError(f"a text must spell {wanted}, got {text!r}")
    return np.array(rows, np.float64).reshape(len(rows), -1 if rows else 0)


def _numbers(text: str) -> list[float]:
    """Return the numbers of a text; none where a word is not a finite number."""
    words = text.split()
    numbers = [number for word in words if (number := number_of(word)) is not None]
    return numbers if len(numbers) == len(words) else []
