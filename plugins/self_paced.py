"""Easy pairs first: the opposite of learning from failures, and so a control for it.

Kumar, Packer & Koller 2010, "Self-paced learning for latent variable models".  They take the samples whose loss is
below a threshold that grows; here it is a share of each batch that grows, so that no threshold in units of the loss
has to be chosen.  Early stopping watches the plain loss of all pairs, which rises while only easy ones are learnt
from: keep ``until`` short beside its patience, or a run ends, or keeps an epoch, before the hard pairs take part.
"""

from fairl_bench import Field, PairwiseMethod, hookimpl


class SelfPaced(PairwiseMethod):
    """Bradley-Terry on the easiest pairs of each batch, more of them each epoch and then all."""

    start: float = Field(
        0.3, gt=0, le=1, description="share of a batch that is learnt from at first; 1 is Bradley-Terry"
    )
    until: float = Field(0.1, gt=0, le=1, description="share of the epochs after which all pairs are learnt from")

    def loss(self, margin):
        from torch.nn.functional import softplus

        return softplus(-margin)

    def weight(self, margin, loss, batch):
        share = min(1.0, self.start + (1 - self.start) * batch.progress / self.until)
        easy = (loss <= loss.kthvalue(max(1, round(share * loss.shape[-1])), -1, keepdim=True).values).to(loss)
        return easy / easy.mean(-1, keepdim=True)  # the mean over the easy ones


@hookimpl
def fairl_methods(register):
    register("self-paced", SelfPaced)
