"""Schedules: numbers that change from round to round (lambda_t, gamma_t, k_t, p_t)."""

from __future__ import annotations

import math

from pydantic import Field

from fairl_bench.kinds.method import Schedule


def _share(turn: int, rounds: int) -> float:
    """Return how much of the way is done: 0 in the first round, 1 in the last."""
    return turn / (rounds - 1) if rounds > 1 else 0.0


class Constant(Schedule):
    """The same value in every round."""

    value: float = Field(description="value in every round")

    def at(self, turn: int, rounds: int) -> float:
        """Return ``value``."""
        return self.value


class Linear(Schedule):
    """A straight line from ``start`` in the first round to ``end`` in the last."""

    start: float = Field(description="value in the first round")
    end: float = Field(description="value in the last round")

    def at(self, turn: int, rounds: int) -> float:
        """Return ``start + share * (end - start)``."""
        return self.start + _share(turn, rounds) * (self.end - self.start)


class Exponential(Schedule):
    """``start * factor^turn``: the decay of lambda_t (paper 5)."""

    start: float = Field(description="value in the first round")
    factor: float = Field(0.85, gt=0, description="factor from one round to the next")

    def at(self, turn: int, rounds: int) -> float:
        """Return ``start * factor^turn``; infinity where that is too large for a number."""
        try:
            return float(self.start * self.factor**turn)
        except OverflowError:
            return math.copysign(math.inf, self.start)


class Cosine(Schedule):
    """Half a cosine from ``start`` to ``end``: slow, fast, slow (Loshchilov & Hutter 2017, arXiv:1608.03983)."""

    start: float = Field(description="value in the first round")
    end: float = Field(description="value in the last round")

    def at(self, turn: int, rounds: int) -> float:
        """Return ``end + (start - end) (1 + cos(pi share)) / 2``."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * _share(turn, rounds))) / 2
