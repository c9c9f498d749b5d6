"""Hard pairs only: online hard example mining, the simplest relative of learning from failures.

Shrivastava, Gupta & Girshick 2016 (arXiv:1604.03540), whose examples are image regions.  Early stopping watches the
plain loss of all pairs, which is not the loss that is trained here.
"""

from fairl_bench import Field, PairwiseMethod, hookimpl


class OHEM(PairwiseMethod):
    """Bradley-Terry on the pairs of the highest loss in each batch."""

    share: float = Field(0.5, gt=0, le=1, description="share of a batch that is learnt from; 1 is Bradley-Terry")

    def loss(self, margin):
        from torch.nn.functional import softplus

        return softplus(-margin)

    def weight(self, margin, loss, batch):
        k = max(1, round(self.share * loss.shape[-1]))
        hard = (loss >= loss.topk(k).values[..., -1:]).to(loss)  # ties of the last one too
        return hard / hard.mean(-1, keepdim=True)  # the mean over the hard ones


@hookimpl
def fairl_methods(register):
    register("ohem", OHEM)
