"""Long work in parts that need nothing of one another: which rows are whose, and how the answers become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairl_bench.data import Embeddings, Vectors
from fairl_bench.language_models import Completions


def rows_of(settings: Mapping[str, Any], n: int) -> range:
    """The rows among ``n`` that a stage works on: every ``shards``-th from its own, so that long ones are spread.

    >>> [list(rows_of({"shard": i, "shards": 3}, 5)) for i in range(3)]
    [[0, 3], [1, 4], [2]]
    >>> list(rows_of({}, 3))
    [0, 1, 2]
    """
    return range(settings.get("shard", 0), n, settings.get("shards", 1))


def count_of(settings: Mapping[str, Any], n: int) -> int:
    """How many rows these are, however many: the length of a `range` ends at 2^63.

    >>> count_of({"shard": 1, "shards": 2}, 10**30)
    500000000000000000000000000000
    """
    first, step = int(settings.get("shard", 0)), int(settings.get("shards", 1))
    return max(0, -((first - n) // step))


def merged_completions(shards: Sequence[Completions]) -> Completions:
    """The completions of all shards, in the order in which they were asked for."""
    n = sum(map(len, shards))

    def whole(name: str) -> tuple[Any, ...]:
        return tuple(getattr(shards[i % len(shards)], name)[i // len(shards)] for i in range(n))

    return Completions(whole("prompt"), whole("text"), whole("row"), whole("draw"))


def merged_vectors(shards: Sequence[Embeddings], n: int) -> Vectors:
    """The vectors of all ``n`` texts ``[n, d]``."""
    found = np.empty((n, max(shard.vectors.shape[1] for shard in shards)), np.float32)
    for i, shard in enumerate(shards):
        if len(shard.vectors):  # a shard without a text does not know d
            found[i :: len(shards)] = shard.vectors
    return found
