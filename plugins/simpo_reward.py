"""SimPO's reward: the mean log-probability of a text's tokens (Meng, Xia & Chen 2024, arXiv:2405.14734).

It needs no base.  `log-ratio` with ``normalise: token`` is the same less that of the base: the two show what a base is
worth.
"""

from fairl_bench import LM, AskLikelihoods, Field, Method, Reward, hookimpl


class SimpoReward(Method):
    """The aligned model's mean log-probability of a text's tokens, given the prompt; nothing is learnt."""

    seeded = reads_vectors = learns = False
    given = "one model"
    lm: LM | None = Field(None, description="the aligned language model; none: the source's expert")

    def of(self, source):
        return self if self.lm else self.model_copy(update={"lm": source.models_for(self).expert})

    def upstream(self):
        return {"expert": AskLikelihoods(lm=self.lm)} if self.lm else {}

    def fit(self, task):
        return Reward({})

    def score(self, reward, inputs):
        expert = inputs.likelihoods["expert"]
        return expert.total / expert.tokens.clip(1)


@hookimpl
def fairl_methods(register):
    register("simpo-reward", SimpoReward)
