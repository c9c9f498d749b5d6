"""The inputs and outputs of training: runs, their data, the recipe, the fitted heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.science.failures import FailurePlan
from fairl_bench.science.selection import Selection
from fairl_bench.science.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[..., "Tensor"]
"""Margins ``[..., B]`` to losses ``[..., B]``; of lists: their rewards ``[..., k, B]``, and what is below what in them.

``below [..., k, k, B]`` is true at ``i, j`` where text j of a list is known to be worse than text i.
"""


class Batch(NamedTuple):
    """What a method that weighs its pairs may read, besides margin and loss."""

    norm: Tensor  # [..., B] length of the difference of the pair's vectors
    progress: float  # share of the epochs that are over, in [0, 1)


class Targets(NamedTuple):
    """The margin that each pair should have, in reward units."""

    train: NDArray[np.float32]  # [n]
    validation: NDArray[np.float32]  # [n of the validation pairs]


Weight = Callable[["Tensor", "Tensor", Batch], "Tensor"]


class TrainingRun(NamedTuple):
    """One run of a stack: its loss, and the numbers that seed its initial values and batches."""

    name: str
    loss: Loss
    replicate: int
    seed: int
    member: int = 0  # of an ensemble: another start and other batches
    weight: Weight | None = None  # margins, losses [..., B] and the batch -> weights [..., B], not differentiated
    failures: FailurePlan | None = None  # all runs of a stack, or none, and of one form
    targets: Targets | None = None  # the loss is called with each margin less its pair's target

    def seeds(self) -> tuple[int, ...]:
        """Return the numbers that seed each member; the first member of an ensemble equals a run alone."""
        return (self.replicate, self.seed, *((self.member,) if self.member else ()))

    def stream(self, purpose: str, *numbers: int) -> np.random.Generator:
        """Return the random generator of this run for one purpose."""
        return stream(purpose, *self.seeds(), *numbers)


class RowPairs(NamedTuple):
    """Pairs of rows: pair ``i`` prefers row ``preferred[i]`` to row ``rejected[i]``."""

    preferred: NDArray[np.int64]  # [n]
    rejected: NDArray[np.int64]  # [n]


class PairWeights(NamedTuple):
    """How much each pair counts in a mean over pairs, above 0; None where all count alike."""

    train: NDArray[np.float64] | None = None  # [n]
    validation: NDArray[np.float64] | None = None  # [n of the validation pairs]

    def shares(self) -> PairWeights:
        """Return the weights with a mean of 1; None where all are equal, so that they change no bit of a number."""
        return PairWeights(*(None if one is None or (one == one[:1]).all() else one / one.mean() for one in self))


ALIKE: Final = PairWeights()
"""Of pairs that all count alike."""


class Recipe(NamedTuple):
    """How a stack is trained; ``width`` None is a linear head."""

    width: int | None = 64
    lr: float = 1e-3
    batch: int = 32
    epochs: int = 60
    l2: float = 0.0
    selection: Selection = Selection()


class Fitted(NamedTuple):
    """The head of the epoch that was kept, with the history of its training."""

    arrays: dict[str, NDArray[np.float32]]
    history: dict[
        str, list[float]
    ]  # by epoch: train_loss, validation_loss, calibrated_loss, failure_weight, failures, second_norm
    kept_epoch: int  # counted from 1
    admissible_from: int = 0  # the first epoch that could be kept; 0: none could, and the last one was

    @property
    def train_loss(self) -> list[float]:
        """The mean base loss over the batches of each epoch."""
        return self.history["train_loss"]
