"""Pairs whose gradient would be larger weigh more.

Katharopoulos & Fleuret 2018 (arXiv:1803.00942) draw samples in proportion to a bound on the norm of their gradient,
which for Bradley-Terry and a linear head is ``sigmoid(-m) ||h+ - h-||``; tau is ours.  Here the pairs of a batch are
weighed by it, not drawn, and not divided by it again: that correction of theirs keeps the plain loss and changes only
its variance.
"""

from fairl_bench import Field, PairwiseMethod, hookimpl


class ImportanceSampling(PairwiseMethod):
    """Bradley-Terry with weights ``sigmoid(-m / tau) ||h+ - h-||``, of mean 1 in each batch."""

    temperature: float = Field(1.0, gt=0, description="tau, in reward units; the larger, the less the margin counts")

    def loss(self, margin):
        from torch.nn.functional import softplus

        return softplus(-margin)

    def weight(self, margin, loss, batch):
        from torch.nn.functional import logsigmoid  # in logs: a batch of sure pairs would sum to 0

        size = batch.norm.clamp(min=1e-12).log()  # equal vectors: no gradient, but a logarithm
        return (logsigmoid(-margin / self.temperature) + size).softmax(-1) * margin.shape[-1]


@hookimpl
def fairl_methods(register):
    register("importance-sampling", ImportanceSampling)
