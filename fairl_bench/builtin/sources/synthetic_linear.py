"""Pairs from a world whose reward is linear and known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from fairl_bench.builtin.shared.spelled_vectors import DECIMALS, spelled
from fairl_bench.component import Name
from fairl_bench.kinds.source import Source
from fairl_bench.values.data import GOLD, Floats, Pairs, Truth
from fairl_bench.values.truths import Objective, objective_truth


class SyntheticLinear(Source):
    """Gaussian vectors, spelt out as texts, with a linear true reward; the encoder `numbers` reads them back.

    The true reward ``theta . h`` is the truth ``gold``, good from 0 on; ``theta`` has length 1 and a direction drawn
    with the world.  With ``weights`` there are several objectives: each is such a reward with a direction of its own,
    which is the truth ``gold:NAME``, and ``gold`` is their weighted sum.  Over all texts an objective has mean 0 and
    standard deviation 1.  A text gives its vector exactly, so the truth and what a method sees are the same numbers.
    """

    drawn: ClassVar[bool] = True
    at_hand: ClassVar[bool] = True

    n: int = Field(200, ge=2, description="number of pairs")
    dimension: int = Field(4, ge=2, description="numbers of a vector")
    differences: Literal["gaussian", "cone"] = Field(
        "gaussian",
        description="cone: four pairs in five differ by 1 in true reward and by 1 aside, the fifth by 1/2 and no more",
    )
    near_ties: float = Field(0.0, ge=0, le=1, description="share of the pairs that the true reward barely tells apart")
    tie: float = Field(0.1, gt=0, lt=1, description="the share of its true margin that a near-tie keeps")
    weights: dict[Name, float] = Field(
        default_factory=dict, description="the weight of each objective that the reward is a blend of; none: one reward"
    )
    temperature: float = Field(
        0.0,
        ge=0,
        description="the better text is preferred with probability sigmoid(margin / temperature); 0: always",
    )

    def size(self) -> int:
        """Return ``n``."""
        return self.n

    def judged(self) -> bool:
        """Return True: the truth is known."""
        return True

    @model_validator(mode="after")
    def _objectives_differ(self) -> Self:
        if len(self.weights) > self.dimension:
            message = f"{len(self.weights)} objectives need a dimension of as many at least, got {self.dimension}"
            raise PydanticCustomError("dimension", "{message}", {"message": message, "field": "dimension"})
        if self.weights and not any(self.weights.values()):
            message = "weights of 0 alone make no reward; give an objective another weight"
            raise PydanticCustomError("weights", "{message}", {"message": message, "field": "weights"})
        return self

    def objectives(self) -> Mapping[str, Objective]:
        """Return the objectives of its own reward."""
        return {name: Objective(weight) for name, weight in self.weights.items()}

    def pairs(self, rng: np.random.Generator) -> Pairs:
        """Return ``n`` pairs of this replicate's reward."""
        directions = rng.normal(size=(max(1, len(self.weights)), self.dimension))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        theta = np.array(list(self.weights.values()) or [1.0]) @ directions
        vectors = self._drawn(theta / np.linalg.norm(theta), rng)
        reward = vectors @ theta
        margin = reward[:, 0] - reward[:, 1]
        # Bradley-Terry by a logistic number: it is below the margin with probability sigmoid(margin / temperature)
        first = margin > self.temperature * rng.logistic(size=self.n)
        order = np.stack([np.where(first, 0, 1), np.where(first, 1, 0)], 1)
        ordered = np.take_along_axis(vectors, order[..., None], 1)
        truths = {GOLD: _truth(ordered @ theta)}
        truths |= {objective_truth(name): _truth(ordered @ directions[i]) for i, name in enumerate(self.weights)}
        return Pairs(spelled(ordered[:, 0]), spelled(ordered[:, 1]), truths=truths)

    def _drawn(self, theta: Floats, rng: np.random.Generator) -> Floats:
        """Return the vectors of both texts ``[n, 2, d]``, as their texts spell them."""
        both = rng.normal(size=(self.n, 2, self.dimension))
        if self.differences == "cone":
            both[:, 1] = both[:, 0] - _on_a_cone(theta, both[:, 1], np.arange(self.n) % 5 == 0)
        margin = (both[:, 0] - both[:, 1]) @ theta
        close = rng.random(self.n) < self.near_ties
        both[:, 1] += np.where(close, (1 - self.tie) * margin, 0)[:, None] * theta
        return np.round(both, DECIMALS)


def _truth(reward: Floats) -> Truth:
    """Return the truth of rewards ``[n, 2]`` of both texts of each pair."""
    value = reward.ravel()
    return Truth(value, np.where(value >= 0, 1, -1).astype(np.int8))


def _on_a_cone(theta: Floats, aside: Floats, short: NDArray[np.bool_]) -> Floats:
    """Return differences ``[n, d]``: ``theta`` plus a unit vector across it, or half of ``theta`` where ``short [n]``.

    The rewards that give all of them a margin M form a cone about ``theta``, and the short pairs cut off its tip: the
    stricter their margin, the further up, where the cone is wide (Corollary 1 says that it shrinks).
    """
    aside = aside - (aside @ theta)[:, None] * theta
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    return np.where(short[:, None], theta / 2, theta + aside)
