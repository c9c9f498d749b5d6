"""A recovered reward as a function of any text: an encoder, and what a method has learnt from its vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fairl_bench.data import Examples, Floats, Inputs, Reward, Vectors
from fairl_bench.errors import NotFinite
from fairl_bench.kinds import Encoder, Method


@dataclass(frozen=True)
class RecoveredReward:
    """The reward of any text.  ``corpus`` is what a fitted encoder learns from, ``upstream`` what it starts from."""

    method: Method
    encoder: Encoder
    reward: Reward
    embed: Literal["completion", "prompt+completion"] = "completion"
    corpus: tuple[str, ...] = ()
    upstream: Mapping[str, Any] = field(default_factory=dict)

    def values(self, examples: Examples) -> Floats:
        """The reward of each example ``[n]``; equal texts are embedded once.  Raises `NotFinite`."""
        texts = examples.inputs(self.embed)
        row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        vectors = self._vectors(tuple(row)) if self.method.reads_vectors else np.empty((len(row), 0), np.float32)
        found = np.asarray(self.method.score(self.reward, Inputs(tuple(row), vectors)), np.float64)
        for text, value in zip(row, found, strict=True):
            if not np.isfinite(value):
                raise NotFinite(f"method {self.method.use!r} rewards {text[:60]!r} with {value}; keep rewards finite")
        return found[[row[text] for text in texts]]

    def _vectors(self, texts: tuple[str, ...]) -> Vectors:
        return np.asarray(self.encoder.encode(texts, self.corpus, **self.upstream), np.float32)
