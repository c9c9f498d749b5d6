"""A judge who sometimes tosses a coin, so that pairs that stay wrong cost no more than a constant.

Christiano et al. 2017 (arXiv:1706.03741, section 2.2.3), who assume a chance of 10% that the human answers at random.
"""

import math

from fairl_bench import Field, PairwiseMethod, hookimpl


class NoiseMixture(PairwiseMethod):
    """Bradley-Terry beside a coin: ``-log(noise / 2 + (1 - noise) p)``, at most ``-log(noise / 2)``."""

    noise: float = Field(0.1, gt=0, lt=1, description="share of labels given at random, half of them wrong")

    def loss(self, margin):
        from torch.nn.functional import logsigmoid

        judged = math.log1p(-self.noise) + logsigmoid(margin)
        return -judged.logaddexp(judged.new_tensor(self.noise / 2).log())


@hookimpl
def fairl_methods(register):
    register("noise-mixture", NoiseMixture)
