"""Pairs from two served language models: the same prompts completed by a base and by its aligned expert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin import served
from fairl_bench.builtin.completed import pairs_of
from fairl_bench.data import Completions, Pairs, Sampling
from fairl_bench.kinds import Ask, Prompts, Source

_NOTHING = Completions((), (), (), ())


class CompletionsApi(Source):
    """Two served language models, a base and an aligned one, complete the same prompts; the aligned is preferred.

    ``base`` and ``expert`` are language models ``completions-api`` and need not say so.  The completions of each are
    made once and kept.
    """

    base: served.CompletionsApi
    expert: served.CompletionsApi
    prompts: Prompts
    n: int = Field(3500, ge=1, description="pairs, before empty and identical ones are dropped")
    sampling: Sampling = Sampling()
    identical: Literal["refuse", "drop"] = Field("drop", description="pairs whose two texts are equal")
    empty: Literal["refuse", "drop"] = Field("drop", description="pairs with a text of nothing but space")

    @field_validator("base", "expert")
    @classmethod
    def _named(cls, lm: served.CompletionsApi) -> served.CompletionsApi:
        """Give a model without ``use`` the name that a stage builds it by."""
        if lm.use:
            return lm
        return type(lm).named("completions-api", **{name: getattr(lm, name) for name in type(lm).model_fields})

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        for field, lm in (("base", self.base), ("expert", self.expert)):
            if reason := served.top_k_refusal(lm.server, self.sampling):
                raise PydanticCustomError("top_k", "{reason}", {"reason": reason, "field": field})
        return self

    def size(self) -> int:
        """``n``, at most."""
        return self.n

    def check(self) -> None:
        """Look for the keys of both models."""
        self.base.check()
        self.expert.check()

    def upstream(self) -> Mapping[str, Ask]:
        """The completions of the base and of the expert, each with random numbers of its own."""
        return {
            role: Ask(lm=lm, prompts=self.prompts, n=self.n, sampling=self.sampling, voice=role)
            for role, lm in (("base", self.base), ("expert", self.expert))
        }

    def pairs(self, rng: np.random.Generator, *, base: Completions = _NOTHING, expert: Completions = _NOTHING) -> Pairs:
        """The expert's completion over the base's, of each prompt and draw."""
        return pairs_of(base, expert)
