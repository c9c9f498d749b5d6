"""Failures by any of several detectors."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

from pydantic import Field

from fairl_bench.kinds import Detector
from fairl_bench.science.failures import Signal

if TYPE_CHECKING:
    from torch import Tensor


class Union(Detector):
    """Pairs that any of the detectors flags (paper Algorithm 1 line 10)."""

    of: tuple[Detector, ...] = Field(min_length=1)

    @property
    def by_step(self) -> bool:  # type: ignore[override]
        """Whether a batch is enough for each of them."""
        return all(detector.by_step for detector in self.of)

    def truths(self) -> frozenset[str]:
        """What any of them must know."""
        return frozenset().union(*(detector.truths() for detector in self.of))

    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]``."""
        return reduce(lambda one, other: one | other, (detector.failures(signal) for detector in self.of))

    def score(self, signal: Signal) -> Tensor:
        """The highest rank that any of them gives a pair: their scores have no common unit."""
        import torch

        ranks = [detector.score(signal).argsort(dim=-1, stable=True).argsort(-1) for detector in self.of]
        return torch.stack(ranks).amax(0).to(signal.margin.dtype)
