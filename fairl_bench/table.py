"""A table as it is shown, and the tidy rows behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Value = str | float | int | None


class Table(NamedTuple):
    """A table as it is shown: column heads (of one or two lines), rows of text, and the notes below.

    ``tidy`` has the same numbers and more, one mapping a cell or a row; ``bold`` the (row, column) of what stands out.
    ``name`` is what its files are called and what ``--table`` takes; ``caption`` stands on the page above its title.
    """

    title: str
    heads: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    tidy: tuple[Mapping[str, Value], ...] = ()
    bold: frozenset[tuple[int, int]] = frozenset()
    name: str = ""
    caption: str = ""
