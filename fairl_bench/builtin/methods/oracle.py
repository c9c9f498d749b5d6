"""The true reward in the place of a recovered one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from fairl_bench.kinds import Given, Judge, Method
from fairl_bench.values.data import GOLD, Examples, Floats
from fairl_bench.values.training import Head, Inputs, Reward, Task


class Oracle(Method):
    """A judge's own values as the reward; nothing is learnt.  The upper bound of every table, and of re-alignment."""

    seeded: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = False
    given: ClassVar[Given] = "truth"
    reference: ClassVar[bool] = True

    judge: Judge = Field(description="the judge whose truth 'gold' is the reward")

    def fit(self, task: Task) -> Reward:
        """Return an empty reward: there is nothing to learn."""
        return Reward({})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the judge's ``gold`` of each text ``[n]``."""
        return self.judge.judge(Examples(inputs.text))[GOLD].value

    def head(self, suite_head: Head) -> str:
        """Return an empty name: it has no head."""
        return ""
