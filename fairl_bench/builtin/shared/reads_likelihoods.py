"""The base of methods that are given language models: how likely these find each text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from fairl_bench.kinds.lm import LM, AskLikelihoods
from fairl_bench.kinds.method import Method
from fairl_bench.values.data import Floats
from fairl_bench.values.likelihoods import Likelihoods
from fairl_bench.values.number_format import NUMBERS, NumberFormat


class ReadsLikelihoods(Method):
    """A method that language models tell how likely they find each text."""

    seeded: ClassVar[bool] = False

    prompts: Literal["given", "withheld"] = Field(
        "given", description="withheld: each text is read by itself, as by somebody who has no prompts"
    )
    normalise: Literal["sum", "token"] = Field(
        "sum", description="token: what a model says of a text is divided by the number of the text's tokens"
    )
    batch: int = Field(64, ge=1, description="texts in a forward pass; another number moves the last bits")
    dtype: NumberFormat = Field("float32", description=NUMBERS)
    shards: int = Field(1, ge=1, le=4096, description="stages in which a model reads the texts side by side")

    @property
    def per_prompt(self) -> bool:  # type: ignore[override]  # a text alone has no prompt, and a mean no number of it
        """True for what is summed over the tokens of a text, given its prompt."""
        return self.prompts == "given" and self.normalise == "sum"

    def asked(
        self,
        models: Mapping[str, LM | None],
        temperature: float = 1.0,
        *,
        tokens: Literal["drawn", "text"] = "drawn",
        values: bool = False,
    ) -> dict[str, AskLikelihoods]:
        """Return the request for the likelihoods by each model that is known, by role."""
        settings = {name: getattr(self, name) for name in ("prompts", "batch", "dtype", "shards")}
        return {
            role: AskLikelihoods(lm=lm, tokens=tokens, temperature=temperature, values=values, **settings)
            for role, lm in models.items()
            if lm is not None
        }

    def normalised(self, said: Floats, likelihoods: Likelihoods) -> Floats:
        """Return what a model says of each text ``[n]``, a token where that is asked for; 0 tokens count as 1."""
        return said if self.normalise == "sum" else said / likelihoods.tokens.clip(1)
