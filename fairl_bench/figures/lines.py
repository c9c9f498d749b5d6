"""Lines of rows: one look a row in every figure, and a label beside the end of each line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fairl_bench.figures.references import reference_look
from fairl_bench.figures.style import LOOKS, MUTED, SMALL, Look, brief, look
from fairl_bench.values.coordinates import Row
from fairl_bench.values.data import Floats
from fairl_bench.values.references import Methods, labelled, references_of, with_given
from fairl_bench.values.rows import shown_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Looks:
    """The look and the label of each row of a suite: the same in every figure, whatever the row's model.

    Reference rows are grey and have no marks; ``methods`` say which they are, and what a row was given.
    """

    def __init__(self, rows: Iterable[Row], methods: Methods) -> None:
        self.methods, self.references = methods, references_of(methods)
        every = dict.fromkeys(row._replace(model="") for row in rows)
        self._ranked = [row for row in every if row.method not in self.references]

    def is_reference(self, row: Row) -> bool:
        """True for a reference row."""
        return row.method in self.references

    def of(self, row: Row) -> Look:
        """The look of a row; that of a reference row is its method's, whatever the encoder and the variant."""
        return reference_look(self._index(row)) if self.is_reference(row) else look(self._index(row))

    def drawn(self, row: Row) -> dict[str, Any]:
        """The settings of a row's line; where looks come round again, with open marks."""
        style = self.of(row)
        face = "white" if self._index(row) // len(LOOKS) % 2 else style.colour
        return {"color": style.colour, "marker": style.marker, "linestyle": style.line, "markerfacecolor": face}

    def name(self, method: str) -> str:
        """The name of a method with what it was given."""
        return with_given(method, self.methods)

    def labels(self, rows: Iterable[Row]) -> dict[Row, str]:
        """The label of each of some rows: what differs between them without their model, and what each was given."""
        every = list(rows)
        shown = [axis for axis in shown_axes(every) if axis != "model"]
        return {row: " ".join(labelled(row, shown, self.methods)) for row in every}

    def _index(self, row: Row) -> int:
        """The number of a row's look among the references, or else among all other rows."""
        if self.is_reference(row):
            return self.references.index(row.method)
        return self._ranked.index(row._replace(model=""))


class End(NamedTuple):
    """The end of a line, with its label."""

    x: float
    y: float
    label: str
    style: Look
    drawn: Mapping[str, Any]


def line(axis: Axes, x: Sequence[float], values: Sequence[Sequence[float]], looks: Looks, row: Row, label: str) -> End:
    """Draw a row's mean at each ``x``, and return the end of the line.

    A band goes from the least to the most of its values there; a reference row has none, so that it stays a line.
    """
    style, drawn, means = looks.of(row), looks.drawn(row), [float(np.mean(at_x)) for at_x in values]
    axis.plot(x, means, **drawn)
    if not looks.is_reference(row):
        axis.fill_between(
            x, list(map(min, values)), list(map(max, values)), color=style.colour, alpha=0.10, linewidth=0
        )
    return End(float(x[-1]), means[-1], label, style, drawn)


def dark(style: Look) -> str:
    """A colour in which small letters can be read: the light ones give way to grey."""
    from matplotlib.colors import to_rgb

    light = float(np.dot(to_rgb(style.colour), (0.299, 0.587, 0.114))) > 0.5
    return MUTED if light else style.colour


def titled(axis: Axes, model: str, models: Sequence[str]) -> None:
    """Name the model above a panel, where there are several."""
    if len(models) > 1:
        axis.set_title(brief(model))


def beside(axis: Axes, ends: Sequence[End]) -> None:
    """Draw a mark and a label beside the end of each line, moved apart where they would overlap, with a thread."""
    bottom, top = axis.get_ylim()
    order = sorted(ends, key=lambda end: end.y)
    heights = np.array([(end.y - bottom) / (top - bottom) for end in order])
    for end, place in zip(order, apart(heights, 0.062), strict=True):
        thread = {"arrowstyle": "-", "color": end.style.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
        label: dict[str, Any] = {"textcoords": "axes fraction", "annotation_clip": False, "arrowprops": thread}
        axis.annotate("", xy=(end.x, end.y), xytext=(1.03, place), **label)
        line_end = {**end.drawn, "linestyle": "none"} if end.style.marker else dict(end.drawn)
        x = [1.03] if end.style.marker else [1.012, 1.045]
        axis.plot(x, [place] * len(x), **line_end, transform=axis.transAxes, clip_on=False)
        axis.annotate(
            brief(end.label, 36), (1.055, place), xycoords="axes fraction", va="center", fontsize=SMALL,
            color=dark(end.style), annotation_clip=False,
        )  # fmt: skip


def apart(heights: Floats, gap: float) -> Floats:
    """Rising heights, each at least ``gap`` above the one below it, moved as little as in total can be.

    >>> apart(np.array([0.5, 0.5, 0.9]), 0.2).round(9).tolist()
    [0.4, 0.6, 0.9]
    """
    blocks: list[list[float]] = []  # of each block of touching labels, where its lowest would like to be
    for at, height in enumerate(heights):
        blocks.append([float(height) - gap * at])
        while len(blocks) > 1 and np.mean(blocks[-1]) < np.mean(blocks[-2]):
            last = blocks.pop()
            blocks[-1] += last
    lowest = [float(np.mean(block)) for block in blocks for _ in block]
    moved = np.array(lowest) + gap * np.arange(len(heights))
    raised: Floats = np.maximum(moved, gap * np.arange(len(heights)))  # none below the axis
    return raised
