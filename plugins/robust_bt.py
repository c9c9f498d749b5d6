"""A loss that flipped labels do not bias: its mean over the flips is the loss of the true label.

Chowdhury, Kini & Natarajan 2024, "Provably Robust DPO" (arXiv:2403.00409, rDPO); Natarajan et al. 2013, "Learning with
Noisy Labels".  It has no minimum: past a margin of zero it keeps falling with slope ``-noise / (1 - 2 noise)``, so that
early stopping or an L2 prior must end the growth of the reward.
"""

from fairl_bench import Field, PairwiseMethod, hookimpl


class RobustBT(PairwiseMethod):
    """Bradley-Terry unbiased under flips: ``[(1 - noise) l(m) - noise l(-m)] / (1 - 2 noise)``."""

    noise: float = Field(0.1, ge=0, lt=0.5, description="share of flipped labels; 0 is Bradley-Terry")

    def loss(self, margin):
        from torch.nn.functional import softplus

        kept, flipped = softplus(-margin), softplus(margin)
        return ((1 - self.noise) * kept - self.noise * flipped) / (1 - 2 * self.noise)


@hookimpl
def fairl_methods(register):
    register("robust-bt", RobustBT)
