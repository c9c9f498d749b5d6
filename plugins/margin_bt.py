"""Bradley-Terry that asks for a margin: a pair costs little only beyond it.

Touvron et al. 2023 (arXiv:2307.09288, Eq. 2), whose margin follows the rating of the pair; here it is one for all
pairs, as in SimPO (Meng et al. 2024, arXiv:2405.14734).
"""

from fairl_bench import Field, PairwiseMethod, hookimpl


class MarginBT(PairwiseMethod):
    """Bradley-Terry of the margin beyond the required one: ``-log sigmoid(m - margin)``."""

    margin: float = Field(1.0, gt=0, description="required margin, in reward units; towards 0 it is Bradley-Terry")

    def loss(self, margin):
        from torch.nn.functional import softplus

        return softplus(self.margin - margin)

    def stricter(self, factor):
        return self.model_copy(update={"margin": self.margin * factor})


@hookimpl
def fairl_methods(register):
    register("margin-bt", MarginBT)
