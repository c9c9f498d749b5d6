"""Re-alignments as tables: at the same KL, and after all steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pydantic import Field

from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.tables.realignment_after_steps import table_after_steps
from fairl_bench.tables.realignment_at_kl import table_at_kl
from fairl_bench.tables.realignment_numbers import SECOND, by_number
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import GOLD
from fairl_bench.values.realigned import DATA
from fairl_bench.values.records import Record
from fairl_bench.values.references import NOTHING_KNOWN, Methods, references_first
from fairl_bench.values.rows import Runs
from fairl_bench.values.table import Table
from fairl_bench.views import ReportTable

MEASURES: Final = ("toxicity_rate", "toxicity_area")


class RealignmentTables(ReportTable):
    """Re-alignments: at the same KL by the suite's judge and by a second one, and after all steps."""

    always = True

    metrics: tuple[str, ...] = Field(
        MEASURES, min_length=1, description="what is shown at the same KL; of the first its interval too"
    )

    def measures(self) -> Sequence[str]:
        """The metrics at the same KL."""
        return self.metrics

    def tables(self, material: Material) -> Iterable[Table]:
        """Up to three tables; none where nothing was aligned again."""
        return realignment(
            material.records,
            material.rows,
            material.metrics,
            material.comparisons,
            self.metrics,
            material.run.methods,
        ).values()


def realignment(
    records: Iterable[Record],
    runs: Mapping[Row, Runs],
    metrics: Metrics,
    comparisons: Sequence[Comparison] = (),
    measures: Sequence[str] = MEASURES,
    methods: Methods = NOTHING_KNOWN,
) -> dict[str, Table]:
    """The tables by name: at the same KL by the suite's judge and by a second one, and after all steps.

    Nothing where nothing was aligned again.  ``runs`` says what each row should rest on, in the order of the rows.
    Reference rows among the ``methods`` stand first, and have no rank.
    """
    runs = references_first(runs, methods)
    aligned = [row for row in records if row.dataset == DATA and not row.other]
    if not aligned:
        return {}
    records_of = by_number(aligned)
    second = any(row.truth == SECOND for row in aligned)
    tables = [
        table_at_kl(records_of, runs, metrics, comparisons, truth, measures, methods)
        for truth in ((GOLD, SECOND) if second else (GOLD,))
    ]
    return {table.name: table for table in (*tables, table_after_steps(records_of, runs, comparisons, methods))}
