"""Pairs from two served language models: a base and its aligned expert complete the same prompts."""

from __future__ import annotations

from typing import Self

from pydantic import field_validator, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.completions_api import CompletionsApi as ServedLM
from fairl_bench.builtin.shared.completions_api import top_k_refusal
from fairl_bench.builtin.sources.completion_pairs import CompletionPairs
from fairl_bench.kinds.lm import LM


class CompletionsApi(CompletionPairs):
    """Two served language models, a base and an aligned one, complete the same prompts; the aligned is preferred.

    ``base`` and ``expert`` are language models ``completions-api`` and need not say so.  The completions of each are
    made once and kept.
    """

    base: ServedLM
    expert: ServedLM

    @field_validator("base", "expert")
    @classmethod
    def _named(cls, lm: ServedLM) -> ServedLM:
        """Give a model without ``use`` the name that a stage builds it by."""
        if lm.use:
            return lm
        return type(lm).named("completions-api", **{name: getattr(lm, name) for name in type(lm).model_fields})

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        for field, lm in (("base", self.base), ("expert", self.expert)):
            if reason := top_k_refusal(lm.server, self.sampling):
                raise PydanticCustomError("top_k", "{reason}", {"reason": reason, "field": field})
        return self

    def models(self) -> tuple[LM, LM]:
        """Return the base and the expert."""
        return self.base, self.expert
