"""Table 1, the leaderboard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field

from fairl_bench.component import Spec
from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.tables.board import board, cells, measured_runs, other_truths
from fairl_bench.tables.labels import classes, one_call
from fairl_bench.tables.notes import explained, statistics_of_runs
from fairl_bench.tables.per_prompt import within_prompts
from fairl_bench.tables.shares import has_ceiling, models_without, shares_of, with_shares
from fairl_bench.values.comparison import Comparison, Question
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import GOLD
from fairl_bench.values.records import Record
from fairl_bench.values.references import NOTHING_KNOWN, Methods, references_first
from fairl_bench.values.rows import Column, Runs
from fairl_bench.values.table import Table
from fairl_bench.views import ReportTable, Truths, truth_of


class Leaderboard(ReportTable):
    """The leaderboard: methods × (data, metric), as the paper's Table 1."""

    data: tuple[str, ...] = Field(min_length=1)
    truth: Truths = Field(
        GOLD, description="one truth, or one by data name ('pairs' stands for every part of the pairs)"
    )
    metrics: tuple[str, ...] = Field(("accuracy", "f1", "auc", "starc"), description="the columns of each data set")
    slices: tuple[Literal["discordant"], ...] = Field(
        (), description="slices of the pairs with columns of their own, beside those of all pairs"
    )
    spread: Literal["seed"] = Field("seed", description="what ± is: the sample standard deviation over training seeds")
    intervals: bool = Field(False, description="show the 95 % interval of each number beside it")

    def tables(self, material: Material) -> Iterator[Table]:
        """Table 1, with the notes on the whole run below it."""
        table = leaderboard(
            material.records,
            self,
            material.rows,
            material.metrics,
            statistics_of_runs(material),
            intervals=self.intervals,
            methods=material.run.methods,
        )
        columns = self.columns()
        first, last = one_call(material, columns, self.truth_of), classes(material.suite, columns, self.truth_of)
        notes = (*first, *table.notes, *last, *self._without_ceiling(material), *material.notes)
        table = table._replace(notes=notes)
        yield explained(table, material, self.truth_of, self.data)

    def _without_ceiling(self, material: Material) -> Sequence[str]:
        """The notes on models without a ceiling, where it has a pair accuracy and another model may have one."""
        bounded = any(has_ceiling(column, self.truth_of) for column in self.columns())
        known = any(facts.bounds for facts in material.run.methods.values())
        return list(models_without(material.run, material.rows)) if bounded and known else ()

    def columns(self) -> list[Column]:
        """Its columns: every metric of each data set and, where this is of pairs, of each slice."""
        return [place._replace(metric=metric) for place in self._places() for metric in self.metrics]

    def _places(self) -> Iterator[Column]:
        """The data sets and slices of its columns."""
        for data in self.data:
            of_pairs = data.partition("/")[0] == "pairs"
            for part in ("all", *(self.slices if of_pairs else ())):
                yield Column(data, part)

    def datasets(self) -> Sequence[str]:
        """The data of its columns."""
        return self.data

    def truth_of(self, data: str) -> str:
        """The truth that a column of this data is measured against."""
        return truth_of(self.truth, data)

    def truths_by_data(self) -> Sequence[str]:
        """The names of data that have a truth of their own."""
        return () if isinstance(self.truth, str) else tuple(self.truth)

    def measures(self) -> Sequence[str]:
        """The metrics of its columns."""
        return self.metrics

    def shown_slices(self) -> Sequence[str]:
        """The slices of its columns."""
        return self.slices

    def questions(self) -> Sequence[Question]:
        """The questions of every column; a slice is asked about as data of its own."""
        return [Question(place.place, self.truth_of(place.data), self.metrics) for place in self._places()]

    def seed_distances(self) -> Sequence[str]:
        """All of its data, for the table of ambiguity."""
        return self.data

    def for_two(self, methods: tuple[str, str]) -> Spec:
        """The settings of Table 2 for its data."""
        return {"use": "table2", "methods": methods, "data": self.data, "truth": self.truth}

    def with_intervals(self) -> Self:
        """The same leaderboard with its intervals shown."""
        return self.model_copy(update={"intervals": True})


def leaderboards(material: Material) -> list[tuple[Leaderboard, Table]]:
    """The leaderboards of a suite's report, each with its table."""
    parts = ((name, part) for name, part in material.report.items() if isinstance(part, Leaderboard))
    return [(part, material.tables[name]) for name, part in parts if name in material.tables]


def leaderboard(
    records: Iterable[Record],
    layout: Leaderboard,
    runs: Mapping[Row, Runs],
    metrics: Metrics,
    comparisons: Sequence[Comparison] = (),
    *,
    intervals: bool = False,
    methods: Methods = NOTHING_KNOWN,
) -> Table:
    """A row for each (model, encoder, method, variant): the mean ± spread of each metric over training seeds.

    ``runs`` says what each row should rest on, in the order of the rows; a row that rests on less says so.
    ``comparisons`` give intervals, shown with ``intervals``, and ranks; without them nothing is marked.  Reference rows
    among the ``methods`` stand first, and have no rank.  A share of the ceiling stands behind the number it is of.
    """
    runs = references_first(runs, methods)
    records = list(records)
    columns = layout.columns()
    records_of = cells(records, layout.truth_of)
    measured = measured_runs(records, columns)
    table = board("Table 1", records_of, layout.truth_of, runs, columns, metrics, measured=measured, methods=methods)
    within = within_prompts(records, runs, columns, layout.truth_of, metrics, methods)
    notes = (*table.notes, *other_truths(records, layout.truth_of, columns), *within)
    table = table._replace(caption="Leaderboard", notes=notes)
    if not comparisons:
        return table
    table = with_shares(table, list(runs), columns, layout.truth_of, shares_of(comparisons), methods)
    from fairl_bench.tables.ranked import ranked  # imports scipy, which a check of a suite does without

    return ranked(table, records_of, layout.truth_of, runs, columns, metrics, comparisons, intervals)
