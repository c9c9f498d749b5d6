"""Where the texts of a figure stand, for tests: those that overlap, those that are cut, and the smallest."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from fairl_bench.figures.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_TOUCHING = 1.0  # pixels at 100 dpi: boxes of letters have some air around them


@styled
def boxes(figure: Figure) -> list[tuple[str, float, Bbox]]:
    """Each text of a figure that is seen: what it says, its size in points, its box in pixels from the lower left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    unseen = _undrawn(figure)
    texts = {id(text): text for text in figure.findobj(Text) if isinstance(text, Text)}
    return [
        (text.get_text(), text.get_fontsize(), text.get_window_extent(canvas.get_renderer()))
        for place, text in texts.items()
        if place not in unseen and text.get_visible() and text.get_text().strip()
    ]


def _undrawn(figure: Figure) -> set[int]:
    """The labels of ticks that lie outside of their axis or are left from an earlier look, and all of an axis off."""
    found = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-6 * (high - low)
            places = [*axis.get_majorticklocs(), *[None] * len(axis.majorTicks)]
            for tick, place in zip(axis.majorTicks, places, strict=False):
                if not axes.axison or place is None or not low - room <= place <= high + room:
                    found |= {id(tick.label1), id(tick.label2)}
            if not axes.axison:
                found |= {id(axis.label), id(axis.offsetText)}
    return found


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts that lie on one another."""
    found = []
    for (one, _, a), (other, _, b) in combinations(boxes(figure), 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        along = min(a.y1, b.y1) - max(a.y0, b.y0)
        if across > _TOUCHING and along > _TOUCHING + 1:
            found.append((one, other))
    return found


def cut(figure: Figure) -> list[str]:
    """The texts that reach beyond the figure."""
    width, height = figure.canvas.get_width_height()
    return [
        text
        for text, _, box in boxes(figure)
        if box.x0 < -_TOUCHING or box.y0 < -_TOUCHING or box.x1 > width + _TOUCHING or box.y1 > height + _TOUCHING
    ]


def smallest(figure: Figure) -> float:
    """The size of the smallest text, in points."""
    return min(size for _, size, _ in boxes(figure))
