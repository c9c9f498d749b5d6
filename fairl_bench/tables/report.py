"""Every table that a report asks for."""

from __future__ import annotations

from typing import Final

from fairl_bench.material import Material
from fairl_bench.results.known_labels import with_known
from fairl_bench.results.realigned import DATA
from fairl_bench.suite.suite import Report
from fairl_bench.table import Table
from fairl_bench.tables.ambiguity import ambiguity
from fairl_bench.tables.disagreement import table2, table3
from fairl_bench.tables.leaderboard import slices, table1
from fairl_bench.tables.realignment import TABLES as REALIGNED
from fairl_bench.tables.realignment import realignment
from fairl_bench.tables.selected import selected_differently

TABLES: Final = ("1", "2", "3", "slices", "ambiguity", *REALIGNED, "claims")


def tables(report: Report, material: Material, *, intervals: bool = False) -> dict[str, Table]:
    """Every table that a report asks for and that has a row, by the name that ``--table`` takes.

    Notes of the whole run stand below Table 1; of how many examples the label is known is shown where it is not of all.
    """
    records, rows, metrics = material.records, material.rows, material.metrics
    made = realignment(records, rows, metrics, material.comparisons)
    compared = [one for one in material.comparisons if one.data.partition("/")[0] != DATA]
    if (first := report.table1) is not None:
        board = table1(records, first, rows, metrics, compared, intervals=intervals)
        made["1"] = board._replace(notes=(*board.notes, *material.notes))
        made["slices"] = slices(records, first, rows, metrics)
        made["ambiguity"] = ambiguity(records, first.data, rows, metrics)
    if (second := report.table2) is not None:
        made["2"] = table2(records, second.methods, second.data)
    if (third := report.table3) is not None:
        made["3"] = table3(records, third.methods, third.data)
    for name, layout in (("1", first), ("slices", first), ("2", second), ("3", third)):
        if layout is not None and name in made:
            made[name] = with_known(made[name], material.known, layout.truth_of, layout.data)
    apart = selected_differently(records, rows)
    for name in {"1", "2", "3", "slices", "ambiguity"} & set(made):
        made[name] = made[name]._replace(notes=(*apart, *made[name].notes))
    return {name: made[name] for name in TABLES if name in made and made[name].rows}


def asked(report: Report) -> set[str]:
    """The tables that a report asks for by name."""
    given = {"1": report.table1, "2": report.table2, "3": report.table3}
    return {name for name, table in given.items() if table is not None}
