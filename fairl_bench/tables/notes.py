"""What is said beside the numbers of several tables: which labels are known, and which rows were selected alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fairl_bench.comparison import Comparison
from fairl_bench.material import Material
from fairl_bench.results.known_labels import with_known
from fairl_bench.results.realigned import DATA
from fairl_bench.table import Table
from fairl_bench.tables.selected import selected_differently


def explained(table: Table, material: Material, truth_of: Callable[[str], str], data: Iterable[str]) -> Table:
    """The table with how many labels of its data are known, and with `selected_apart`."""
    return selected_apart(with_known(table, material.known, truth_of, data), material)


def selected_apart(table: Table, material: Material) -> Table:
    """The table with a first note where its rows could not keep the same epochs."""
    return table._replace(notes=(*selected_differently(material.records, material.rows), *table.notes))


def statistics_of_runs(material: Material) -> list[Comparison]:
    """The comparisons but those of re-alignments, whose units are other texts."""
    return [one for one in material.comparisons if one.data.partition("/")[0] != DATA]
