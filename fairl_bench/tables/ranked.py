"""Ranks and intervals of a leaderboard: who leads a column, and who cannot be told from the leader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from fairl_bench.science.ranks import ranks
from fairl_bench.tables.comparisons import ALPHA, Comparison
from fairl_bench.tables.rows import ARROWS, Column, Found, Layout, Row, Runs, called, summary
from fairl_bench.tables.table import Table


def ranked(
    table: Table,
    found: Found,
    layout: Layout,
    runs: Mapping[Row, Runs],
    columns: Sequence[Column],
    comparisons: Sequence[Comparison],
    intervals: bool,
) -> Table:
    """The table with the best of each column marked, and with intervals."""
    own = {(*one.group, one.method): one for one in comparisons if not one.other}
    paired: dict[tuple[str, ...], dict[tuple[str, str], float]] = {}
    for one in comparisons:
        if one.other:
            paired.setdefault(one.group, {})[one.method, one.other] = one.p_holm
    order, first = list(runs), len(table.heads) - len(columns)
    rows, bold = [list(row) for row in table.rows], set()
    tidy = [dict(row) for row in table.tidy]
    equal = []
    for at, (data, _, metric) in enumerate(columns):
        places: dict[tuple[str, ...], list[int]] = {}
        for index, row in enumerate(order):
            places.setdefault((row[0], row[1], row[3], data, layout.truth_of(data), metric), []).append(index)
        together = []
        for group, members in places.items():
            rank = _ranks(group, [order[i] for i in members], found, columns[at], paired.get(group))
            together.append(len(rank) > 1 and set(rank.values()) == {1})
            for index in members:
                row = order[index]
                mine = own.get((*group, row[2]))
                ends = (mine.low, mine.high) if mine else (None, None)
                tidy[index * len(columns) + at] |= {"low": ends[0], "high": ends[1], "rank": rank.get(row)}
                if mine and intervals and math.isfinite(mine.low):
                    rows[index][first + at] += f" [{mine.low:.3f}, {mine.high:.3f}]"
                if rank.get(row) == 1:
                    rows[index][first + at] += " ¹"
                    if list(rank.values()).count(1) == 1:
                        bold.add((index, first + at))
        if all(together):
            equal.append(f"{data} {called(metric)}")
    notes = [*table.notes, *_explained(comparisons, intervals)]
    if equal:
        notes.append(f"No two methods differ in {', '.join(equal)}.")
    return table._replace(rows=tuple(map(tuple, rows)), notes=tuple(notes), tidy=tuple(tidy), bold=frozenset(bold))


def _ranks(
    group: tuple[str, ...],
    members: Sequence[Row],
    found: Found,
    column: Column,
    p: Mapping[tuple[str, str], float] | None,
) -> dict[Row, int]:
    """The rank of each member; none where the metric has no better side or nothing was compared."""
    means = {row: summary(found.get((row, column), []))[0] for row in members}
    known = [row for row in members if not math.isnan(means[row])]
    if not p or group[-1] not in ARROWS or len(known) < 2:
        return {}
    both = {(i, j): _either(p, known[i][2], known[j][2]) for i in range(len(known)) for j in range(i + 1, len(known))}
    higher = ARROWS[group[-1]] == "↑"
    return dict(zip(known, ranks([means[row] for row in known], both, ALPHA, higher=higher), strict=True))


def _either(p: Mapping[tuple[str, str], float], one: str, other: str) -> float:
    found = p.get((one, other), p.get((other, one), 1.0))
    return 1.0 if math.isnan(found) else found


def _explained(comparisons: Sequence[Comparison], intervals: bool) -> list[str]:
    """What the marks and brackets are."""
    found = max(comparisons, key=lambda one: one.units)
    top = f"{found.units} {found.unit}s, then examples" if found.unit else "examples alone: no spread of runs is known"
    worlds = len({one.group[:3] for one in comparisons}) > 1
    column = "its column within a model, encoder and variant" if worlds else "its column"
    said = [
        f"¹ is the best of {column} or not distinguishable from it (two-level bootstrap of paired differences: {top}; "
        f"Holm over all pairs of methods; α = {ALPHA}); a ¹ that stands alone is better than every other."
    ]
    if plain := dict.fromkeys(one.metric for one in comparisons if not one.resamples):
        said.append(
            f"In place of the bootstrap, Student's t over {found.unit or 'run'}s: {', '.join(map(called, plain))}."
        )
    return [*said, "[ ] is the 95 % interval of the same bootstrap."] if intervals else said
