"""A problem with a known answer, for methods."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fairl_bench.values.data import Floats, Rows, Vectors
from fairl_bench.values.training import Head, Preferences, Task, Training


class Planted(NamedTuple):
    """A problem whose answer is known: rewards ``vectors @ theta``.  The last rows are in no pair.

    Several texts answer each of the ``prompts``, both texts of a pair the same one.
    """

    task: Task
    theta: Floats  # [d]
    vectors: Vectors  # [rows, d]
    texts: tuple[str, ...]  # the better, the shorter
    held_out: Rows  # rows in no pair
    prompts: tuple[str, ...]  # of each row

    @property
    def reward(self) -> Floats:
        """The true reward of each row ``[rows]``."""
        return self.vectors.astype(np.float64) @ self.theta


def planted(n: int = 400, d: int = 16, seed: int = 0, noise: float = 0.0, head: Head | None = None) -> Planted:
    """``n`` training pairs, a fifth as many validation pairs and ``n`` rows for testing, of Gaussian vectors.

    The preferred row of a pair is the one of higher reward ``theta . h``; a share ``noise`` of the pairs is flipped.
    """
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=d)
    theta /= np.linalg.norm(theta)
    pairs = n + n // 5
    vectors = rng.normal(size=(2 * pairs + n, d)).astype(np.float32)
    reward = vectors.astype(np.float64) @ theta
    words = 1 + np.round(4 * (reward.max() - reward)).astype(int)
    texts = tuple(f"{row:06d} " + "word " * count for row, count in enumerate(words))
    prompts = tuple(f"Question {row // 2 % max(1, n // 4)}" for row in range(len(vectors)))
    sides = np.arange(2 * pairs, dtype=np.int64).reshape(pairs, 2)
    better = np.where(reward[sides[:, 0]] > reward[sides[:, 1]], 0, 1) ^ (rng.random(pairs) < noise)
    preferred, rejected = sides[np.arange(pairs), better], sides[np.arange(pairs), 1 - better]
    gold = np.where(reward >= 0, 1, -1).astype(np.int8)

    def part(rows: slice) -> Preferences:
        good, bad = preferred[rows], rejected[rows]
        return Preferences(vectors, good, bad, texts, (gold[good], gold[bad]), tuple(prompts[row] for row in good))

    training = Training(lr=3e-3, epochs=30)
    task = Task(part(slice(n)), part(slice(n, None)), head or Head(width=16), training, replicate=0, seed=seed)
    return Planted(task, theta, vectors, texts, np.arange(2 * pairs, len(vectors), dtype=np.int64), prompts)
