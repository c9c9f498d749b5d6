"""The row that a classifier must beat: it calls every text what most training texts are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.kinds.method import Method
from fairl_bench.values.data import GOLD, Floats
from fairl_bench.values.training import Head, Inputs, Reward, Task
from fairl_bench.values.truths import GoldName


class Majority(Method):
    """The same reward for every text: the log-odds that a training text is good.  Its sign is the more frequent label.

    Where nine texts of ten are good, it has an accuracy of .9 and tells no text from another.  One text of each class
    is added (Laplace), so that the log-odds are finite.  Where the labels are not known, it calls every text good.
    """

    seeded: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = False
    reference: ClassVar[bool] = True

    truth: GoldName = Field(GOLD, description="whose labels are counted")

    def truths(self) -> frozenset[str]:
        """Return an objective whose labels are counted; those of ``gold`` are given where there are any."""
        return frozenset() if self.truth == GOLD else frozenset({self.truth})

    def fit(self, task: Task) -> Reward:
        """Return the log-odds of a good label among the texts of the training pairs."""
        labels = np.concatenate(task.train.gold) if task.train.gold is not None else np.empty(0, np.int8)
        good, bad = (int(np.sum(labels == side)) for side in (1, -1))
        log_odds = np.log((good + 1) / (bad + 1)) if good + bad else 1.0
        return Reward({"log_odds": np.array(log_odds, np.float32)})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the log-odds for each text ``[n]``."""
        return np.full(len(inputs.text), float(reward.arrays["log_odds"]))

    def head(self, suite_head: Head) -> str:
        """Return an empty name: it has no head."""
        return ""
