"""Focal Bradley-Terry: pairs that are ranked right already weigh less (Lin et al. 2017, arXiv:1708.02002)."""

from fairl_bench import Field, PairwiseMethod, hookimpl


class FocalBT(PairwiseMethod):
    """Bradley-Terry with focal weighting: ``(1 - p)^gamma * -log p`` with ``p = sigmoid(margin)``."""

    gamma: float = Field(2.0, ge=0, description="focusing exponent; 0 is plain Bradley-Terry")

    def loss(self, margin):
        from torch.nn.functional import softplus  # log p and log(1 - p) stay finite where p rounds to 0 or 1

        return (-self.gamma * softplus(margin)).exp() * softplus(-margin)


@hookimpl
def fairl_methods(register):
    register("focal-bt", FocalBT)
