"""Dividing pairs into training, validation and test without leakage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from fairl_bench.errors import EmptyPart
from fairl_bench.science.division import codes, divide, sharing
from fairl_bench.science.streams import stream
from fairl_bench.values.data import DROPPED, TEST, TRAIN, VALIDATION, Examples, Rows, Split


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
    part = divide(codes(_names(examples, by)), {TEST: test, VALIDATION: validation}, TRAIN, rng)
    text = codes(examples.text)
    part[sharing(part, np.stack([text[preferred], text[rejected]], 1), (TEST, VALIDATION, TRAIN))] = DROPPED
    return Split(part)


def divided(examples: Examples, settings: Mapping[str, Any]) -> Split:
    """The split of a stage's settings.  Raises `EmptyPart` for a part that is read and is empty, and says why."""
    shares = {name: settings[name] for name in ("test", "validation")}
    split = split_pairs(examples, settings["by"], **shares, rng=stream("split", settings["replicate"]))
    is_needed = {"train": True} | {name: share > 0 and name in settings["reads"] for name, share in shares.items()}
    for name, needed in is_needed.items():
        if needed and not len(split.rows(name)):
            raise _empty(name, examples, split, settings)
    return split


def _empty(name: str, examples: Examples, split: Split, settings: Mapping[str, Any]) -> EmptyPart:
    """The error of a part that is empty: why, and what to do."""
    sizes = group_sizes(examples, settings["by"])
    n, dropped, by = int(sizes.sum()), split.counts()["dropped"], settings["by"]
    together = {"auto": "group, prompt or rejected text", "text": "rejected text"}.get(by, by)
    groups = f"{len(sizes)} undivided groups, the largest of {sizes[0]}," if len(sizes) > 1 else "one undivided group"
    why = f"its {n} pairs are {groups} by {together}"
    if dropped:
        why += f"; {dropped} share a text with another part and are dropped"
    facts = {"pairs": n, "groups": len(sizes), "dropped": dropped}
    if name == "train":
        message = f"the split leaves no pair to train on: {why}; lower split.validation and split.test or add pairs"
        return EmptyPart(message, **facts)
    other = "another split.by, " if len(sizes) < n else ""
    unread = " and training.stop: null" if name == "validation" else " and evaluate on other data"
    message = (
        f"the split leaves no pair for {name!r} ({100 * settings[name]:.3g} % of the pairs, and read): {why}; set "
        f"{other}a larger split.{name}, or split.{name}: 0{unread}, or add pairs"
    )
    return EmptyPart(message, **facts)


def group_sizes(examples: Examples, by: Literal["auto", "group", "prompt", "text"]) -> Rows:
    """The sizes of the groups that a split must not divide, in pairs, the largest first."""
    return np.sort(np.bincount(codes(_names(examples, by))))[::-1].astype(np.int64)


def _names(examples: Examples, by: str) -> list[str | int]:
    """The name that each pair is grouped by; its own number where that is empty."""
    preferred, rejected = np.flatnonzero(examples.role == 1), np.flatnonzero(examples.role == -1)
    names = {
        "group": [examples.group[i] for i in preferred],
        "prompt": [examples.prompt[i] for i in preferred],
        "text": [examples.text[i] for i in rejected],
    }
    if by == "auto":
        names["auto"] = [g or p or t for g, p, t in zip(names["group"], names["prompt"], names["text"], strict=True)]
    return [name or i for i, name in enumerate(names[by])]
