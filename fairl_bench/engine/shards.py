"""The rows that each shard of a long work has; shards need nothing of one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rows_of(settings: Mapping[str, Any], n: int) -> range:
    """The rows among ``n`` that a stage works on: every ``shards``-th from its own, so that long ones are spread.

    >>> [list(rows_of({"shard": i, "shards": 3}, 5)) for i in range(3)]
    [[0, 3], [1, 4], [2]]
    >>> list(rows_of({}, 3))
    [0, 1, 2]
    """
    return range(settings.get("shard", 0), n, settings.get("shards", 1))


def count_of(settings: Mapping[str, Any], n: int) -> int:
    """The number of these rows, however many: the length of a `range` ends at 2^63.

    >>> count_of({"shard": 1, "shards": 2}, 10**30)
    500000000000000000000000000000
    """
    first, step = int(settings.get("shard", 0)), int(settings.get("shards", 1))
    return max(0, -((first - n) // step))
