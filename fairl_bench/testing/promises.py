"""Promises of every part: it leaves what it is given as it is, and all its state is in its fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from fairl_bench.component import Component
from fairl_bench.errors import Changed
from fairl_bench.guards.readonly import unchanged_by
from fairl_bench.kinds import KINDS

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry

T = TypeVar("T")


def must(holds: bool, sentence: str) -> None:
    """Raise `AssertionError` with a sentence that says what to mend, where a promise does not hold."""
    if not holds:
        raise AssertionError(sentence)


def answer(part: Component, verb: Callable[[], T], **given: object) -> T:
    """What a part answers; `AssertionError` where it changes what it is given."""
    try:
        with unchanged_by(part, look=True, **given):
            return verb()
    except Changed as error:
        raise AssertionError(str(error)) from error


def check_spec(part: Component, registry: Registry | None) -> None:
    """A part that a registry built is built again, equal, from its own spec."""
    if registry is not None and part.use:
        again = registry.build(KINDS[part.kind], part.plain())
        must(again == part, f"built from its spec {part.plain()}, it is another part; keep all state in fields")


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are equal, their types too."""
    return one.dtype == other.dtype and np.array_equal(one, other)


def close(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays have one shape and differ nowhere by more than ``tolerance``."""
    return one.shape == other.shape and bool(np.abs(one - other).max() <= tolerance)
