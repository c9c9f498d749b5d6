"""Detectors beyond the paper: failures are the pairs that the reward is unsure of, judged by its last layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from fairl_bench.builtin.detectors.lowest_share import Share, lowest
from fairl_bench.science.failures import Signal

if TYPE_CHECKING:
    from torch import Tensor


def _features(signal: Signal, name: str) -> tuple[Tensor, Tensor]:
    if signal.features is None:
        raise ValueError(f"the detector {name!r} reads the last layer, which is not shown within a step; mine by round")
    return signal.features()


class Laplace(Share):
    """The widest Laplace variance ``x' H^-1 x`` of the margin, over the last layer (MacKay 1992; arXiv:2106.14806).

    ``H`` is the Hessian of the Bradley-Terry loss over the training pairs plus the precision of the prior.
    """

    by_step: ClassVar[bool] = False

    prior: float = Field(1.0, gt=0, description="precision of the Gaussian prior on the last layer's weights")

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        return lowest(-self.score(signal), self.share(signal))

    def score(self, signal: Signal) -> Tensor:
        """Return the variance of each margin ``[..., n]``, in reward units squared."""
        import torch

        x, _ = _features(signal, "laplace")  # [..., n, k]
        p = signal.margin.sigmoid()
        hessian = (x * (p * (1 - p))[..., None]).mT @ x + self.prior * torch.eye(x.shape[-1])
        variance: Tensor = (x * torch.linalg.solve(hessian, x.mT).mT).sum(-1)
        return variance


class McDropout(Share):
    """The widest disagreement of the margin under dropout of the last layer (Gal & Ghahramani 2016, arXiv:1506.02142).

    In closed form: a sum of k terms, each kept with probability 1 - rate and scaled up, has the variance
    ``rate / (1 - rate) * sum_k (w_k x_k)^2``, which sampling would only approach.
    """

    by_step: ClassVar[bool] = False

    rate: float = Field(0.1, gt=0, lt=1, description="share of the hidden units left out")

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        return lowest(-self.score(signal), self.share(signal))

    def score(self, signal: Signal) -> Tensor:
        """Return each margin's deviation over |margin| ``[..., n]``: the higher, the likelier a turn of the pair."""
        x, weights = _features(signal, "mc-dropout")
        spread: Tensor = ((x * weights[..., None, :]) ** 2).sum(-1).mul(self.rate / (1 - self.rate)).sqrt()
        ratio: Tensor = spread / signal.margin.abs().clamp(min=1e-12)
        return ratio
