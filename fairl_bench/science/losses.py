"""Pairwise losses of the margin, elementwise on tensors of any shape.

`Hinge` and `BradleyTerry` are the losses of a training: they know their derivative, so that no step asks autograd.  It
has the bits of autograd's, so that a plugin with the same loss learns the same reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def hinge(margin: Tensor, required: float) -> Tensor:
    """Return ``max(0, M - margin)``, the max-margin loss (paper Eq. 1)."""
    return (required - margin).clamp(min=0)


def bradley_terry(margin: Tensor, temperature: float) -> Tensor:
    """Return ``softplus(-margin / tau)``, the max-entropy loss (paper Eq. 2)."""
    from torch.nn.functional import softplus

    # softplus, not log(1 + exp) as printed: exp(margin / tau) overflows float32 past 88
    return softplus(-margin / temperature)


@dataclass(frozen=True)
class Hinge:
    """`hinge` as a function of the margin alone."""

    required: float

    def __call__(self, margin: Tensor) -> Tensor:
        """Return the loss of each margin."""
        return hinge(margin, self.required)

    def slope(self, margin: Tensor) -> Tensor:
        """Return the derivative by each margin: -1 up to the required one, 0 above."""
        return (margin <= self.required).to(margin.dtype).neg_()


@dataclass(frozen=True)
class BradleyTerry:
    """`bradley_terry` as a function of the margin alone."""

    temperature: float

    def __call__(self, margin: Tensor) -> Tensor:
        """Return the loss of each margin."""
        return bradley_terry(margin, self.temperature)

    def slope(self, margin: Tensor) -> Tensor:
        """Return the derivative by each margin, ``-sigmoid(-margin / tau) / tau``."""
        import torch

        scaled = -margin / self.temperature
        risen: Tensor = torch.ops.aten.softplus_backward.default(torch.ones_like(scaled), scaled, 1.0, 20.0)
        return -(risen / self.temperature)
