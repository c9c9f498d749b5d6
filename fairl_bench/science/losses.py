"""Pairwise losses of the margin, elementwise on tensors of any shape."""

from __future__ import annotations

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
