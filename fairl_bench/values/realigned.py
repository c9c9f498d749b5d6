"""The completions of one re-alignment, from which its records were computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from fairl_bench.values.coordinates import Coordinates

if TYPE_CHECKING:
    import pyarrow as pa


DATA: Final = "realigned"
"""The name of a re-alignment's data set."""
AFTER: Final = "all"
"""The slice of the completions after all steps."""


class Realigned(NamedTuple):
    """The completions of one cell's re-alignment, a row each (`records.Evidence`)."""

    cell: Coordinates
    rows: pa.Table

    def phase(self, name: str) -> pa.Table:
        """The rows ``before``, ``along`` or ``after``, look by look, each in the order of prompts and draws."""
        import pyarrow.compute as pc

        of_phase = self.rows.filter(pc.equal(self.rows["phase"], name))
        return of_phase.sort_by([(column, "ascending") for column in ("step", "row", "draw")])


def placed(cut: str) -> str:
    """The name of the data of a slice in comparisons.

    >>> placed("kl:0.5")
    'realigned/kl:0.5'
    """
    return f"{DATA}/{cut}"


def steps_of(cut: str) -> int:
    """The number of steps that a slice is looked at after.

    >>> steps_of("step:40")
    40
    """
    return int(cut.removeprefix("step:"))


def budget(cut: str) -> float:
    """The KL of a slice, nats.

    >>> budget("kl:0.5")
    0.5
    """
    return float(cut.removeprefix("kl:"))
