"""The base of methods that are given the two language models of a source: how likely both find each text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.kinds import LM, AskLikelihoods, Given, Method, Source
from fairl_bench.values.data import Floats
from fairl_bench.values.likelihoods import Likelihoods


class TwoModels(Method):
    """A method that reads the log-ratio of an expert and its base."""

    given: ClassVar[Given] = "both models"
    seeded: ClassVar[bool] = False

    base: LM | None = Field(None, description="the language model before the alignment; none: the source's base")
    expert: LM | None = Field(None, description="the aligned language model; none: the source's expert")
    prompts: Literal["given", "withheld"] = Field(
        "given", description="withheld: each text is read by itself, as by somebody who has no prompts"
    )
    normalise: Literal["sum", "token"] = Field("sum", description="token: each model's mean over the text's tokens")
    batch: int = Field(64, ge=1, description="texts in a forward pass; another number moves the last bits")
    dtype: Literal["float32", "bfloat16"] = "float32"
    shards: int = Field(1, ge=1, le=4096, description="stages in which a model reads the texts side by side")

    def of(self, source: Source) -> Self:
        """Return the method with the source's models.  Raises `DataError` where neither names one."""
        if self.base is not None and self.expert is not None:
            return self
        origin = source.models_for(self)
        lacks = {"base": self.base or origin.base, "expert": self.expert or origin.expert}
        return self.model_copy(update=lacks)

    def upstream(self) -> Mapping[str, Settings]:
        """Return the requests for the likelihoods by both models."""
        models = {"base": self.base, "expert": self.expert}
        return {
            role: AskLikelihoods(lm=lm, prompts=self.prompts, batch=self.batch, dtype=self.dtype, shards=self.shards)
            for role, lm in models.items()
            if lm is not None
        }

    def ratio(self, base: Likelihoods, expert: Likelihoods) -> Floats:
        """Return ``D = log p_expert - log p_base`` of each text ``[n]``, in nats, or in nats a token.

        Where the vocabularies differ, each model has read the same characters as its own tokens.  A text without a
        token has 0.
        """
        if self.normalise == "sum":
            return expert.total - base.total
        ratio: Floats = expert.total / expert.tokens.clip(1) - base.total / base.tokens.clip(1)
        return ratio
