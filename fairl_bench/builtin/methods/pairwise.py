"""The paper's two baselines: losses of the margin."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from fairl_bench.pairwise import PairwiseMethod
from fairl_bench.science.losses import BradleyTerry, Hinge


class MaxMargin(PairwiseMethod):
    """Maximum-margin IRL: hinge loss of the margin (paper Eq. 1; Ng & Russell 2000)."""

    margin: float = Field(0.8, gt=0, description="required margin M, in reward units (paper 5)")

    @property
    def loss(self) -> Hinge:  # a function that knows its derivative
        """The loss ``max(0, M - margin)``."""
        return Hinge(self.margin)

    def stricter(self, factor: float) -> Self:
        """Return the method with ``M_fail = factor * M`` (paper 4.2)."""
        return self.model_copy(update={"margin": self.margin * factor})


class MaxEntropy(PairwiseMethod):
    """Maximum-entropy IRL: Bradley-Terry with a temperature (paper Eq. 2; Ziebart et al. 2008)."""

    temperature: float = Field(1.0, gt=0, description="tau, in reward units (paper 5)")

    @property
    def loss(self) -> BradleyTerry:  # a function that knows its derivative
        """The loss ``softplus(-margin / tau)``."""
        return BradleyTerry(self.temperature)

    def stricter(self, factor: float) -> Self:
        """Return the method with ``tau_fail = tau / factor`` (paper 4.2)."""
        return self.model_copy(update={"temperature": self.temperature / factor})
