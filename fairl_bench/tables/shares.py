"""The share of the ceiling beside a pair accuracy, and the words that explain it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fairl_bench.tables.board import TruthOf
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE, no_ceiling
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import PREFERRED
from fairl_bench.values.references import Methods
from fairl_bench.values.rows import Column
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.values.table import Table

Shares = Mapping[tuple[Row, str], Comparison]
"""The number of each row on each data set, with its interval."""


def shares_of(comparisons: Iterable[Comparison]) -> Shares:
    """The shares among comparisons; one that is undefined says why in its note."""
    return {(one.row, one.data): one for one in comparisons if one.metric == SHARE and one.truth == PREFERRED}


def pair_accuracies(comparisons: Iterable[Comparison]) -> Shares:
    """The pair accuracy of each row on each data set, with its interval."""
    found = (one for one in comparisons if one.metric == PAIR_ACCURACY and one.truth == PREFERRED and not one.other)
    return {(one.row, one.data): one for one in found}


def percent(share: float) -> str:
    """A share as a table shows it.

    >>> percent(0.7234), percent(-0.001), percent(1.04), percent(math.nan)
    ('72 %', '0 %', '104 %', 'n/a')
    """
    return "n/a" if math.isnan(share) else f"{round(100 * share)} %"


def with_shares(
    table: Table, rows: Sequence[Row], columns: Sequence[Column], truth_of: TruthOf, shares: Shares, methods: Methods
) -> Table:
    """The table with its share behind each pair accuracy that has one, and a note on it.

    ``rows`` and ``columns`` are those of the table, whose tidy rows are one a cell.
    """
    names = len(table.heads) - len(columns)
    texts, tidy = [list(row) for row in table.rows], [dict(cell) for cell in table.tidy]
    found, reasons = False, dict[str, None]()
    for at, column in enumerate(columns):
        if not has_ceiling(column, truth_of):
            continue
        for index, row in enumerate(rows):
            one = shares.get((row, column.place))
            if one is None:
                continue
            tidy[index * len(columns) + at] |= {"share": one.value, "share_low": one.low, "share_high": one.high}
            if math.isfinite(one.value):
                texts[index][names + at] += f" ({percent(one.value)})"
                found = True
            else:
                reasons[f"No share of the ceiling on {column.place}: {one.note}."] = None
    notes = [*table.notes, *([f"In brackets: the {told(methods)}"] if found else []), *reasons]
    return table._replace(rows=tuple(map(tuple, texts)), tidy=tuple(tidy), notes=tuple(notes))


def has_ceiling(column: Column, truth_of: TruthOf) -> bool:
    """Whether a column holds pair accuracies that a log-ratio may bound."""
    return column.metric == PAIR_ACCURACY and not no_ceiling(column.data, truth_of(column.data), column.slice)


def told(methods: Methods) -> str:
    """The words that say what a share is, for the end of a sentence."""
    names = " or ".join(name for name, facts in methods.items() if facts.bounds)
    estimated = dict.fromkeys(model for facts in methods.values() for model in facts.bounds if model in facts.estimated)
    low = f" That of {', '.join(estimated)} is estimated, on average no higher than it is." if estimated else ""
    return (
        f"share of the way from ½, a coin toss, to the ceiling, the pair accuracy of {names}; no reward of "
        f"prompt and text exceeds it in expectation, but in a finite sample one may.{low}"
    )


def models_without(run: RunFacts, rows: Iterable[Row]) -> Iterator[str]:
    """The notes on the models of these rows that have no ceiling."""
    for model in dict.fromkeys(row.model for row in rows):
        if why := run.ceiling_of(model).why_not:
            yield f"{model} has no ceiling: {why}."
