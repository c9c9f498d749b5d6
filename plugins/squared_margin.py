"""A target margin, neither more nor less: the loss of identity preference optimisation on a reward's own margin.

Azar et al. 2023 (arXiv:2310.12036, Eq. 17; their tau is beta here), where the margin is one of log-likelihood ratios.
"""

from fairl_bench import Field, PairwiseMethod, hookimpl


class SquaredMargin(PairwiseMethod):
    """The squared distance of the margin from its target: ``(m - 1 / (2 beta))^2``."""

    beta: float = Field(0.5, gt=0, description="the target margin is 1 / (2 beta), in reward units")

    def loss(self, margin):
        return (margin - 1 / (2 * self.beta)) ** 2

    def stricter(self, factor):
        return self.model_copy(update={"beta": self.beta / factor})


@hookimpl
def fairl_methods(register):
    register("squared-margin", SquaredMargin)
