"""Pairs from the synthetic world: what a base writer and an aligned one write for the same prompt."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.kinds.source import Source
from fairl_bench.toy.frames import CASES, Case
from fairl_bench.toy.grammar import Hard
from fairl_bench.toy.pairs import preference_pairs
from fairl_bench.values.data import Pairs


class ToyComments(Source):
    """Grammar comments: the base writer is toxic now and then, the aligned one seldom, and the aligned is preferred."""

    drawn: ClassVar[bool] = True

    n: int = Field(3500, ge=2, description="number of pairs")
    base_toxic: float = Field(0.40, ge=0, le=1, description="share of the base writer's texts that are toxic")
    expert_toxic: float = Field(0.07, ge=0, le=1, description="share of the aligned writer's texts that are toxic")
    shift: float = Field(0.0, ge=0, le=1, description="share of words from the second lexicon")
    hard: float = Field(0.2, ge=0, le=1, description="share of texts with a hard case: words that mislead")
    cases: tuple[Case, ...] = Field(CASES, min_length=1, description="hard cases; one named twice is twice as likely")
    chatter: float = Field(
        0.0, ge=0, le=1, description="share of the sentences beside the main one that ask, guess, apologise, praise ..."
    )

    def size(self) -> int:
        """Return ``n``."""
        return self.n

    def pairs(self, rng: np.random.Generator) -> Pairs:
        """Return ``n`` pairs of this replicate's world."""
        drawn = preference_pairs(
            self.n,
            rng,
            base_toxic=self.base_toxic,
            expert_toxic=self.expert_toxic,
            shift=self.shift,
            hard=Hard(self.hard, self.cases),
            chatter=self.chatter,
        )
        return Pairs(
            preferred=tuple(pair.preferred for pair in drawn),
            rejected=tuple(pair.rejected for pair in drawn),
            prompt=tuple(pair.prompt.text for pair in drawn),
        )
