"""Detectors that know the labels: a pair fails where the reward puts a text on the wrong side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from fairl_bench.kinds.method import Detector
from fairl_bench.science.failures import Signal
from fairl_bench.values.data import GOLD
from fairl_bench.values.truths import GoldName

if TYPE_CHECKING:
    from torch import Tensor


class _Labelled(Detector):
    truth: GoldName = Field(GOLD, description="the truth whose labels are read: gold, or gold:NAME of a blend")
    centre: Literal["class-midpoint", "zero"] = Field(
        "class-midpoint",
        description="the reward between good and bad; training on margins alone does not fix it",
    )

    def truths(self) -> frozenset[str]:
        """Return the truth whose labels are read."""
        return frozenset({self.truth})

    def sides(self, signal: Signal) -> tuple[Tensor, Tensor]:
        """Return ``y * (R - c)`` of the preferred and the rejected text ``[..., n]``; 0 where a label is unknown."""
        if signal.gold is None:
            raise ValueError(f"the detector needs the truth {self.truth!r} of the training pairs")
        centre = self._centre(signal, *signal.gold)
        return signal.gold[0] * (signal.preferred - centre), signal.gold[1] * (signal.rejected - centre)

    def known(self, signal: Signal) -> tuple[Tensor, Tensor]:
        """Return masks of the texts whose label is known ``[..., n]``."""
        assert signal.gold is not None
        return signal.gold[0] != 0, signal.gold[1] != 0

    def _centre(self, signal: Signal, preferred: Tensor, rejected: Tensor) -> Tensor | float:
        """Return the midpoint of the class means ``[..., 1]``; the mean of all rewards where a class is empty."""
        import torch

        if self.centre == "zero":
            return 0.0
        reward = torch.cat([signal.preferred, signal.rejected], -1)
        label = torch.cat([preferred, rejected], -1).expand(reward.shape)
        good, bad = label == 1, label == -1
        counts = good.sum(-1, keepdim=True), bad.sum(-1, keepdim=True)
        means = [
            (reward * mask).sum(-1, keepdim=True) / count.clamp(min=1)
            for mask, count in zip((good, bad), counts, strict=True)
        ]
        return torch.where((counts[0] > 0) & (counts[1] > 0), (means[0] + means[1]) / 2, reward.mean(-1, keepdim=True))


class Supervised(_Labelled):
    """Pairs of which either text is on the wrong side of the centre, ``y (R - c) <= 0`` (paper 4.3).

    Algorithm 1 line 6 of the paper says the opposite of the rejected text; that is ``algorithm-1-line-6``.
    """

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        (preferred, rejected), (known_p, known_r) = self.sides(signal), self.known(signal)
        return ((preferred <= 0) & known_p) | ((rejected <= 0) & known_r)

    def score(self, signal: Signal) -> Tensor:
        """Return how far the worse of the two texts is on the wrong side ``[..., n]``."""
        import torch

        return -torch.minimum(*self.sides(signal))


class LineSix(_Labelled):
    """Algorithm 1 line 6 to the letter: ``y R <= 0`` of the preferred or ``y R >= 0`` of the rejected text.

    The second half flags the rejected texts that the reward has *right*; it is here to show what that does.
    """

    centre: Literal["class-midpoint", "zero"] = Field(
        "zero", description="the reward between good and bad; the paper's line has none, which is 0"
    )

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        (preferred, rejected), (known_p, known_r) = self.sides(signal), self.known(signal)
        return ((preferred <= 0) & known_p) | ((rejected >= 0) & known_r)
