"""The simplest IRL method, and a strong control."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fairl_bench.kinds.method import Method
from fairl_bench.values.training import Head, Reward, Task


class MeanDifference(Method):
    """Mean preferred minus mean rejected vector: feature-expectation matching in one step (paper Eqs. 5-7)."""

    seeded: ClassVar[bool] = False

    def fit(self, task: Task) -> Reward:
        """Return the closed form ``mean h(o+) - mean h(o-)``, by weight; the suite's head is not used."""
        train = task.train
        preferred, rejected = (
            train.vectors[rows].mean(0, dtype=np.float64)
            if train.weight is None
            else np.average(train.vectors[rows], 0, train.weight)
            for rows in (train.preferred, train.rejected)
        )
        return Reward({"weight": (preferred - rejected).astype(np.float32), "bias": np.zeros((), np.float32)})

    def head(self, suite_head: Head) -> str:
        """Return ``linear``, always."""
        return "linear"
