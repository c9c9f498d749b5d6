"""Random generators by purpose: independent, reproducible, and named by what they are for."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(purpose: str, *numbers: int) -> np.random.Generator:
    """Return a generator for one purpose, seeded by it and by ``numbers`` (replicate, seed, epoch, ...).

    Another purpose or number gives an independent stream (`numpy.random.SeedSequence`).

    >>> bool(stream("split", 0).random() == stream("split", 0).random())
    True
    >>> bool(stream("split", 0).random() == stream("batches", 0).random())
    False
    """
    words = np.frombuffer(hashlib.sha256(purpose.encode()).digest()[:16], "<u4")
    return np.random.default_rng(np.random.SeedSequence([*(int(word) for word in words), len(numbers), *numbers]))
