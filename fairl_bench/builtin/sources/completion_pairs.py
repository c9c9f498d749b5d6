"""The base of sources in which a base language model and its expert complete the same prompts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field

from fairl_bench.errors import DataError
from fairl_bench.kinds.aligner import Aligner
from fairl_bench.kinds.lm import LM, Ask, Prompts
from fairl_bench.kinds.source import Origin, Source
from fairl_bench.kinds.upstream import base_request
from fairl_bench.values.data import Pairs
from fairl_bench.values.drawn_tokens import interleaved
from fairl_bench.values.language_models import NOTHING, Completions, Sampling


class CompletionPairs(Source):
    """Two language models complete the same prompts; the expert's completion is preferred."""

    prompts: Prompts
    n: int = Field(3500, ge=1, description="number of pairs, before empty and identical ones are dropped")
    sampling: Sampling = Sampling()
    shards: int = Field(
        1,
        ge=1,
        le=4096,
        description="number of stages that draw a model's completions side by side; another number may change a token",
    )
    identical: Literal["refuse", "drop"] = Field(
        "drop", description="what is done with pairs whose two texts are equal"
    )
    empty: Literal["refuse", "drop"] = Field(
        "drop", description="what is done with pairs in which a text is empty or only space"
    )

    @abstractmethod
    def models(self) -> tuple[LM, LM]:
        """Return the base and the expert."""

    def check(self) -> None:
        """Have the models read the prompts."""
        self.remarks()

    def remarks(self) -> list[str]:
        """Return what the models remark on the prompts, those of the alignment included."""
        of_prompts = [request.look() for request in self.upstream().values() if isinstance(request, Ask)]
        of_alignments = [lm.look() for lm in self.models() if isinstance(lm, Aligner)]
        return [remark for remarks in (*of_prompts, *of_alignments) for remark in remarks]

    def origin(self) -> Origin:
        """Return the base, the expert and the prompts."""
        return Origin(*self.models(), self.prompts)

    def base_texts(self) -> Ask:
        """Return the request for completions of the base, sampled as those of the pairs are."""
        return base_request(self.models()[0], self.prompts, self.sampling)

    def unbounded(self) -> str:
        """Return why the log-ratio is no bound: not the whole distributions were drawn from, or are told."""
        whole = self.sampling.temperature == 1 and self.sampling.top_p == 1 and self.sampling.top_k == 0
        if not whole:
            return "its sampling does not draw from the models' whole distributions"
        told = all(lm.tells_ends for lm in self.models())
        return "" if told else "a server does not tell how likely it is that a text ends"

    def size(self) -> int:
        """Return ``n``, the most pairs there can be."""
        return self.n

    def upstream(self) -> Mapping[str, Ask]:
        """Return the requests for the base's and the expert's completions, each with its own random numbers."""
        return {
            role: Ask(lm=lm, prompts=self.prompts, n=self.n, sampling=self.sampling, voice=role, shards=self.shards)
            for role, lm in zip(("base", "expert"), self.models(), strict=True)
        }

    def pairs(self, rng: np.random.Generator, *, base: Completions = NOTHING, expert: Completions = NOTHING) -> Pairs:
        """Return a pair for each prompt and draw: the expert's completion preferred, the base's rejected.

        Raises `DataError` where the two have not completed the same prompts.
        """
        if (base.prompt, base.row, base.draw) != (expert.prompt, expert.row, expert.draw):
            raise DataError(
                f"the base and the expert have not completed the same prompts ({len(base)} and {len(expert)} "
                "completions); give both the same ones"
            )
        drawn = interleaved(expert.drawn, base.drawn, len(base))
        return Pairs(preferred=expert.text, rejected=base.text, prompt=expert.prompt, drawn=drawn)
