"""Table 1 drawn: each method's mean and interval, and which methods share the first rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from fairl_bench.figures.references import Level, Spot, draw_references, legend
from fairl_bench.figures.style import COLUMN, GOOD, MUTED, SMALL, brief, canvas, look, styled, title_lines, wrapped
from fairl_bench.figures.variants import has_variants
from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.tables.leaderboard import leaderboards
from fairl_bench.values.coordinates import Row, Setting
from fairl_bench.values.references import Methods, labelled, references_of, with_given
from fairl_bench.values.rows import Column, selection_of, shown_axes
from fairl_bench.values.run_facts import MethodFacts
from fairl_bench.values.table import Table, Value
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Cell = Mapping[str, Value]
_WIDEST = 4  # panels beside one another
_NARROW = 20  # letters of a row's name where the figure is one column wide


class Intervals(ReportFigure):
    """The leaderboard: each method's mean and interval, and which methods share the first rank."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each leaderboard; none where the suite is run at several points."""
        for _, table in leaderboards(material):
            if not has_variants(material) and (figure := intervals(table, material.metrics)) is not None:
                yield Drawn("leaderboard", "The leaderboard with its intervals", figure)


class ByEncoder(ReportFigure):
    """The leaderboard's methods under each encoder."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each leaderboard; none below two encoders, or where the suite is run at several points."""
        for _, table in leaderboards(material):
            if not has_variants(material) and (figure := by_encoder(table, material.metrics)) is not None:
                yield Drawn("encoders", "Each method under each encoder", figure)


class BySelection(ReportFigure):
    """The leaderboard's methods under each rule for the kept epoch."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each leaderboard; none where variants differ by anything but their rule."""
        for _, table in leaderboards(material):
            rules_alone = _selections_alone({row.variant for row in material.records})
            if rules_alone and (figure := by_selection(table, material.metrics)) is not None:
                yield Drawn("selections", "Each method under each rule for the kept epoch", figure)


def _selections_alone(variants: set[str]) -> bool:
    """True where variants differ by their rule for the kept epoch, and by nothing else."""
    rules = set(map(selection_of, variants))
    return "" not in rules and len(rules) == len(variants)


@styled
def intervals(table: Table, metrics: Metrics, across: int = _WIDEST, width: float | None = None) -> Figure | None:
    """One panel a column of Table 1: means with 95 % intervals, filled where a method is among the best.

    Reference rows are lines across the methods.  At most ``across`` panels stand beside one another, in ``width``
    inches.  None where no number is known.
    """
    columns = _columns(table)
    if not columns:
        return None
    rows = list(dict.fromkeys(map(_row, _of_methods(table))))
    labels = _labels(rows, table) if width is None or width > COLUMN else _labels(rows, table, _NARROW)
    spots = [Spot(at, 0.5, row.setting) for at, row in enumerate(rows)]
    across = min(len(columns), across)
    down = -(-len(columns) // across)
    width = width or max(2.2 + 2.3 * across, 5.6)
    told = "mean and 95 % interval; filled: the best, or not distinguishable from it"
    references = any(_has_lines(table, cells) for cells in columns.values())
    lines = "; grey lines: reference rows, with bands for their intervals" if references else ""
    said = wrapped(told + lines, width)
    room = 0.3 * references + 0.16 * (1 + said.count("\n"))  # for the legend and for what is said
    figure, axes = canvas(down, across, width, room + down * (0.85 + 0.26 * len(rows)), sharey=True)
    for axis, (column, cells) in zip(axes, columns.items(), strict=False):
        axis.set_title(f"{column.place}\n{metrics[column.metric].head}")
        draw_references(axis, spots, _levels(table, cells))
        for at, row in enumerate(rows):
            _point(axis, at, cells.get(row, {}))
        axis.set_yticks(range(len(rows)), labels)
        axis.set_ylim(len(rows) - 0.4, -0.6)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    legend(figure, axes, "outside upper center")
    figure.supxlabel(said, fontsize=SMALL)
    return figure


@styled
def by_encoder(table: Table, metrics: Metrics) -> Figure | None:
    """Table 1 with a line for each method and a mark for each encoder on it; None below two encoders."""
    return _side_by_side(table, metrics, "encoder", brief)


@styled
def by_selection(table: Table, metrics: Metrics) -> Figure | None:
    """Table 1 with a line for each method and a mark for each rule for the kept epoch; None below two of them."""
    return _side_by_side(table, metrics, "variant", selection_of)


def _side_by_side(table: Table, metrics: Metrics, axis_name: str, called: Callable[[str], str]) -> Figure | None:
    """A panel for each column, a line for each method, and on it a mark for each value of an axis."""
    values = list(dict.fromkeys(str(cell[axis_name]) for cell in table.tidy))
    columns = _columns(table)
    if len(values) < 2 or not columns:
        return None

    def row_of(cell: _Cell) -> Row:
        return _row({**cell, axis_name: ""})

    methods = _of_methods(table)
    rows = list(dict.fromkeys(map(row_of, methods)))
    labels = _labels(rows, table)
    half = 0.25 / (len(values) - 1)
    spots = {
        _row(cell): Spot(
            rows.index(row_of(cell)) + half * (2 * values.index(str(cell[axis_name])) + 1 - len(values)),
            half,
            _row(cell).setting,
        )
        for cell in methods
    }
    across = min(len(columns), _WIDEST)
    down = -(-len(columns) // across)
    figure, axes = canvas(down, across, 2.0 + 2.1 * across, down * (0.9 + 0.34 * len(rows)), sharey=True)
    for axis, (column, cells) in zip(axes, columns.items(), strict=False):
        axis.set_title(f"{column.place}\n{metrics[column.metric].head}")
        draw_references(axis, list(spots.values()), _levels(table, cells))
        for row, spot in spots.items():
            if row in cells:
                index = values.index(str(cells[row][axis_name]))
                _mark(axis, spot.at, cells[row], index, called(values[index]))
        axis.set_yticks(range(len(rows)), labels)
        axis.set_ylim(len(rows) - 0.4, -0.6)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    legend(figure, axes, "outside lower center")
    return figure


def _has_lines(table: Table, cells: Mapping[Row, _Cell]) -> bool:
    """True where the number of a reference row is drawn in a panel."""
    levels = _levels(table, cells).values()
    return any(math.isfinite(level.value) for by_setting in levels for level in by_setting.values())


def _of_methods(table: Table) -> list[_Cell]:
    """The tidy rows of the methods; of a table of reference rows alone those of all."""
    return [cell for cell in table.tidy if not cell.get("reference")] or list(table.tidy)


def _labels(rows: Sequence[Row], table: Table, most: int = 40) -> list[str]:
    """The labels of rows: what differs between them, with what each was given behind its method or below it."""
    shown, methods = shown_axes(rows), _methods(table)
    return [title_lines(" ".join(labelled(row, shown, methods)), most) for row in rows]


def _methods(table: Table) -> Methods:
    """What the table knows of its methods."""
    known = {str(cell["method"]): cell for cell in table.tidy if cell.get("given") is not None}
    return {name: MethodFacts(str(cell["given"]), bool(cell.get("reference"))) for name, cell in known.items()}


def _levels(table: Table, cells: Mapping[Row, _Cell]) -> dict[str, dict[Setting, Level]]:
    """The numbers of each reference row in one column, by its label and the setting; none that is drawn as a method."""
    methods = _methods(table)
    if all(cell.get("reference") for cell in table.tidy):
        return {}
    levels: dict[str, dict[Setting, Level]] = {with_given(name, methods): {} for name in references_of(methods)}
    for row, cell in cells.items():
        if cell.get("reference"):
            level = Level(number(cell, "mean"), number(cell, "low"), number(cell, "high"))
            levels[with_given(row.method, methods)][row.setting] = level
    return levels


def _columns(table: Table) -> dict[Column, dict[Row, _Cell]]:
    """The cells of each column that has a number."""
    cells_of: dict[Column, dict[Row, _Cell]] = {}
    for cell in table.tidy:
        if math.isfinite(number(cell, "mean")):
            column = Column(str(cell["data"]), str(cell["slice"]), str(cell["metric"]))
            cells_of.setdefault(column, {})[_row(cell)] = cell
    return cells_of


def _row(cell: _Cell) -> Row:
    """The row of the table that a cell is in."""
    return Row(*(str(cell[axis]) for axis in Row._fields))


def number(cell: _Cell, name: str) -> float:
    """A number of a tidy row; NaN where it has none."""
    value = cell.get(name)
    return float(value) if isinstance(value, int | float) else math.nan


def _ends(cell: _Cell) -> Sequence[float]:
    """The interval, if it is known."""
    ends = [number(cell, "low"), number(cell, "high")]
    return ends if all(map(math.isfinite, ends)) else ()


def _point(axis: Axes, at: float, cell: _Cell) -> None:
    """Draw a mean with its interval."""
    if not cell:
        axis.text(0.5, at, "n/a", transform=axis.get_yaxis_transform(), ha="center", va="center", color=MUTED)
        return
    first = cell.get("rank") == 1
    if ends := _ends(cell):
        axis.plot(ends, [at, at], color=GOOD.colour if first else MUTED, solid_capstyle="butt")
    colour = GOOD.colour if first else MUTED
    axis.plot(number(cell, "mean"), at, "o", color=colour, markerfacecolor=colour if first else "white")


def _mark(axis: Axes, at: float, cell: _Cell, index: int, label: str) -> None:
    """Draw a mean with its interval in the look of an axis's value."""
    style = look(index)
    if ends := _ends(cell):
        axis.plot(ends, [at, at], color=style.colour, solid_capstyle="butt")
    axis.plot(number(cell, "mean"), at, style.marker, color=style.colour, linestyle="none", label=label)
