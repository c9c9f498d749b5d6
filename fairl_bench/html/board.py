"""Tables as the page shows them: each number with where it comes from, and, where it has one, its interval drawn."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fairl_bench.figures.leaderboard import number
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE
from fairl_bench.values.table import Table, Value

_WHERE = ("model", "encoder", "method", "variant", "data", "slice", "truth", "metric", "other")


class Cell(NamedTuple):
    """One cell: its text, what it sorts by, the records it rests on, its rank, and its bar in percent of the column."""

    text: str
    order: str
    where: str = ""  # JSON: the coordinates of its records
    told: str = ""  # the same for a reader
    rank: str = ""  # "1" alone, "1=" shared
    best: bool = False
    bar: tuple[float, float, float] | None = None  # from, to, mean


class Board(NamedTuple):
    """A table with its cells."""

    table: Table
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int]  # the columns that hold numbers


def board(table: Table) -> Board:
    """The cells of a table; those of a leaderboard with their ranks and intervals."""
    grid = _grid(table)
    first = len(table.heads) - len(grid[0]) if grid else len(table.heads)
    scales = [_scale([row[at] for row in grid]) for at in range(len(grid[0]))] if grid else []
    rows = []
    for index, texts in enumerate(table.rows):
        tidy = grid[index] if grid else []
        lone = _of_row(table, index)
        cells = [Cell(text, text, *_where(lone)) if at and lone else Cell(text, text) for at, text in enumerate(texts)]
        for at, one in enumerate(tidy):
            shared = Counter(_rank(row[at]) for row in grid if _group(row[at]) == _group(one))
            bold = (index, first + at) in table.bold
            cells[first + at] = _cell(texts[first + at], one, scales[at], shared, bold=bold)
        rows.append(cells)
    numeric = frozenset(at for at in range(len(table.heads)) if table.rows and all(_number(r[at]) for r in table.rows))
    return Board(table, rows, numeric)


def _grid(table: Table) -> list[list[Mapping[str, Value]]]:
    """The tidy rows of each line of the table, where each is one cell of it; else nothing."""
    n = len(table.rows)
    across = len(table.tidy) // n if n and not len(table.tidy) % n else 0
    if not across or across > len(table.heads) or "metric" not in table.tidy[0]:
        return []
    return [list(table.tidy[i * across : (i + 1) * across]) for i in range(n)]


def _of_row(table: Table, index: int) -> Mapping[str, Value]:
    """The tidy row of a line, where each line has one."""
    if len(table.tidy) != len(table.rows) or "first" not in table.tidy[0]:
        return {}
    one = table.tidy[index]
    return {**one, "method": one["first"], "other": one["second"]}


def _where(one: Mapping[str, Value]) -> tuple[str, str]:
    """The coordinates of a number, as JSON and for a reader."""
    place = {name: str(one[name]) for name in _WHERE if one.get(name) is not None}
    if place.get("metric") == SHARE:
        place["metric"] = PAIR_ACCURACY  # what it follows from; a share is no record
    if "pairs_of_seeds" in one:
        place["truth"] = ""  # of two rewards, whatever the truth
    elif "other" not in place:
        place["other"] = ""
    return json.dumps(place), ", ".join(f"{name} {value}" for name, value in place.items() if value)


def _cell(
    text: str, one: Mapping[str, Value], scale: tuple[float, float], shared: Counter[object], *, bold: bool
) -> Cell:
    mean, rank = number(one, "mean"), one.get("rank")
    low, high = number(one, "low"), number(one, "high")
    bar = None
    if all(map(math.isfinite, (mean, low, high))) and scale[1] > scale[0]:
        bar = (_percent(low, scale), _percent(high, scale), _percent(mean, scale))
    where, told = _where(one)
    if math.isfinite(low) and math.isfinite(high):
        told = f"95 % interval {low:.3f} to {high:.3f}; {told}"
    apart = rank != 1 and one.get("differs_from_best") == 0
    place = "" if rank is None else f"{rank}{'=' if shared[rank] > 1 else ''}{'°' if apart else ''}"
    order = repr(mean) if math.isfinite(mean) else ""
    return Cell(text.removesuffix(" ¹").removesuffix(" °"), order, where, told, place, bold or rank == 1, bar)


def _rank(one: Mapping[str, Value]) -> object:
    return one.get("rank")


def _group(one: Mapping[str, Value]) -> tuple[Value, ...]:
    return one.get("model"), one.get("encoder"), one.get("variant")


def _scale(cells: Sequence[Mapping[str, Value]]) -> tuple[float, float]:
    """The least and the greatest number of a column, intervals included."""
    found = [number(one, name) for one in cells for name in ("mean", "low", "high")]
    known = [value for value in found if math.isfinite(value)]
    return min(known, default=0.0), max(known, default=0.0)


def _percent(value: float, scale: tuple[float, float]) -> float:
    return round(100 * (value - scale[0]) / (scale[1] - scale[0]), 2)


def _number(text: str) -> bool:
    return text[:1].isdigit() or text[:2] in ("n/", "") or (text[:1] in "+-−" and text[1:2].isdigit())
