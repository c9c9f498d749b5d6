"""Failures by the margin alone, and the controls of the same size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fairl_bench.builtin.detectors.share import Share, lowest
from fairl_bench.kinds import Detector
from fairl_bench.science.failures import Signal

if TYPE_CHECKING:
    from torch import Tensor


class MarginThreshold(Detector):
    """Pairs whose margin is at most a threshold, ``margin <= gamma_t`` (paper 4.3, Algorithm 1 line 4)."""

    start: float = Field(0.5, description="gamma in the first round, in reward units")
    end: float = Field(0.0, description="gamma in the last round; a straight line between")

    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]``."""
        return signal.margin <= self.start + signal.progress * (self.end - self.start)


class BottomFraction(Share):
    """The lowest margins, 20 % of the pairs at first and none at last (paper 5): from broad to hardest."""

    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]``."""
        return lowest(signal.margin, self.share(signal))


class Random(Share):
    """As many pairs as bottom-fraction takes, drawn anew in each round: the control of every claim on failures."""

    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]``."""
        return lowest(self._drawn(signal), self.share(signal))

    def score(self, signal: Signal) -> Tensor:
        """Nothing but chance."""
        return -self._drawn(signal)

    def _drawn(self, signal: Signal) -> Tensor:
        if signal.uniform is None:
            raise ValueError("the detector 'random' needs the signal's uniform numbers")
        return signal.uniform


class All(Detector):
    """Every pair: a second path without mining, the control of the dual path."""

    def failures(self, signal: Signal) -> Tensor:
        """A mask ``[..., n]``."""
        import torch

        return torch.ones(signal.margin.shape, dtype=torch.bool)

    def score(self, signal: Signal) -> Tensor:
        """One score for all."""
        return signal.margin * 0
