"""The names of truths: ``preferred``, ``gold``, and ``gold:NAME`` for each objective that ``gold`` is a blend of."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from pydantic import StringConstraints

from fairl_bench.component import NAME
from fairl_bench.values.data import GOLD, PREFERRED

OBJECTIVE: Final = f"{GOLD}:"
"""The beginning of the truth of an objective; its name follows."""


class Objective(NamedTuple):
    """One of the objectives that the truth ``gold`` is a blend of."""

    weight: float
    labelled: bool = True  # whether its truth has labels, and not numbers alone


def objective_truth(name: str) -> str:
    """The truth of an objective.

    >>> objective_truth("brevity")
    'gold:brevity'
    """
    return OBJECTIVE + name


def objective_of(truth: str) -> str:
    """The name of the objective that a truth is of; empty for another truth.

    >>> objective_of("gold:brevity"), objective_of("gold")
    ('brevity', '')
    """
    return truth.removeprefix(OBJECTIVE) if truth.startswith(OBJECTIVE) else ""


_OF_GOLD = f"{GOLD}(:{NAME.strip('^$')})?"
GOLD_NAME: Final = f"^{_OF_GOLD}$"
TRUTH_NAME: Final = f"^({PREFERRED}|{_OF_GOLD})$"

GoldName = Annotated[str, StringConstraints(pattern=GOLD_NAME)]
"""The truth ``gold``, or that of one of its objectives."""

TruthName = Annotated[str, StringConstraints(pattern=TRUTH_NAME)]
"""The name of a truth in a suite; whether the data have an objective of that name is checked with the suite."""
