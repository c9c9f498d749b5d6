"""The completions of one re-alignment: what its records rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.coordinates import Coordinates

if TYPE_CHECKING:
    import pyarrow as pa


class Realigned(NamedTuple):
    """The completions of one cell's re-alignment, a row each (`records.Evidence`)."""

    cell: Coordinates
    rows: pa.Table

    def phase(self, name: str) -> pa.Table:
        """The rows ``before``, ``along`` or ``after``, look by look, each in the order of prompts and draws."""
        import pyarrow.compute as pc

        mine = self.rows.filter(pc.equal(self.rows["phase"], name))
        return mine.sort_by([(column, "ascending") for column in ("step", "row", "draw")])
