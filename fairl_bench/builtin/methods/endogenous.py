"""The reward that stands in one language model's own logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field

from fairl_bench.builtin.shared.reads_likelihoods import ReadsLikelihoods
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.lm import LM
from fairl_bench.kinds.method import Given
from fairl_bench.kinds.source import Source
from fairl_bench.values.data import Floats
from fairl_bench.values.training import Head, Inputs, Reward, Task


class Endogenous(ReadsLikelihoods):
    """The reward under which a language model's logits are the values of its actions (Li et al. 2025).

    With the logits as Q and ``V(s) = alpha logsumexp(logits / alpha)``, the reward of a token is ``Q - V(next state)``,
    and V is 0 behind the end (arXiv:2506.23235).  Over a text it adds up to ``alpha log p(text | prompt) + V(first
    state) - V(last state)``, with p at temperature alpha.  A text that was cut off keeps its last state's value.  Where
    a model has several end tokens, their logits count as one, ``alpha logsumexp(logits / alpha)`` over them.  Nothing
    is learnt.
    """

    given: ClassVar[Given] = "one model"
    reads_vectors: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    lm: LM | None = Field(None, description="the language model; none: the source's expert")
    temperature: float = Field(1.0, gt=0, description="alpha, which divides the logits")

    def of(self, source: Source) -> Self:
        """Return the method with the source's expert.  Raises `DataError` where neither names a model."""
        return self if self.lm is not None else self.model_copy(update={"lm": source.models_for(self).expert})

    def upstream(self) -> Mapping[str, Settings]:
        """Return the request for the likelihoods at its temperature, and for the values of the states."""
        return self.asked({"lm": self.lm}, self.temperature, values=True)

    def fit(self, task: Task) -> Reward:
        """Return an empty reward: there is nothing to learn."""
        return Reward({})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the reward of each text ``[n]``, in units of the logits.  Raises `DataError` where V is not known."""
        told = inputs.likelihoods["lm"]
        values: Floats = told.before - told.after
        if not np.isfinite(values).all():
            model = "its language model" if self.lm is None else f"language model {self.lm.use!r}"
            raise DataError(
                f"method {self.use!r} needs the logits of each text's first and last state, and {model} tells "
                "probabilities alone; name a model that is read on this machine, or leave the method out"
            )
        return self.normalised(self.temperature * told.total + values, told)

    def head(self, suite_head: Head) -> str:
        """Return an empty name: it has no head."""
        return ""
