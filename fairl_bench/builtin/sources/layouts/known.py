"""All layouts, and which of them the rows of a data set have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from fairl_bench.builtin.shared.file_rows import Row
from fairl_bench.builtin.sources.layouts.chosen_rejected import Messages, Texts, Transcripts, kind_of
from fairl_bench.builtin.sources.layouts.layout import Layout, Match, Sample
from fairl_bench.builtin.sources.layouts.several_answers import AnswerRows, Answers
from fairl_bench.builtin.sources.layouts.two_responses import TwoResponses
from fairl_bench.errors import DataError

LayoutName = Literal["auto", "texts", "messages", "transcripts", "choice", "answers", "answer-rows"]
LAYOUTS: Final[Mapping[str, Layout]] = {
    layout.name: layout for layout in (Texts(), Messages(), Transcripts(), TwoResponses(), Answers(), AnswerRows())
}
"""By name, in the order in which they are looked for."""
EVERY_LAYOUT: Final = frozenset({"group", "subtype"})
"""The roles that every layout reads."""
SAMPLE: Final = 100
"""Rows by which the layout is found."""


class Recognised(NamedTuple):
    """A layout, and which column plays which role in it."""

    layout: Layout
    roles: Mapping[str, str]

    def __str__(self) -> str:
        roles = (f"{role} {column!r}" for role, column in self.roles.items())
        return f"layout {self.layout.name!r}: {', '.join(roles)}"


def recognised(rows: Sequence[Row], named: Mapping[str, str], layout: LayoutName, title: str) -> Recognised:
    """Return the layout of rows: the one that is named, else the first that lacks nothing.

    Raises `DataError` with the columns that there are, and with what the nearest layout lacks.
    """
    sample = Sample(rows[:SAMPLE])
    able = {
        name: one.match(sample, named)
        for name, one in LAYOUTS.items()
        if layout in ("auto", name) and named.keys() <= one.roles | EVERY_LAYOUT
    }
    found = next((name for name, match in able.items() if not match.lacks), None)
    if found is None:
        raise DataError(_unknown(title, sample, able, layout))
    roles = able[found].roles
    if layout == "auto" and {"preferred", "rejected"} <= roles.keys():
        kind = kind_of(sample, roles)
        found = kind if kind in able else found
    return Recognised(LAYOUTS[found], able[found].roles)


def _unknown(title: str, sample: Sample, able: Mapping[str, Match], layout: str) -> str:
    """Return a sentence on rows that no layout reads."""
    names = [repr(name) for name in sample.names()]
    has = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    if not able:
        return f"{title}: no layout reads all that 'columns' names; see docs/how-to/data.md for what each reads"
    nearest = min(able, key=lambda name: (len(able[name].lacks), -len(able[name].roles)))
    which = f"the layout {layout!r}" if layout != "auto" else f"no known layout; the nearest, {nearest!r},"
    return f"{title} has the columns {has}: {which} needs {' and '.join(able[nearest].lacks)}; name it under 'columns'"
