"""The base of judges that give probabilities: from probabilities to truths."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fairl_bench.errors import NotFinite
from fairl_bench.kinds.judge import Judge
from fairl_bench.values.data import GOLD, Examples, Floats, Truth


def log_odds(probability: Floats, clip: float) -> Floats:
    """Return ``log(p / (1 - p))`` with p kept in [clip, 1 - clip], so that it is finite.

    >>> log_odds(np.array([0.5, 1.0]), 0.01).round(2).tolist()
    [0.0, 4.6]
    """
    kept = np.clip(probability, clip, 1 - clip)
    odds: Floats = np.log(kept) - np.log1p(-kept)
    return odds


class ByProbability(Judge):
    """A judge whose values are log-odds of probabilities.  Each distinct text is judged once."""

    threshold: float = Field(
        0.5, gt=0, lt=1, description="a text is good above this probability of good; bad kinds are cut at 1 minus it"
    )
    clip: float = Field(1e-7, ge=1e-15, lt=0.5, description="the least distance of a probability from 0 and 1")

    @abstractmethod
    def probabilities(self, texts: Sequence[str]) -> Mapping[str, Floats]:
        """Return, by truth, the probability ``[n]`` that a text is good (``gold``) or of a kind (``subtype:NAME``)."""

    def judge(self, examples: Examples) -> Mapping[str, Truth]:
        """Return the log-odds of good (``gold``) and of each subtype, all finite.  Raises `NotFinite` for NaN."""
        row = {text: i for i, text in enumerate(dict.fromkeys(examples.text))}
        probabilities = self.probabilities(tuple(row))
        self._refuse_nan(tuple(row), probabilities)
        back = np.array([row[text] for text in examples.text], np.int64)
        return {name: self._truth(name, probability[back]) for name, probability in probabilities.items()}

    def _truth(self, name: str, probability: Floats) -> Truth:
        holds: NDArray[np.bool_]
        holds = probability > self.threshold if name == GOLD else probability >= 1 - self.threshold
        return Truth(log_odds(probability, self.clip), np.where(holds, 1, -1).astype(np.int8))

    def _refuse_nan(self, texts: Sequence[str], probabilities: Mapping[str, Floats]) -> None:
        for name, probability in probabilities.items():
            for i in np.flatnonzero(np.isnan(probability))[:1]:
                raise NotFinite(
                    f"judge {self.use or type(self).__name__!r} gives NaN as {name} of the text {texts[i][:60]!r}; "
                    "its weights overflow or are damaged"
                )
