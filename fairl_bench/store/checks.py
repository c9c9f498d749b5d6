"""Checks that numbers are finite before they are stored; the message names the rows with NaN or infinity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairl_bench.errors import NotFinite
from fairl_bench.values.data import Examples
from fairl_bench.values.training import Reward

_FIRST = 3  # rows that are listed


def finite_rows(what: str, rows: NDArray[Any], texts: Sequence[str], advice: str) -> None:
    """Raise `NotFinite` where a row of ``rows [n, …]`` is not finite; ``texts [n]`` are what the rows are of."""
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=tuple(range(1, rows.ndim))))
    if len(bad):
        raise NotFinite(f"{what} is NaN or infinite in {_places(bad, len(rows), texts)}; {advice}")


def _places(bad: NDArray[np.int64], n: int, texts: Sequence[str]) -> str:
    """``2 of 9 rows (3, 7), first of the text '…'``."""
    first = ", ".join(map(str, bad[:_FIRST].tolist())) + (", …" if len(bad) > _FIRST else "")
    return f"{len(bad)} of {n} rows ({first}), first of the text {texts[bad[0]][:60]!r}"


def finite_truths(part: str, examples: Examples) -> None:
    """Raise `NotFinite` for a truth that is infinite, or NaN where its label says that it is known."""
    for name, (value, label) in examples.truths.items():
        unknown = np.isnan(value) & (label == 0)
        finite_rows(
            f"the truth {name!r} of {part}",
            np.where(unknown, 0.0, value),
            examples.text,
            "mend what judges, or label these rows 0, unknown",
        )


def finite_reward(reward: Reward) -> None:
    """Raise `NotFinite` for a fitted reward that holds NaN or infinity, or whose training passed through one."""
    for name, array in reward.arrays.items():
        flat = np.asarray(array).ravel()
        bad = np.flatnonzero(~np.isfinite(flat))
        if len(bad):
            raise NotFinite(
                f"the array {name!r} of the reward is NaN or infinite in {len(bad)} of {len(flat)} entries, first in "
                f"entry {bad[0]}; lower training.lr, or mend the method"
            )
    for name, column in reward.history.items():
        _finite_history(name, column)
    _finite_facts(reward.facts)


def _finite_history(name: str, column: Sequence[float]) -> None:
    """Raise `NotFinite` where a column of the training history is not finite."""
    bad = np.flatnonzero(~np.isfinite(np.asarray(column, np.float64)))
    if len(bad):
        raise NotFinite(
            f"{name!r} of the training is {column[bad[0]]} in {len(bad)} of {len(column)} epochs, first in epoch "
            f"{bad[0] + 1}; lower training.lr, or mend the method"
        )


def _finite_facts(facts: Mapping[str, float | int | str | bool]) -> None:
    """Raise `NotFinite` for a fact that is not finite."""
    for name, value in facts.items():
        if isinstance(value, float) and not np.isfinite(value):
            raise NotFinite(f"{name!r} of the fitted reward is {value}; leave out what is not defined")
