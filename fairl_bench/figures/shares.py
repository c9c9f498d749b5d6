"""What an audit found, drawn: the share of each concept with its interval, or that the two sides are not told apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from fairl_bench.figures.style import BAD, COLUMN, GOOD, MUTED, NARROW, SMALL, brief, canvas, styled, wrapped
from fairl_bench.figures.variants import in_file_name
from fairl_bench.material import Material
from fairl_bench.results.findings import each_group_once, stands_in
from fairl_bench.results.share_texts import percent_end
from fairl_bench.results.summary import FEW_FINDINGS
from fairl_bench.science.concepts import Interval
from fairl_bench.science.detectable import NAMED_FROM
from fairl_bench.values.findings import ConceptFinding, Findings
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 8.0  # inches
_GREY: Final = "#9C9C9C"
_LEAST, _GREATEST = -0.35, 1.05  # the most that is shown: a share is 0 to 1, and noise may carry it a little beyond


class _Bar(NamedTuple):
    """The look of a bar: each verdict has a fill, an edge, a sign and a word of its own."""

    fill: str
    edge: str
    across: str  # the colour of an interval that runs across it
    sign: str
    word: str


_BARS: Final = {
    "named": _Bar(GOOD.colour, GOOD.colour, "white", "✓", "named"),
    "cannot tell": _Bar("white", BAD.colour, "black", "?", "cannot tell"),
    "ruled out": _Bar(_GREY, _GREY, "white", "–", "ruled out"),
}
_REST: Final = _Bar("#E3E3E3", MUTED, "black", "", "")


class Shares(ReportFigure):
    """What share of the reward each concept explains, with intervals, verdicts and the unexplained rest."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One a model and replicate in which a difference is shown, wide and narrow; none of many."""
        for name, of, found in named_findings(material, "shares"):
            if found.separable.shown and not math.isnan(found.unexplained.value):
                for end, width in (("", _WIDTH), (NARROW, COLUMN)):
                    yield Drawn(
                        f"{name}{end}", f"What share of the reward each concept explains{of}", shares(found, width)
                    )


class Separable(ReportFigure):
    """How well the two sides are told apart, where that is no better than a coin toss may be."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One a model and replicate in which no difference is shown, wide and narrow; none of many."""
        for name, of, found in named_findings(material, "separable"):
            if not found.separable.shown and not math.isnan(found.separable.accuracy.value):
                for end, width in (("", _WIDTH), (NARROW, COLUMN)):
                    yield Drawn(f"{name}{end}", f"How well the two sides are told apart{of}", separable(found, width))


def named_findings(material: Material, name: str) -> Iterator[tuple[str, str, Findings]]:
    """The findings to draw, each with the name of its figure and the end of its title; none of many."""
    findings = material.findings
    if len(findings) == 1:
        yield name, "", findings[0]
    elif len(findings) <= FEW_FINDINGS:
        for found in findings:
            place = in_file_name(f"{name}-{found.model}-r{found.replicate}")
            yield place, f": {found.model}, replicate {found.replicate}", found


@styled
def shares(found: Findings, width: float) -> Figure:
    """A bar for each concept, the named ones on top, and one for what none explains."""
    measured = each_group_once(one for one in found.concepts if one.verdict is not None)
    n = len(measured) + 1
    figure, (axis,) = canvas(1, 1, width, 1.0 + 0.27 * n)
    axis.axvline(0, color="#000000", linewidth=1, zorder=1.5)
    axis.axvline(NAMED_FROM, color=MUTED, linewidth=0.8, linestyle=":", zorder=1.5)
    narrow = width <= COLUMN
    for at, one in enumerate(measured):
        bar = _BARS[str(one.verdict)]
        _draw_bar(axis, at, one.share, bar)
        if stands_in(one):
            axis.plot(one.alone.value, at, "d", color="black", markerfacecolor="white", zorder=4)
        _beside(axis, at, f"{bar.sign} {bar.word}", one.share, narrow=narrow, bold=one.verdict == "named")
    _draw_bar(axis, n - 1, found.unexplained, _REST)
    _beside(axis, n - 1, "", found.unexplained, narrow=narrow)
    axis.axhline(n - 1.5, color=MUTED, linewidth=0.8)
    labels = [_label(one, 18 if narrow else 36) for one in measured]
    axis.set_yticks(range(n), [*labels, "unexplained"])
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False, axis="y")
    axis.set_ylim(n - 0.5, -0.5)
    alone = [Interval(one.alone.value) for one in measured if stands_in(one)]
    axis.set_xlim(*_ends([*(one.share for one in measured), found.unexplained, *alone]))
    axis.xaxis.set_major_formatter(lambda share, _: f"{round(100 * share)} %")
    figure.supxlabel(wrapped(_told(found), width), fontsize=SMALL)
    return figure


def _told(found: Findings) -> str:
    alone = "; diamond: what a concept would explain alone that others explain better"
    return (
        f"share of the variance within prompts of the reward of {found.method}; lines: 95 % intervals, of all concepts "
        f"at once; dotted: {round(100 * NAMED_FROM)} %, above which a whole interval names a concept"
        f"{alone if any(map(stands_in, found.concepts)) else ''}"
    )


def _label(one: ConceptFinding, most: int) -> str:
    """A concept, with its direction where it is named."""
    return brief(one.phrase() if one.verdict == "named" else one.called(), most)


def _draw_bar(axis: Axes, at: int, share: Interval, bar: _Bar) -> None:
    """Draw a share from zero on, and its interval."""
    axis.barh(at, share.value, height=0.62, color=bar.fill, edgecolor=bar.edge, linewidth=1.2, zorder=2)
    if math.isfinite(share.low) and math.isfinite(share.high):
        line: dict[str, Any] = {"solid_capstyle": "butt", "zorder": 3}
        axis.plot([share.low, share.high], [at, at], color="black", **line)
        inside = np.clip([share.low, share.high], min(0.0, share.value), max(0.0, share.value))
        axis.plot(inside, [at, at], color=bar.across, **line)


def _beside(axis: Axes, at: int, verdict: str, share: Interval, *, narrow: bool, bold: bool = False) -> None:
    """Write the verdict and the share at the right of a bar."""
    ends = f" [{percent_end(share.low)}, {percent_end(share.high)}]" if math.isfinite(share.low) else ""
    percent = f"{round(100 * share.value)} %{'' if narrow else ends}"
    weight, size, across = "bold" if bold else "normal", SMALL if narrow else 10, axis.get_yaxis_transform()
    for points, text in ((6, verdict), (74 if narrow else 93, percent)):
        place: dict[str, Any] = {"xytext": (points, 0), "textcoords": "offset points", "xycoords": across}
        axis.annotate(text, (1, at), va="center", fontweight=weight, fontsize=size, annotation_clip=False, **place)


def _ends(every: Sequence[Interval]) -> tuple[float, float]:
    """The ends of the axis: those of all bars and intervals, within what a share can be."""
    known = [number for share in every for number in share if math.isfinite(number)]
    low, high = max(min([*known, 0.0]), _LEAST), min(max([*known, NAMED_FROM]), _GREATEST)
    room = 0.04 * (high - low)
    return low - room, high + room


@styled
def separable(found: Findings, width: float) -> Figure:
    """The pair accuracy with its interval, between a coin toss and what would have been found four times in five."""
    accuracy, could = found.separable.accuracy, found.separable.could_have_found
    figure, (axis,) = canvas(1, 1, width, 1.5)
    axis.axvline(0.5, color="#000000", linewidth=1)
    axis.plot([accuracy.low, accuracy.high], [0, 0], color=GOOD.colour, linewidth=2, solid_capstyle="butt")
    axis.plot(accuracy.value, 0, "o", color=GOOD.colour, markersize=7)
    axis.text(0.5, 0.62, " ½, a coin toss", va="center", fontsize=SMALL)
    if math.isfinite(could):
        axis.plot(could, 0, "d", color=MUTED, markerfacecolor="white", markersize=7)
        axis.annotate(
            "would have been found\nfour times in five", (could, -0.15), va="top", ha="center", fontsize=SMALL
        )
    known = [number for number in (*accuracy, could) if math.isfinite(number)]
    axis.set_xlim(min(0.42, *known) - 0.02, max(0.62, *known) + 0.08)
    axis.set_ylim(-1, 0.9)
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    axis.xaxis.set_major_formatter(lambda share, _: f"{round(100 * share)} %")
    told = f"pair accuracy of {found.method} on {found.separable.pairs:,} held-out pairs, with its 95 % interval"
    figure.supxlabel(wrapped(told, width), fontsize=SMALL)
    return figure
