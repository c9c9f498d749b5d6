"""Judges that need no model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from fairl_bench.errors import DataError
from fairl_bench.kinds.judge import Judge
from fairl_bench.toy import truth
from fairl_bench.toy.lexicon import SUBTYPES
from fairl_bench.values.data import GOLD, Examples, Floats, Truth


class Role(Judge):
    """The roles of the pair as truth: the preferred text is good, the rejected one bad."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return ``gold`` from the role.  Raises `DataError` for texts that are in no pair."""
        outside = int((examples.role == 0).sum())
        if outside:
            raise DataError(f"judge 'role' needs pairs; {outside} texts are in none")
        return {GOLD: Truth(examples.role.astype(np.float64), examples.role)}


class Constant(Judge):
    """The same number for every text: the control of an aligner, which has nothing to learn from it."""

    value: float = Field(0.0, allow_inf_nan=False, description="the number; texts are good where it is not negative")

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return ``gold``, with the label of the number's sign."""
        n = len(examples)
        return {GOLD: Truth(np.full(n, self.value), np.full(n, 1 if self.value >= 0 else -1, np.int8))}


class ToyTruth(Judge):
    """The known reward of the synthetic world, with its four subtypes."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return ``gold`` in [-1, 1], good from 0 up, and one truth for each subtype."""
        value = np.array([truth.reward(text) for text in examples.text])
        subtypes_of_texts = [truth.subtypes(text) for text in examples.text]
        truths = {GOLD: Truth(value, np.where(value >= 0, 1, -1).astype(np.int8))}
        for name in SUBTYPES:
            present = np.array([1 if name in subtypes else -1 for subtypes in subtypes_of_texts], np.int8)
            truths[f"subtype:{name}"] = Truth(present.astype(np.float64), present)
        return truths

    def badness(self, value: Floats) -> Floats:
        """Return the toxicity that the reward is made of, ``(1 - value) / 2``."""
        return (1 - value) / 2
