"""The paper's source: a base language model and its aligned expert complete the same prompts (paper 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from fairl_bench.data import Completions, Pairs, Sampling
from fairl_bench.errors import DataError
from fairl_bench.kinds import LM, Aligner, Ask, Prompts, Source

_NOTHING = Completions((), (), (), ())


class AlignedLM(Source):
    """A base language model and an aligned one complete the same prompts; the aligned completion is preferred.

    The base, the expert, and the completions of each are made once and kept.  An aligner as ``expert`` starts from
    ``base`` and completes ``prompts``, unless it names its own.
    """

    base: LM
    expert: LM
    prompts: Prompts
    n: int = Field(3500, ge=1, description="pairs, before empty and identical ones are dropped")
    sampling: Sampling = Sampling()
    identical: Literal["refuse", "drop"] = Field("drop", description="pairs whose two texts are equal")
    empty: Literal["refuse", "drop"] = Field("drop", description="pairs with a text of nothing but space")

    def size(self) -> int:
        """``n``, at most."""
        return self.n

    def upstream(self) -> Mapping[str, Ask]:
        """The completions of the base and of the expert, each with random numbers of its own."""
        models = {"base": self.base, "expert": self._expert()}
        return {
            role: Ask(lm=lm, prompts=self.prompts, n=self.n, sampling=self.sampling, voice=role)
            for role, lm in models.items()
        }

    def _expert(self) -> LM:
        """The expert; an aligner with what it lacks."""
        expert = self.expert
        if not isinstance(expert, Aligner):
            return expert
        lacks = {"base": expert.base or self.base, "prompts": expert.prompts or self.prompts}
        return expert.model_copy(update=lacks)

    def pairs(self, rng: np.random.Generator, *, base: Completions = _NOTHING, expert: Completions = _NOTHING) -> Pairs:
        """The expert's completion over the base's, of each prompt and draw.

        Raises `DataError` where the two have not gone on from the same prompts.
        """
        if (base.prompt, base.row, base.draw) != (expert.prompt, expert.row, expert.draw):
            raise DataError("the base and the expert have not completed the same prompts; give both the same ones")
        return Pairs(preferred=expert.text, rejected=base.text, prompt=expert.prompt)
