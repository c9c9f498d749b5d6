"""Human labels in the columns of a file."""

from __future__ import annotations

from fairl_bench.builtin.rows import Row
from fairl_bench.component import Settings
from fairl_bench.errors import DataError


class GoldColumn(Settings):
    """Which column holds the human label, and its value for a good text; null is unknown."""

    column: str
    good: int | str | bool

    def label(self, row: Row) -> int:
        """+1 good, -1 not, 0 unknown."""
        return label(row, self.column, self.good)


def label(row: Row, column: str, value: int | str | bool) -> int:
    """+1 where the column has this value, -1 where it has another, 0 where it has none."""
    found = row.value(column)
    if found is None:
        return 0
    if not isinstance(found, int | str | bool):
        raise DataError(f"{row.place}: column {column!r} needs a label, got {found!r}")
    return 1 if found == value else -1
