"""The reward that an aligned language model has internalised, as the two models themselves say it."""

from __future__ import annotations

from typing import ClassVar

from fairl_bench.builtin.shared.two_models import TwoModels
from fairl_bench.kinds.source import Source
from fairl_bench.values.data import Floats
from fairl_bench.values.training import Head, Inputs, Reward, Task


class LogRatio(TwoModels):
    """The log-ratio of the aligned model and its base: the reward for which the aligned one would be optimal.

    ``D = log p_expert(text | prompt) - log p_base(text | prompt)`` is that reward divided by the weight of the KL
    penalty, up to a number a prompt (Rafailov et al. 2023, arXiv:2305.18290).  Nothing is learnt.  For one draw of each
    model no reward of prompt and text ranks more pairs right in expectation (Neyman and Pearson): given the prompts,
    summed over the tokens that were drawn, it is a bound (`bounds`).
    """

    reference: ClassVar[bool] = True
    reads_vectors: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    def fit(self, task: Task) -> Reward:
        """Return an empty reward: there is nothing to learn."""
        return Reward({})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the log-ratio of each text ``[n]``."""
        return self.ratio(inputs.likelihoods["base"], inputs.likelihoods["expert"])

    def head(self, suite_head: Head) -> str:
        """Return an empty name: it has no head."""
        return ""

    def bounds(self, source: Source) -> bool:
        """Return True for the whole log-ratio of the source's own models: given the prompts, summed over the tokens."""
        origin = source.origin()
        if origin is None or (self.prompts, self.normalise, self.tokens) != ("given", "sum", "drawn"):
            return False
        return self.base in (None, origin.base) and self.expert in (None, origin.expert)
