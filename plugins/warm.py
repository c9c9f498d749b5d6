"""Weight averaging: one head whose weights are the means of several heads'.

Rame et al. 2024, "WARM" (arXiv:2401.12187), fine-tune from one start, which makes weights comparable.  The members of
a `PairwiseMethod` start apart.  For linear heads that does no harm: this is exactly the mean of their rewards.  For
two-layer heads it is not WARM: hidden units of different heads have nothing in common, and the mean of their weights
is not the mean of any rewards.
"""

import numpy as np

from fairl_bench import Field, PairwiseMethod, Reward, hookimpl


class WeightAverage(PairwiseMethod):
    """Bradley-Terry heads from different starts, averaged number by number; meant for linear heads."""

    heads: int = Field(3, ge=1, description="number of heads that are averaged")

    def loss(self, margin):
        from torch.nn.functional import softplus

        return softplus(-margin)

    def members(self):
        return self.heads

    def combine(self, rewards):
        return Reward({name: np.mean([one.arrays[name] for one in rewards], 0) for name in rewards[0].arrays})


@hookimpl
def fairl_methods(register):
    register("warm", WeightAverage)
