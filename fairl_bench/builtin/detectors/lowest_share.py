"""The base of detectors that take the lowest share of the pairs, in an order of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from fairl_bench.kinds.method import Detector
from fairl_bench.science.failures import Signal

if TYPE_CHECKING:
    from torch import Tensor


def lowest(values: Tensor, share: float) -> Tensor:
    """Return a mask of the lowest ``share`` of each row ``[..., n]``, in whole pairs; ties go to the earlier pair."""
    import torch

    mask = torch.zeros(values.shape, dtype=torch.bool)
    count = round(share * values.shape[-1])
    return mask.scatter(-1, values.argsort(dim=-1, stable=True)[..., :count], True)


class Share(Detector):
    """A detector that takes a share of the pairs; the share shrinks from round to round."""

    start: float = Field(0.2, ge=0, le=1, description="share of the pairs in the first round (paper 5)")
    end: float = Field(0.0, ge=0, le=1, description="share of the pairs in the last round; in between, a straight line")

    def share(self, signal: Signal) -> float:
        """Return k_t, the share of this round."""
        return self.start + signal.progress * (self.end - self.start)
