"""A reward that another suite recovered, as a judge of this one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from fairl_bench.builtin.shared.hub import Beside
from fairl_bench.component import RunTime
from fairl_bench.digests import is_folder, stamp
from fairl_bench.errors import PluginError
from fairl_bench.kinds.judge import Judge
from fairl_bench.reward.about import read_about
from fairl_bench.reward.folder import Find, read_reward
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.reward.given import language_models
from fairl_bench.reward.identity import source
from fairl_bench.values.data import GOLD, Examples, Truth


class RecoveredJudge(Judge):
    """A reward that a run has saved, as a judge.

    Its identity is what lies in the folder, with its encoder and its language models; where they lie is not in the key.
    """

    folder: Annotated[str, Beside, RunTime] = Field(
        min_length=1, description="the saved reward, RESULTS/rewards/CELL, relative to the suite"
    )
    models: Annotated[Mapping[str, Annotated[str, Beside]], RunTime] = Field(
        {}, description="folders of its language models that lie elsewhere now, by role: {method/base: FOLDER}"
    )
    threshold: float = Field(0.0, description="a text is good where its reward is above this")
    _find: Find | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _remember(self, info: ValidationInfo) -> Self:
        """Keep the function that finds parts by name: the reward's folder names its own parts."""
        self._find = (info.context or {}).get("find")
        return self

    @property
    def reads_prompts(self) -> bool:  # type: ignore[override]  # the reward says so
        """Whether the reward does."""
        return self._reward().reads_prompts

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return the reward of each text."""
        value = self._reward().values(examples)
        return {GOLD: Truth(value, np.where(value > self.threshold, 1, -1).astype(np.int8))}

    def reads(self) -> dict[str, str]:
        """Return the digest of all that the reward depends on, and those of the code of its parts."""
        reward = self._reward()
        parts: dict[str, Any] = {"method": reward.method, "encoder": reward.encoder}
        parts |= language_models(reward.method, None)
        code = {role: source(type(part)) for role, part in parts.items() if part is not None}
        return {"reward": read_about(Path(self.folder)).fingerprint(), **code}

    def check(self) -> None:
        """Read the reward: its parts must be here, and they must be those that it was fitted on."""
        self._reward()

    def _reward(self) -> RecoveredReward:
        if self._find is None:
            raise PluginError("judge 'recovered' needs a registry to find its parts in: build it with Registry.build")
        folder = Path(self.folder)
        if not is_folder(folder):
            read_about(folder)  # raises, and names one nearby
        return _loaded(self.folder, stamp(folder), self._find, tuple(sorted(self.models.items())))


@lru_cache(maxsize=4)  # an aligner asks at every step
def _loaded(folder: str, stamp: object, find: Find, models: tuple[tuple[str, str], ...]) -> RecoveredReward:
    return read_reward(Path(folder), find, upstream=dict(models))
