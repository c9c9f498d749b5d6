"""Training curves, from the histories of rewards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.figures.style import BAD, GOOD, SMALL, brief, canvas, grid, styled
from fairl_bench.figures.variants import has_variants
from fairl_bench.material import Material
from fairl_bench.values.data import Floats
from fairl_bench.values.history import History
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DRAWN = (("validation_loss", "validation", GOOD), ("train_loss", "training", BAD))


class TrainingCurves(ReportFigure):
    """The losses of each method by epoch."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One; none where the suite is run at several points."""
        if not has_variants(material) and (figure := curves(material.histories)) is not None:
            yield Drawn("training", "Training curves", figure)


@styled
def curves(histories: Sequence[History]) -> Figure | None:
    """One panel a method: the losses by epoch, mean and min–max band over the runs that still trained.

    None where no run has a history of its losses.
    """
    runs: dict[str, list[History]] = {}
    for history in histories:
        if any(name in history.series for name, *_ in _DRAWN):
            runs.setdefault(history.cell.method, []).append(history)
    if not runs:
        return None
    rows, columns = grid(len(runs))
    figure, axes = canvas(rows, columns, 1.0 + 1.9 * columns, 0.7 + 1.5 * rows)
    for axis, (method, histories_of_method) in zip(axes, runs.items(), strict=False):
        _losses(axis, histories_of_method)
        axis.set_title(brief(method))
    for axis in axes[len(runs) :]:
        axis.set_axis_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.supxlabel("epoch", fontsize=SMALL)
    figure.supylabel("loss", fontsize=SMALL)
    return figure


def _losses(axis: Axes, histories: Sequence[History]) -> None:
    """Draw the losses of one method by epoch."""
    for name, label, style in _DRAWN:
        columns = [history.series[name] for history in histories if name in history.series]
        if not columns:
            continue
        padded = together(columns)
        x = np.arange(1, padded.shape[1] + 1)
        axis.plot(x, np.nanmean(padded, 0), color=style.colour, linestyle=style.line, label=label)
        low, high = np.nanmin(padded, 0), np.nanmax(padded, 0)
        axis.fill_between(x, low, high, color=style.colour, alpha=0.15, linewidth=0)


def together(columns: Sequence[Floats]) -> Floats:
    """Columns of several lengths as one array ``[runs, longest]``; NaN past the end of a run.

    >>> together([np.array([1.0, 2.0]), np.array([3.0])])
    array([[ 1.,  2.],
           [ 3., nan]])
    """
    array = np.full((len(columns), max(map(len, columns))), np.nan)
    for row, column in zip(array, columns, strict=True):
        row[: len(column)] = column
    return array
