"""The rows that an evaluator's numbers of one cell rest on, as they are read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.values.coordinates import Coordinates

if TYPE_CHECKING:
    import pyarrow as pa


class CellEvidence(NamedTuple):
    """One table of what an evaluator kept of one cell (`records.Evidence`)."""

    cell: Coordinates
    rows: pa.Table


def table_of(evaluator: str, name: str = "") -> str:
    """The name of a table of evidence among those of all evaluators.

    >>> table_of("attribution"), table_of("attribution", "dose-response")
    ('attribution', 'attribution/dose-response')
    """
    return f"{evaluator}/{name}" if name else evaluator
