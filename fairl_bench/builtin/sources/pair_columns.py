"""From the rows of a file to pairs: which column holds what, and the truth of both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.shared.number_columns import PairColumns, PairGold
from fairl_bench.component import Settings
from fairl_bench.errors import DataError
from fairl_bench.kinds.source import Source
from fairl_bench.textfiles import brief
from fairl_bench.values.data import GOLD, Pairs


class TruthInRows(Source):
    """A source whose rows may hold the truth of both sides of a pair."""

    gold: PairGold | None = Field(  # type: ignore[assignment]  # wider than any source's: these have columns too
        None,
        description="judges every completion, or columns of both sides' true rewards; none: 'gold' is not known",
    )

    def labelled(self) -> bool:
        """Return whether a judge that gives labels is named, or the numbers are made into labels."""
        return self.gold.labelled() if isinstance(self.gold, PairColumns) else super().labelled()

    def with_truths(self, pairs: Pairs, rows: Sequence[Row], *, whole: bool) -> Pairs:
        """Return the pairs with the truth of their rows, where the rows hold one."""
        if not isinstance(self.gold, PairColumns):
            return pairs
        return replace(pairs, truths={GOLD: self.gold.truth(rows, whole=whole)})


class Columns(Settings):
    """The columns of a pair; ``prompt`` and ``group`` may be null."""

    preferred: str = "chosen"
    rejected: str = "rejected"
    prompt: str | None = None
    group: str | None = None

    def pairs(self, rows: Sequence[Row], *, identical: bool = False, empty: bool = False) -> Pairs:
        """Return one pair a row, in their order; ``identical`` and ``empty`` allow equal and empty texts.

        Raises `DataError` with the place of a row that holds no pair.
        """
        pairs = Pairs(
            preferred=tuple(row.text(self.preferred, empty=empty, or_set="empty: drop") for row in rows),
            rejected=tuple(row.text(self.rejected, empty=empty, or_set="empty: drop") for row in rows),
            prompt=tuple(row.text(self.prompt, empty=True) if self.prompt else "" for row in rows),
            group=tuple(group_of(row, self.group) if self.group else "" for row in rows),
        )
        return pairs if identical else refuse_identical(pairs, rows)


def refuse_identical(pairs: Pairs, rows: Sequence[Row]) -> Pairs:
    """Return the pairs.  Raises `DataError` with the row where both texts of a pair are equal."""
    for row, preferred, rejected in zip(rows, pairs.preferred, pairs.rejected, strict=True):
        if preferred == rejected:
            raise DataError(f"{row.place}: both texts of the pair are equal; mend the row, or set 'identical: drop'")
    return pairs


def group_of(row: Row, column: str) -> str:
    """Return the name of a group, or its number as text; null is no group."""
    value = row.value(column)
    if isinstance(value, str):
        return row.text(column, empty=True)
    if not isinstance(value, int | float | None):
        raise DataError(f"{row.place}: column {column!r} needs the name of a group, got {brief(value)}")
    return "" if value is None else str(value)
