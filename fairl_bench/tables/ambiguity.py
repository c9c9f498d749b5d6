"""The table of ambiguity: how far apart the rewards of a method's own seeds are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.tables.notes import selected_apart
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import Record
from fairl_bench.values.references import (
    NOTHING_KNOWN,
    Methods,
    as_values,
    count_references,
    labelled,
    reference_notes,
    references_first,
)
from fairl_bench.values.rows import Column, Runs, mean_and_spread, shown_axes
from fairl_bench.values.table import Table, Value
from fairl_bench.values.two_runs import AMBIGUITY
from fairl_bench.views import ReportTable


class Ambiguity(ReportTable):
    """The distances between the rewards of a method's own seeds."""

    always = True

    def tables(self, material: Material) -> Iterator[Table]:
        """One table of the data on which seeds were compared with one another."""
        data_of_parts = (part.seed_distances() for part in material.report.values() if isinstance(part, ReportTable))
        data = list(dict.fromkeys(name for names in data_of_parts for name in names))
        methods = material.run.methods
        yield selected_apart(ambiguity(material.records, data, material.rows, material.metrics, methods), material)


def ambiguity(
    records: Iterable[Record],
    data: Sequence[str],
    runs: Mapping[Row, Runs],
    metrics: Metrics,
    methods: Methods = NOTHING_KNOWN,
) -> Table:
    """Mean ± sd over pairs of seeds of STARC, Spearman and Kendall between their rewards; no row for a single seed."""
    values_of: dict[tuple[Row, Column], list[float]] = {}
    for record in records:
        if record.other.startswith("seed:"):
            values_of.setdefault((record.row, Column(record.data, "all", record.metric)), []).append(record.value)
    order = [row for row in references_first(runs, methods) if any(measured == row for measured, _ in values_of)]
    columns = [Column(name, "all", metric) for name in data for metric in AMBIGUITY]
    columns = [column for column in columns if any((row, column) in values_of for row in order)]
    shown = shown_axes(order) if order else []
    rows = tuple(
        (
            *labelled(row, shown, methods),
            *(mean_and_spread(*_summary(values_of.get((row, column), []))) for column in columns),
        )
        for row in order
    )
    tidy = tuple(_tidy(row, column, values_of.get((row, column), []), methods) for row in order for column in columns)
    heads = [("", axis) for axis in shown] + [(column.place, metrics[column.metric].head) for column in columns]
    note = (
        "Between the rewards of each two training seeds of one method in one replicate, whatever the truth: mean ± "
        "sample standard deviation over pairs of seeds, which share seeds, so that it is no standard error. STARC 0 "
        "and correlations of 1: all seeds found one reward."
    )
    notes = (note, *reference_notes(order, methods))
    return Table("Ambiguity", tuple(heads), rows, notes, tidy, references=count_references(order, methods))


def _summary(values: Sequence[float]) -> tuple[float, float]:
    """The mean and the standard deviation of values; NaN where any is undefined."""
    if not values or any(map(math.isnan, values)):
        return math.nan, math.nan
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _tidy(row: Row, column: Column, values: Sequence[float], methods: Methods) -> dict[str, Value]:
    """The values of a cell as the files of a table have them."""
    mean, sd = _summary(values)
    widest = max(values, default=math.nan) if not math.isnan(mean) else math.nan
    least = min(values, default=math.nan) if not math.isnan(mean) else math.nan
    place = {**row._asdict(), **as_values(row, methods), "data": column.data, "metric": column.metric}
    return {**place, "mean": mean, "sd": sd, "least": least, "most": widest, "pairs_of_seeds": len(values)}
