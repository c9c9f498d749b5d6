"""Prompts that lie in the package: beginnings of everyday English sentences."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fairl_bench.builtin.shared.opening_lines import opening_lines
from fairl_bench.kinds.lm import Prompts


class Openings(Prompts):
    """Beginnings of everyday English sentences, mild, which a real language model ends kindly or harshly."""

    drawn: ClassVar[bool] = True

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return ``n`` different ones in random order, or all there are."""
        lines = opening_lines()
        return tuple(lines[i] for i in rng.permutation(len(lines))[:n])
