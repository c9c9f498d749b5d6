"""Work on texts in batches that depend on the texts alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fairl_bench.progress import report

N = TypeVar("N", bound=np.generic)


def in_batches(
    order: Sequence[int], size: int, work: Callable[[Sequence[int]], NDArray[N]], workers: int = 0
) -> NDArray[N]:
    """Return one row a text ``[n, ...]``, in the texts' own order: what ``work`` gives for each batch of them.

    ``order`` is a permutation of the rows ``0 ... n - 1``, n > 0; neighbours in it go into one batch: sorted by length,
    little is padding.  ``workers`` batches are at work at once, one thread each; 0: one a core.
    """
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    rows: NDArray[N] | None = None
    done = 0
    # threads, not torch's own: a product split over cores is rounded otherwise than on one
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for batch, batch_rows in zip(batches, pool.map(work, batches), strict=True):
            if rows is None:  # once, and in place: what is large should not be there twice
                rows = np.empty((len(order), *batch_rows.shape[1:]), batch_rows.dtype)
            rows[batch] = batch_rows
            done += len(batch_rows)
            report(done, len(order), f"{done} of {len(order)} texts")
    assert rows is not None
    return rows
