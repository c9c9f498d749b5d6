"""A control that reads nothing but the length of a text."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from fairl_bench.kinds.method import Method
from fairl_bench.values.data import Floats
from fairl_bench.values.training import Head, Inputs, Reward, Task


class Length(Method):
    """Length alone: longer is better or shorter is better, whichever holds in most training pairs."""

    seeded: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    unit: Literal["characters", "words"] = Field("characters", description="what is counted")

    def fit(self, task: Task) -> Reward:
        """Return the sign of the length difference in most training pairs; shorter is better where they are even."""
        lengths = self._lengths(task.train.texts)
        difference = np.sign(lengths[task.train.preferred] - lengths[task.train.rejected]).sum()
        return Reward({"sign": np.array(1 if difference > 0 else -1, np.float32)})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the signed length of each text."""
        return float(reward.arrays["sign"]) * self._lengths(inputs.text)

    def head(self, suite_head: Head) -> str:
        """Return an empty name: it has no head."""
        return ""

    def _lengths(self, texts: tuple[str, ...]) -> Floats:
        return np.array([len(text) if self.unit == "characters" else len(text.split()) for text in texts], np.float64)
