"""An audit as a picture: two models or their texts, pairs, a reward, concepts and the verdict, with its numbers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import east_asian_width

from fairl_bench.figures.letters import spelt
from fairl_bench.figures.shares import named_findings
from fairl_bench.figures.style import BAD, COLUMN, GOOD, MUTED, NARROW, SMALL, styled
from fairl_bench.material import Material
from fairl_bench.results.audited import Audited, audited
from fairl_bench.results.findings import BOTH_MODELS, each_group_once
from fairl_bench.science.concepts import Interval
from fairl_bench.values.findings import Findings, Outcome
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTER: Final = 0.0755  # inches, of a letter of `SMALL` points
_LINE: Final = 0.17  # inches, from one line to the next
_HEAD: Final = 0.21
_HEAD_LETTER: Final = 0.095  # inches, of a bold letter of 10 points
_PAD: Final = 0.1
_GAP: Final = 0.3  # inches between boxes, for an arrow
_EDGE: Final = 0.06  # inches around everything
_WIDTH: Final = 10.6  # inches
_COLOURS: Final[dict[Outcome, str]] = {
    "named": GOOD.colour,
    "nothing named": BAD.colour,
    "no difference shown": MUTED,
}
_SIGNS: Final[dict[Outcome, str]] = {"named": "✓", "nothing named": "?", "no difference shown": "="}


class Pipeline(ReportFigure):
    """How an audit comes to its verdict, with the numbers of this one."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One a model and replicate, as a row and as a column; none of many."""
        for name, of, found in named_findings(material, "pipeline"):
            steps, title = steps_of(found, audited(material, found)), f"How the audit came to its verdict{of}"
            yield Drawn(name, title, as_row(steps, found.outcome))
            yield Drawn(f"{name}{NARROW}", title, as_column(steps, found.outcome))


class Box(NamedTuple):
    """A box: its head, and what stands below it."""

    head: str
    lines: tuple[str, ...] = ()


Step = tuple[Box, ...]
"""The boxes of one step, beside or above one another; each leads to every box of the next step."""


def steps_of(found: Findings, sides: Audited) -> list[Step]:
    """The steps of an audit, the verdict last."""
    prompts = (Box("prompts", (f"{found.separable.prompts:,} held out",)),)
    models = (Box("base", (sides.base,)), Box("expert", (sides.expert,)))
    texts = (Box("preferred texts"), Box("rejected texts"))
    held_out = f"{found.separable.pairs:,} held out"
    pairs = f"{sides.pairs:,}, of which {held_out}" if sides.pairs > found.separable.pairs else held_out
    first: list[Step] = [prompts, models] if sides.by_models else [texts]
    return [*first, (Box("pairs", (pairs,)),), (_reward(found),), (_concepts(found),), (_verdict(found),)]


def _reward(found: Findings) -> Box:
    accuracy = found.separable.accuracy
    told = f"tells {_percent(accuracy.value)} of pairs apart {_ends(accuracy)}"
    knows = "knows both models" if found.given == BOTH_MODELS else f"knows {found.given or 'the pairs'}"
    return Box("reward", (found.method, knows, told))


def _concepts(found: Findings) -> Box:
    measured, asked = sum(one.verdict is not None for one in found.concepts), len(found.concepts)
    if found.outcome == "no difference shown":
        return Box("concepts", (f"{asked}, not read: no difference is shown",))
    explained = _percent(max(1 - found.unexplained.value, 0.0))
    n = f"{asked}" if measured == asked else f"{measured} of {asked}"
    return Box("concepts", (f"{n} judged; they explain {explained} of the reward",))


def _verdict(found: Findings) -> Box:
    sign = _SIGNS[found.outcome]
    if found.outcome == "named":
        first = each_group_once(found.named)[:3]
        return Box(f"{sign} named", tuple(f"{one.phrase()}: {_percent(one.share.value)}" for one in first))
    if found.outcome == "nothing named":
        return Box(f"{sign} nothing named", ("the two sides differ, but why is not shown",))
    return Box(f"{sign} no difference", (f"{_percent(found.separable.could_have_found)} would have been found",))


def _percent(share: float) -> str:
    return "n/a" if math.isnan(share) else f"{round(100 * share)}\N{NO-BREAK SPACE}%"


def _ends(interval: Interval) -> str:
    known = math.isfinite(interval.low) and math.isfinite(interval.high)
    return f"[{round(100 * interval.low)},\N{NO-BREAK SPACE}{round(100 * interval.high)}]" if known else ""


# --- drawing


class _Placed(NamedTuple):
    """A box in inches from the left and from the top; its lines begin ``aside`` of its left edge, 0: below its head."""

    box: Box
    left: float
    top: float
    width: float
    height: float
    aside: float = 0.0


@styled
def as_row(steps: Sequence[Step], outcome: Outcome) -> Figure:
    """The steps from the left to the right; the boxes of one step above one another."""
    left = _EDGE
    share = (_WIDTH - 2 * _EDGE - _GAP * (len(steps) - 1)) / sum(map(_weight, steps))
    placed: list[list[_Placed]] = []
    for step in steps:
        width, top, of_step = share * _weight(step), _EDGE, []
        for box in step:
            fitted = _fitted(box, width - 2 * _PAD)
            height = 2 * _PAD + _HEAD + _LINE * len(fitted.lines)
            of_step.append(_Placed(fitted, left, top, width, height))
            top += height + _GAP / 2
        placed.append(of_step)
        left += width + _GAP
    height = max(one.top + one.height for of_step in placed for one in of_step) + _EDGE
    middle = [[_moved(one, of_step, height) for one in of_step] for of_step in placed]
    return _drawn(middle, _WIDTH, height, outcome, across=True)


def _weight(step: Step) -> float:
    """How much of the width a step takes: as its letters ask for, within limits."""
    longest = max(max(map(len, (box.head, *box.lines))) for box in step)
    return min(max(longest, 9), 18)


def _moved(one: _Placed, of_step: Sequence[_Placed], height: float) -> _Placed:
    """A box moved down, so that its step stands in the middle of the height."""
    return one._replace(top=one.top + (height - _EDGE - (of_step[-1].top + of_step[-1].height)) / 2)


@styled
def as_column(steps: Sequence[Step], outcome: Outcome) -> Figure:
    """The steps from the top to the bottom; the boxes of one step beside one another."""
    top, placed = _EDGE, []
    heads = max(len(step[0].head) for step in steps if len(step) == 1)
    for step in steps:
        width = (COLUMN - 2 * _EDGE - _GAP / 2 * (len(step) - 1)) / len(step)
        letters = heads if len(step) == 1 else max(len(box.head) for box in step)
        aside = 2 * _PAD + _HEAD_LETTER * letters
        fitted = [_fitted(box, width - aside - _PAD) for box in step]
        height = max(2 * _PAD + max(_HEAD, _LINE * len(box.lines)) for box in fitted)
        lefts = [_EDGE + at * (width + _GAP / 2) for at in range(len(step))]
        placed.append([_Placed(box, left, top, width, height, aside) for box, left in zip(fitted, lefts, strict=True)])
        top += height + _GAP
    return _drawn(placed, COLUMN, top - _GAP + _EDGE, outcome, across=False)


def _fitted(box: Box, width: float) -> Box:
    """A box whose lines fit into so many inches."""
    lines = (part for line in box.lines for part in _wrapped(spelt(line), int(width / _LETTER)))
    return box._replace(lines=tuple(lines))


def _wrapped(line: str, most: int) -> list[str]:
    """A line in parts of so many letters; Chinese ones and their like are twice as wide as others."""
    wide = sum(east_asian_width(letter) in "WF" for letter in line)
    return textwrap.wrap(line, max(6, most * len(line) // max(1, len(line) + wide)), max_lines=3, placeholder="…")


def _drawn(
    placed: Sequence[Sequence[_Placed]], width: float, height: float, outcome: Outcome, *, across: bool
) -> Figure:
    """The boxes with arrows from each to all of the next step; the last has the look of the outcome."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.set_axis_off()
    axis.set_xlim(0, width)
    axis.set_ylim(height, 0)
    for before, after in pairwise(placed):
        for one in before:
            for other in after:
                _arrow(axis, one, other, across=across)
    for step in placed[:-1]:
        for one in step:
            _box(axis, one, MUTED, 1.0)
    (last,) = placed[-1]
    _box(axis, last, _COLOURS[outcome], 2.2)
    return figure


def _box(axis: Axes, one: _Placed, edge: str, line: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    round_corners = "round,pad=0,rounding_size=0.06"
    size = one.width, one.height
    box = FancyBboxPatch((one.left, one.top), *size, round_corners, facecolor="white", edgecolor=edge, linewidth=line)
    axis.add_patch(box)
    left, top = one.left + _PAD, one.top + _PAD
    axis.text(left, top, one.box.head, va="top", fontweight="bold")
    for at, text in enumerate(one.box.lines):
        below = 0.01 if one.aside else _HEAD
        axis.text(one.left + (one.aside or _PAD), top + below + at * _LINE, text, va="top", fontsize=SMALL)


def _arrow(axis: Axes, one: _Placed, other: _Placed, *, across: bool) -> None:
    if across:
        start = one.left + one.width, one.top + one.height / 2
        end = other.left, other.top + other.height / 2
    else:
        start = one.left + one.width / 2, one.top + one.height
        end = other.left + other.width / 2, other.top
    style = {"arrowstyle": "-|>", "color": MUTED, "linewidth": 1.0, "shrinkA": 1, "shrinkB": 1}
    axis.annotate("", end, start, arrowprops=style)
