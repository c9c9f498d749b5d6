"""Reference rows drawn: grey lines across the methods that they are references for, and what the legend calls them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from fairl_bench.figures.style import Look, brief
from fairl_bench.values.coordinates import Setting

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREYS: Final = ("#6E6E6E", "#9C9C9C")
_LINES: Final = ("--", ":", "-.")


def reference_look(index: int) -> Look:
    """The look of the ``index``-th reference row: grey, without a mark, and a line that is never solid."""
    return Look(_GREYS[index // len(_LINES) % len(_GREYS)], "", _LINES[index % len(_LINES)])


class Spot(NamedTuple):
    """The place of a method's mark on the upright axis, and what it is compared within."""

    at: float
    half: float  # how far its reference lines reach, up and down
    setting: Setting


class Level(NamedTuple):
    """The number of a reference row in one panel, and the ends of its interval, NaN where that is not known."""

    value: float
    low: float
    high: float


def draw_references(axis: Axes, spots: Sequence[Spot], levels: Mapping[str, Mapping[Setting, Level]]) -> None:
    """Draw each reference row as a line across the marks of its setting, with a band for its interval.

    ``levels`` hold the numbers of each reference row, by its label and the setting.
    """
    for index, (label, by_setting) in enumerate(levels.items()):
        look = reference_look(index)
        for low_end, high_end, level in _joined(spots, by_setting):
            ends = [low_end, high_end]
            axis.plot([level.value] * 2, ends, color=look.colour, linestyle=look.line, label=label, zorder=1.5)
            if math.isfinite(level.low) and level.high > level.low:
                axis.fill_betweenx(ends, level.low, level.high, color=look.colour, alpha=0.08, linewidth=0, zorder=1)


def _joined(spots: Iterable[Spot], by_setting: Mapping[Setting, Level]) -> Iterator[tuple[float, float, Level]]:
    """The lines of one reference row: those of spots that touch and share its number are one."""
    lines: list[tuple[float, float, Level]] = []
    for at, half, setting in sorted(spots):
        level = by_setting.get(setting)
        if level is None or not math.isfinite(level.value):
            continue
        if lines and lines[-1][2] == level and at - half - lines[-1][1] < 1e-9:
            lines[-1] = (lines[-1][0], at + half, level)
        else:
            lines.append((at - half, at + half, level))
    return iter(lines)


def legend(
    figure: Figure, axes: Iterable[Axes], where: Literal["outside upper center", "outside lower center"]
) -> None:
    """Put one entry for each label of any panel outside of the panels, and make room for them; nothing without any."""
    handles: dict[str, Artist] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        names = [brief(name, 40) for name in handles]
        entry = 0.7 + 0.083 * max(map(len, names))  # inches, of letters of 10 points
        columns = min(len(handles), 4, max(1, int(figure.get_figwidth() / entry)))
        figure.set_figheight(figure.get_figheight() + 0.2 * (-(-len(handles) // columns) - 1))
        figure.legend(handles.values(), names, loc=where, ncols=columns)
