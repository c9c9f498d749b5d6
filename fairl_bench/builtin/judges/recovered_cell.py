"""The reward that a cell of the running suite has recovered, as a judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import numpy as np
from pydantic import Field

from fairl_bench.component import Settings
from fairl_bench.errors import SuiteError
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.kinds.judge import Judge, Judging
from fairl_bench.kinds.method import Method
from fairl_bench.kinds.upstream import Artefact, nested, within
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.given import METHOD, language_model, starts
from fairl_bench.values.data import GOLD, Examples, Split, Truth


class RecoveredCell(Judge):
    """The reward that a method of the running suite recovered; only an evaluator can use it, a suite cannot name it.

    A text is good where its reward is above 0.
    """

    method: Method
    encoder: Encoder
    embed: Literal["completion", "prompt+completion"]
    reward: str = Field(description="key of the reward")
    corpus: tuple[str, str] | None = Field(None, description="keys of the pairs and their split, for a fitted encoder")

    def upstream(self) -> Mapping[str, Settings]:
        """Return the reward, what encoder and method start from, and the texts that the encoder learns from.

        Of a request for likelihoods that is the language model: it is asked for each text that is judged.
        """
        keys = {"reward": self.reward, **dict(zip(("pairs", "split"), self.corpus or (), strict=False))}
        of_method = {f"{METHOD}/{role}": language_model(start) or start for role, start in starts(self.method).items()}
        stages = {role: Artefact(key=key) for role, key in keys.items()}
        return {**stages, **nested("encoder", self.encoder), **of_method}

    def judge(self, examples: Examples) -> NoReturn:
        """Raise `SuiteError`: a reward in a folder is the judge 'recovered'."""
        raise SuiteError(f"judge {self.use!r} is made by an evaluator; name a saved reward with 'use: recovered'")

    def ready(self, upstream: Mapping[str, Any]) -> Judging:
        """Return a function that judges texts by the reward, with its encoder loaded once."""
        corpus: tuple[str, ...] = ()
        if self.corpus is not None:
            split: Split = upstream["split"]
            corpus = split.training_texts(upstream["pairs"], self.embed)
        of_encoder, of_method = within("encoder", upstream), within(METHOD, upstream)
        what = (self.method, self.encoder, upstream["reward"], self.embed, corpus, of_encoder)
        reward = RecoveredReward(*what, method_upstream=of_method)

        def judging(examples: Examples) -> Mapping[str, Truth]:
            value = reward.values(examples)
            return {GOLD: Truth(value, np.where(value > 0, 1, -1).astype(np.int8))}

        return judging
