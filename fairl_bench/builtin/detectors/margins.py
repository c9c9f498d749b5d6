"""Detectors that read the margin alone, and controls that take as many pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fairl_bench.builtin.detectors.lowest_share import Share, lowest
from fairl_bench.kinds.method import Detector
from fairl_bench.science.failures import Signal

if TYPE_CHECKING:
    from torch import Tensor


class MarginThreshold(Detector):
    """Pairs whose margin is at most a threshold, ``margin <= gamma_t`` (paper 4.3, Algorithm 1 line 4)."""

    start: float = Field(0.5, description="gamma in the first round, in reward units")
    end: float = Field(0.0, description="gamma in the last round; in between, a straight line")

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        return signal.margin <= self.start + signal.progress * (self.end - self.start)


class BottomFraction(Share):
    """The pairs of the lowest margins: 20 % of all in the first round, none in the last (paper 5)."""

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        return lowest(signal.margin, self.share(signal))


class Random(Share):
    """As many pairs as bottom-fraction takes, drawn anew in each round: the control for every claim about failures."""

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        return lowest(self._drawn(signal), self.share(signal))

    def score(self, signal: Signal) -> Tensor:
        """Return random numbers ``[..., n]``."""
        return -self._drawn(signal)

    def _drawn(self, signal: Signal) -> Tensor:
        if signal.uniform is None:
            raise ValueError("the detector 'random' needs the signal's uniform numbers")
        return signal.uniform


class All(Detector):
    """Every pair: a second path without mining, the control for the dual path."""

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        import torch

        return torch.ones(signal.margin.shape, dtype=torch.bool)

    def score(self, signal: Signal) -> Tensor:
        """Return the same score for every pair ``[..., n]``."""
        return signal.margin * 0
