"""A detector of the failures that any of several detectors finds."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.kinds.method import Detector
from fairl_bench.science.failures import Signal

if TYPE_CHECKING:
    from torch import Tensor


class Union(Detector):
    """Pairs that any of the detectors flags (paper Algorithm 1 line 10)."""

    of: tuple[Detector, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _reads_one_truth(self) -> Self:
        if len(truths := sorted(self.truths())) > 1:
            message = f"reads the labels of {' and '.join(map(repr, truths))}; let all its detectors read one"
            raise PydanticCustomError("truths", "{message}", {"message": message, "field": "of"})
        return self

    @property
    def by_step(self) -> bool:  # type: ignore[override]
        """Whether every detector can work on one batch."""
        return all(detector.by_step for detector in self.of)

    def truths(self) -> frozenset[str]:
        """Return the truths that any of the detectors reads."""
        return frozenset().union(*(detector.truths() for detector in self.of))

    def failures(self, signal: Signal) -> Tensor:
        """Return a mask ``[..., n]`` of the failures."""
        return reduce(lambda one, other: one | other, (detector.failures(signal) for detector in self.of))

    def score(self, signal: Signal) -> Tensor:
        """Return the highest rank that any detector gives a pair ``[..., n]``; their scores have no common unit."""
        import torch

        ranks = [detector.score(signal).argsort(dim=-1, stable=True).argsort(-1) for detector in self.of]
        return torch.stack(ranks).amax(0).to(signal.margin.dtype)
