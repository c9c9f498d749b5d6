"""Label smoothing: a share of the labels may be wrong, so that margins stay finite.

Mitchell 2023, "A note on DPO with noisy preferences and relationship to IPO" (cDPO), here on a reward's own margin.
"""

from fairl_bench import Field, PairwiseMethod, hookimpl


class ConservativeDPO(PairwiseMethod):
    """Bradley-Terry with smoothed labels: ``(1 - noise) l(m) + noise l(-m)``, least where ``p = 1 - noise``."""

    noise: float = Field(0.1, ge=0, lt=0.5, description="share of flipped labels; 0 is Bradley-Terry")

    def loss(self, margin):
        from torch.nn.functional import softplus  # -log p and -log(1 - p), finite where p rounds to 0 or 1

        return (1 - self.noise) * softplus(-margin) + self.noise * softplus(margin)


@hookimpl
def fairl_methods(register):
    register("cdpo", ConservativeDPO)
