"""The one picture of a leaderboard: of each data set the number that the first screen of the page is about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from fairl_bench.figures.leaderboard import intervals, number
from fairl_bench.figures.style import COLUMN, NARROW
from fairl_bench.figures.variants import has_variants
from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.results.summary import main_columns
from fairl_bench.tables.leaderboard import leaderboards
from fairl_bench.values.rows import Column
from fairl_bench.values.table import Table, Value
from fairl_bench.views import Drawn, ReportFigure

_MOST = 40  # rows that are read at a glance, if barely
_WIDTH = 9.0  # inches


class Headline(ReportFigure):
    """Each method's mean and interval in one number of each data set, the best method on top."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One of the first leaderboard, wide and narrow; none of a suite at several points, or of very many rows."""
        tables = [table for _, table in leaderboards(material)]
        if not tables or has_variants(material):
            return
        columns = [Column(column.data, "all", column.metric) for column in main_columns(material)]
        table = _best_first(_of(tables[0], columns), material.metrics)
        if not table.tidy or len(table.tidy) > _MOST * len(columns):
            return
        title = f"{material.metrics[columns[0].metric].called} of each method"
        for name, across, width in (("headline", 3, _WIDTH), (f"headline{NARROW}", 1, COLUMN)):
            figure = intervals(table, material.metrics, across, width)
            if figure is not None:
                yield Drawn(name, title, figure)


def _of(table: Table, columns: Sequence[Column]) -> Table:
    """The table with the numbers of these columns alone."""
    shown = (cell for cell in table.tidy if (cell["data"], cell["slice"], cell["metric"]) in columns)
    return table._replace(tidy=tuple(shown))


def _best_first(table: Table, metrics: Metrics) -> Table:
    """The table with its numbers in the order of the first column, the best first, within each setting."""
    settings = list(dict.fromkeys(_setting(cell) for cell in table.tidy))
    first = table.tidy[0]["data"] if table.tidy else None
    gains = {
        (*_setting(cell), cell["method"]): metrics[str(cell["metric"])].sign * number(cell, "mean")
        for cell in table.tidy
        if cell["data"] == first
    }

    def place(cell: Mapping[str, Value]) -> tuple[int, float]:
        gain = gains.get((*_setting(cell), cell["method"]), math.nan)
        return settings.index(_setting(cell)), math.inf if math.isnan(gain) else -gain

    return table._replace(tidy=tuple(sorted(table.tidy, key=place)))


def _setting(cell: Mapping[str, Value]) -> tuple[Value, ...]:
    return cell["model"], cell["encoder"], cell["variant"]
