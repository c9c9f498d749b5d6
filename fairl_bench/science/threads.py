"""How many threads torch computes with: one, unless a part asks for more.

A product that is split over threads is rounded otherwise than on one, so their number belongs to what is computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_threads = 1


def set_threads() -> None:
    """Let torch compute with as many threads as the present work has; a library may have changed them."""
    torch.set_num_threads(_threads)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Compute with ``n`` threads inside."""
    global _threads
    before, _threads = _threads, n
    set_threads()
    try:
        yield
    finally:
        _threads = before
        set_threads()
