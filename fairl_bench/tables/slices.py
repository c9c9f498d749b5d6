"""The leaderboard on the failures of a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.tables.board import board, cells
from fairl_bench.tables.leaderboard import Leaderboard
from fairl_bench.tables.notes import explained
from fairl_bench.tables.shares import has_ceiling
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import DISCORDANT
from fairl_bench.values.records import Record
from fairl_bench.values.references import NOTHING_KNOWN, Methods, references_first
from fairl_bench.values.rows import Column, Runs
from fairl_bench.values.table import Table
from fairl_bench.views import ReportTable

_BY_BASELINE: Final = ("misranked:", "near-tie:")
_OF_DISCORDANT: Final = "Discordant pairs are those whose two 'gold' labels differ."
NO_SHARE: Final = "No share of the ceiling stands beside these pair accuracies: a slice is chosen by a method."


class Slices(ReportTable):
    """The leaderboard's metrics on pairs that the baseline misranks or barely tells apart, or whose labels differ."""

    always = True

    def tables(self, material: Material) -> Iterator[Table]:
        """One table for the first leaderboard of the report."""
        for layout in [part for part in material.report.values() if isinstance(part, Leaderboard)][:1]:
            table = slices(material.records, layout, material.rows, material.metrics, material.run.methods)
            yield explained(table, material, layout.truth_of, layout.data)


def slices(
    records: Iterable[Record],
    layout: Leaderboard,
    runs: Mapping[Row, Runs],
    metrics: Metrics,
    methods: Methods = NOTHING_KNOWN,
) -> Table:
    """Table 1's metrics on each slice that it does not show itself; no row without a slice."""
    rows, runs = list(records), references_first(runs, methods)
    by_baseline = sorted({record.slice for record in rows if record.slice.startswith(_BY_BASELINE)})
    discordant = {record.slice for record in rows if record.slice == DISCORDANT} - {*layout.slices}
    names = [*discordant, *by_baseline]
    cut = {record.data for record in rows if record.slice in names}
    columns = [
        Column(data, name, metric) for data in layout.data if data in cut for name in names for metric in layout.metrics
    ]
    records_of = cells(rows, layout.truth_of)
    columns = [column for column in columns if any((row, column) in records_of for row in runs)]
    if not columns:
        return Table("Slices", (), (), ())
    table = board("Slices", records_of, layout.truth_of, runs, columns, metrics, methods=methods)
    notes = [_OF_DISCORDANT] if discordant else []
    if by_baseline:
        which = "The other" if discordant else "The"
        notes.append(
            f"{which} slices are chosen by one run of the baseline, seed by seed: on what it misranks it is at its "
            "worst by construction, and any other reward, be it another seed of the baseline, does better."
        )
    paired = any(has_ceiling(column._replace(slice="all"), layout.truth_of) for column in columns)
    if paired and by_baseline and any(facts.bounds for facts in methods.values()):
        notes.append(NO_SHARE)
    return table._replace(notes=(*table.notes, *notes))
