"""Prompts divided into two sides, the same in every run."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from pydantic import Field

from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import Prompts


class Divided(Prompts):
    """One side of other prompts, divided by the digest of their texts: a held-out prompt is never on the kept side."""

    of: Prompts
    side: Literal["kept", "held-out"]
    share: float = Field(0.25, gt=0, lt=1, description="share of the prompts that is held out")

    def draws(self) -> bool:
        """Return whether the divided prompts are drawn at random."""
        return self.of.draws()

    def check(self) -> None:
        """Check the divided prompts."""
        self.of.check()

    def texts(self, n: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Return up to ``n`` different prompts of the side.  Raises `DataError` where there is none."""
        share = self.share if self.side == "held-out" else 1 - self.share
        # as many as are there on average, and four standard errors more
        wanted = int(n / share + 4 * (n / share) ** 0.5 / share) + 1
        drawn = dict.fromkeys(self.of.texts(wanted, rng))
        kept = tuple(text for text in drawn if (_place(text) < self.share) == (self.side == "held-out"))[:n]
        if not kept:
            raise DataError(f"none of {len(drawn)} prompts {self.of.use!r} is {self.side}; give more, or another share")
        return kept


def _place(text: str) -> float:
    """Return where a text stands in [0, 1), the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2.0**64
