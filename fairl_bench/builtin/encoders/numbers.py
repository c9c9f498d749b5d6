"""An encoder for worlds made of vectors: it reads the numbers that stand in the text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairl_bench.builtin.shared.spelled_vectors import read
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.values.data import Vectors


class Numbers(Encoder):
    """The numbers that a text spells out, as `synthetic-linear` writes them."""

    def encode(self, texts: Sequence[str], corpus: Sequence[str]) -> Vectors:
        """Return one row a text ``[n, d]``.  Raises `DataError` for a text with another count of numbers."""
        return read(texts).astype(np.float32)
