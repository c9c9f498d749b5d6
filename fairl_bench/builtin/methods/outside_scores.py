"""Somebody else's reward as a method: its scores are read from a file."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from fairl_bench.component import DataFile
from fairl_bench.errors import DataError
from fairl_bench.kinds.method import Given, Method
from fairl_bench.values.data import Floats
from fairl_bench.values.text_scores import TextScores
from fairl_bench.values.training import Head, Inputs, Reward, Task


class OutsideScores(Method):
    """The rewards of a CSV file, text by text: anybody's reward model, in the tables beside the methods.

    Columns are ``text`` and ``reward``; ``prompt``, where a reward depends on it; and ``method``, where the file holds
    the rewards of several.  Other columns are ignored.  Nothing is learnt here, and every text of the suite must be in
    the file.
    """

    seeded: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = False
    reads_prompts: ClassVar[bool] = True
    learns: ClassVar[bool] = False
    given: ClassVar[Given] = "scored elsewhere"

    file: DataFile = Field(description="a CSV file of scores, relative to the suite")
    method: str = Field("", description="the rows of this 'method' in the file; empty: all rows are one method's")

    def check(self) -> None:
        """Read the whole file."""
        self._read()

    def fit(self, task: Task) -> Reward:
        """Return a reward that holds the number of texts in the file."""
        return Reward({"texts": np.array(len(self._read().rewards), np.float32)})

    def score(self, reward: Reward, inputs: Inputs) -> Floats:
        """Return the reward of each text in the file ``[n]``.  Raises `DataError` where the file lacks one."""
        read = self._read()
        if lacking := read.lacking(inputs.text, inputs.prompt):
            raise DataError(lacking)
        return read.of(inputs.text, inputs.prompt)

    def head(self, suite_head: Head) -> str:
        """Return an empty name: it has no head."""
        return ""

    def _read(self) -> TextScores:
        return TextScores.read(self.file, self.method)
