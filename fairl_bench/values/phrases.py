"""Names as a sentence lists them."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[str], most: int | None = None) -> str:
    """Names in a sentence; of more than ``most`` the first ones, and how many more there are.

    >>> listed("a"), listed("ab"), listed("abcd", 4), listed("abcdef", 4)
    ('a', 'a and b', 'a, b, c and d', 'a, b, c and 3 more')
    """
    every = list(names)
    if most is not None and len(every) > most:
        every = [*every[: most - 1], f"{len(every) - most + 1} more"]
    *first, last = every or [""]
    return f"{', '.join(first)} and {last}" if first else last
