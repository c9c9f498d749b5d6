"""Dividing pairs into training, validation and test without leakage."""

from __future__ import annotations

from typing import Literal

import numpy as np

from fairl_bench.data import DROPPED, TEST, TRAIN, VALIDATION, Examples, Split


def split_pairs(
    examples: Examples,
    by: Literal["auto", "group", "prompt", "text"],
    validation: float,
    test: float,
    rng: np.random.Generator,
) -> Split:
    """Give whole groups to test, then validation, then training, until each has its share of the pairs.

    Then training pairs that share a text with validation or test, and validation pairs that share one with test, are
    dropped: no reward is chosen or judged on a text that it was trained on.  An empty group or prompt joins nothing.
    """
    preferred, rejected = np.flatnonzero(examples.role == 1), np.flatnonzero(examples.role == -1)
    n = len(preferred)
    names = {
        "group": [examples.group[i] for i in preferred],
        "prompt": [examples.prompt[i] for i in preferred],
        "text": [examples.text[i] for i in rejected],
    }
    if by == "auto":
        names["auto"] = [g or p or t for g, p, t in zip(names["group"], names["prompt"], names["text"], strict=True)]
    groups: dict[object, list[int]] = {}
    for i, name in enumerate(names[by]):
        groups.setdefault(name or i, []).append(i)
    order = [list(groups.values())[i] for i in rng.permutation(len(groups))[::-1]]
    part = np.full(n, TRAIN, np.int8)
    for code, share in ((TEST, test), (VALIDATION, validation)):
        taken, left = 0, []
        for members in order:
            if taken + len(members) / 2 <= share * n:
                part[members] = code
                taken += len(members)
            else:
                left.append(members)
        order = left
    texts = [{examples.text[a], examples.text[b]} for a, b in zip(preferred, rejected, strict=True)]
    judged: set[str] = set().union(*(texts[i] for i in np.flatnonzero(part == TEST)))
    for code in (VALIDATION, TRAIN):
        part[[i for i in np.flatnonzero(part == code) if texts[i] & judged]] = DROPPED
        judged.update(*(texts[i] for i in np.flatnonzero(part == code)))
    return Split(part)
