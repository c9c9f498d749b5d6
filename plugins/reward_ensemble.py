"""Several heads of any pairwise method, and how their rewards become one where they differ.

Coste et al. 2023 (arXiv:2310.02743): their mean, their minimum (worst case), or their mean less ``c`` times their
variance.  Preferences do not fix the constant of a reward, so each head is first moved to mean 0 on the training texts
(as in Eisenstein et al. 2023, arXiv:2312.09244): otherwise minimum and variance would depend on these constants.
"""

from typing import Literal

import numpy as np
from pydantic import field_validator

from fairl_bench import Field, Inputs, PairwiseMethod, Reward, hookimpl


class Ensemble(PairwiseMethod):
    """Heads from different starts and batches; the reward is their mean, minimum, or mean less their variance."""

    base: PairwiseMethod = Field(
        {"use": "max-entropy"}, description="the method that trains each head; it must train one head itself"
    )
    heads: int = Field(3, ge=2, description="number of heads")
    rule: Literal["mean", "worst-case", "variance"] = Field("mean", description="how the heads' rewards become one")
    penalty: float = Field(0.5, ge=0, description="c of the rule 'variance': mean - c var")

    @field_validator("base")
    @classmethod
    def _of_one_head(cls, base):
        if base.members() > 1:
            raise ValueError(f"base needs a method of one head, got {base.use!r} of {base.members()}")
        return base

    def loss(self, margin):
        return self.base.loss(margin)

    def target(self, pairs):
        return self.base.target(pairs)

    def weight(self, margin, loss, batch):
        return self.base.weight(margin, loss, batch)

    def weighs(self):
        return self.base.weighs()

    def failure_plan(self):
        return self.base.failure_plan()

    def epochs(self, training):
        return self.base.epochs(training)

    def truths(self):
        return self.base.truths()

    def stack(self):
        return ("ensemble", self.base.stack())  # apart from the others: fit_many has more to do

    def members(self):
        return self.heads

    def combine(self, rewards):
        return Reward({name: np.stack([one.arrays[name] for one in rewards]) for name in rewards[0].arrays})

    @classmethod
    def fit_many(cls, runs):
        rewards = super().fit_many(runs)
        for (method, task), reward in zip(runs, rewards, strict=True):
            both = np.concatenate([task.train.preferred, task.train.rejected])
            reward.arrays["bias"][:] -= method.each(reward, task.train.vectors[both]).mean(1)
        return rewards

    def each(self, reward, vectors):
        heads = [Reward({name: array[i] for name, array in reward.arrays.items()}) for i in range(self.heads)]
        return np.stack([PairwiseMethod.score(self, head, Inputs((), vectors)) for head in heads])  # [heads, n]

    def score(self, reward, inputs):
        each = self.each(reward, inputs.vectors)
        if self.rule == "worst-case":
            return each.min(0)
        return each.mean(0) - (self.penalty * each.var(0) if self.rule == "variance" else 0)


@hookimpl
def fairl_methods(register):
    register("ensemble", Ensemble)
