"""The ceiling drawn: pair accuracies between two lines, a coin toss and what the two language models say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fairl_bench.figures.leaderboard import number
from fairl_bench.figures.style import BAD, GOOD, MUTED, SMALL, brief, canvas, grid, styled, wrapped
from fairl_bench.figures.variants import has_variants
from fairl_bench.material import Material
from fairl_bench.tables.ceiling import SharesOfCeiling
from fairl_bench.tables.shares import percent
from fairl_bench.values.ceiling import COIN, SHARE
from fairl_bench.values.table import Table, Value
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Cell = Mapping[str, Value]
_BEYOND = 0.35  # of the way from one line to the other: so far the picture goes beyond them for an interval


class Between(ReportFigure):
    """Pair accuracies between a coin toss and the ceiling."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each table of the ceiling; none where the suite is run at several points."""
        for name, part in material.report.items():
            if not isinstance(part, SharesOfCeiling) or name not in material.tables or has_variants(material):
                continue
            if (figure := between(material.tables[name])) is not None:
                yield Drawn("ceiling", "Pair accuracy between a coin toss and the ceiling", figure)


class _Line(NamedTuple):
    """One row of a panel: its name, its pair accuracy and its share."""

    label: str
    accuracy: _Cell
    share: _Cell


class _Panel(NamedTuple):
    """The rows of one data set, model and encoder, and the pair accuracy that is their ceiling."""

    title: str
    ceiling: _Line
    lines: Sequence[_Line]


@styled
def between(table: Table) -> Figure | None:
    """One panel a data set, model and encoder: pair accuracies with intervals, and a line at ½ and at the ceiling.

    None where no share is known.
    """
    panels = list(_panels(table))
    if not panels:
        return None
    down, across = grid(len(panels), 2)
    height = 1.5 + 0.28 * max(len(panel.lines) for panel in panels)
    figure, axes = canvas(down, across, 6.4 * across, down * height + 0.45)
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, panel)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    told = (
        "pair accuracy against 'preferred', mean and 95 % interval; right: the share of the way from ½ to the ceiling"
    )
    figure.supxlabel(wrapped(told, 6.4 * across), fontsize=SMALL)
    return figure


def _panels(table: Table) -> Iterator[_Panel]:
    """The panels of a table of the ceiling: those in which any share is known."""
    groups: dict[tuple[str, str, str], list[_Line]] = {}
    accuracy: _Cell = {}
    for cell in table.tidy:
        if cell["metric"] != SHARE:
            accuracy = cell
            continue
        place = str(cell["data"]), str(cell["model"]), str(cell["encoder"])
        groups.setdefault(place, []).append(_Line(_label(cell), accuracy, cell))
    models, encoders = {model for _, model, _ in groups}, {encoder for *_, encoder in groups}
    for (data, model, encoder), lines in groups.items():
        ceilings = [line for line in lines if line.share["method"] == line.share["ceiling"]]
        if not ceilings or math.isnan(number(ceilings[0].share, "mean")):
            continue
        named = [data, *([model] if len(models) > 1 else []), *([encoder] if len(encoders) > 1 else [])]
        yield _Panel(", ".join(named), ceilings[0], [line for line in lines if line is not ceilings[0]])


def _label(cell: _Cell) -> str:
    """The name of a method, with what it was given where that is more than texts."""
    given = cell.get("given")
    return brief(f"{cell['method']}{f' ({given})' if given not in (None, '', 'texts') else ''}")


def _draw(axis: Axes, panel: _Panel) -> None:
    """Draw the two lines, and each row between them."""
    top = number(panel.ceiling.accuracy, "mean")
    low, high = number(panel.ceiling.accuracy, "low"), number(panel.ceiling.accuracy, "high")
    if math.isfinite(low) and math.isfinite(high):
        axis.axvspan(low, high, color=BAD.colour, alpha=0.15, linewidth=0)
    axis.axvline(COIN, color=MUTED, linestyle="--")
    axis.axvline(top, color=BAD.colour)
    over = axis.get_xaxis_transform()
    axis.text(COIN, 1.01, "½, a coin toss", transform=over, ha="center", va="bottom", color=MUTED, fontsize=SMALL)
    axis.text(top, 1.01, f"ceiling: {panel.ceiling.label}", transform=over, ha="center", va="bottom", fontsize=SMALL)
    beside = axis.get_yaxis_transform()
    for at, line in enumerate(panel.lines):
        colour = MUTED if line.accuracy.get("reference") else GOOD.colour
        ends = [number(line.accuracy, "low"), number(line.accuracy, "high")]
        if all(map(math.isfinite, ends)):
            axis.plot(ends, [at, at], color=colour, solid_capstyle="butt")
        axis.plot(number(line.accuracy, "mean"), at, "o", color=colour)
        axis.text(1.02, at, _share(line.share), transform=beside, va="center", fontsize=SMALL)
    axis.set_title(panel.title, pad=18)
    axis.set_yticks(range(len(panel.lines)), [line.label for line in panel.lines])
    axis.set_ylim(len(panel.lines) - 0.4, -0.6)
    axis.set_xlim(*_limits(panel, top))


def _share(cell: _Cell) -> str:
    """A share with its interval."""
    value, low, high = (number(cell, name) for name in ("mean", "low", "high"))
    return "n/a" if math.isnan(value) else f"{percent(value)} [{round(100 * low)}, {round(100 * high)}]"


def _limits(panel: _Panel, top: float) -> tuple[float, float]:
    """The ends of the axis: both lines and every mean, and of intervals what lies not far beyond them."""
    lines = [panel.ceiling, *panel.lines]
    means = [mean for line in lines if math.isfinite(mean := number(line.accuracy, "mean"))]
    ends = [end for line in lines for name in ("low", "high") if math.isfinite(end := number(line.accuracy, name))]
    way = _BEYOND * (top - COIN)
    low = min(COIN, *means, max(min(ends, default=COIN), COIN - way))
    high = max(top, *means, min(max(ends, default=top), top + way))
    margin = 0.04 * (high - low)
    return low - margin, high + margin
