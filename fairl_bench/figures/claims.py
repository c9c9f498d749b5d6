"""The claims of a suite drawn: what was gained, beside a gain of zero and the gain that the source reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from fairl_bench.figures.references import legend
from fairl_bench.figures.style import COLUMN, MUTED, NARROW, SMALL, Look, brief, canvas, look, styled, wrapped
from fairl_bench.material import Material
from fairl_bench.results.under_selections import apart_from_selection
from fairl_bench.values.coordinates import Setting
from fairl_bench.values.rows import differing, named, selection_of
from fairl_bench.values.verdicts import Verdict
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Line = tuple[str, Setting]  # the claim's name, and where it was judged
_MOST: Final = 40  # lines that are read at a glance, if barely
_WIDTH: Final = 8.0  # inches
_SIGNS: Final[Mapping[str, str]] = {"supported": "✓", "refuted": "✗", "equivalent": "=", "inconclusive": "?"}
_DEPENDS: Final = "≠"
_SHORT: Final[Mapping[str, str]] = {"depends on the selection": "depends"}


class Claims(ReportFigure):
    """The gain of each claim with its interval, and the verdict."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One, wide and narrow, where the suite makes claims, but not very many."""
        if 0 < len({_line(verdict) for verdict in material.verdicts}) <= _MOST:
            for name, width in (("claims", _WIDTH), (f"claims{NARROW}", COLUMN)):
                yield Drawn(name, "What was gained, claim by claim", forest(material.verdicts, width))


@styled
def forest(verdicts: Sequence[Verdict], width: float) -> Figure:
    """A line for each claim and setting, on it a mark for each selection; the verdict stands at its right."""
    lines: dict[_Line, list[Verdict]] = {}
    for verdict in verdicts:
        lines.setdefault(_line(verdict), []).append(verdict)
    selections = list(dict.fromkeys(selection_of(verdict.setting.variant) for verdict in verdicts))
    deepest, shown = max(map(len, lines.values())), differing(setting for _, setting in lines)
    figure, (axis,) = canvas(1, 1, width, 1.3 + len(lines) * (0.16 + 0.13 * max(2, deepest)))
    axis.axvline(0, color="#000000", linewidth=1, zorder=1)
    for at, of_line in enumerate(lines.values()):
        for index, verdict in enumerate(of_line):
            selection = selection_of(verdict.setting.variant)
            place = at + 0.7 / deepest * (index - (len(of_line) - 1) / 2)
            _gain(axis, place, verdict, look(selections.index(selection)), selection)
        _outcome(axis, at, of_line[0])
    for at, ((claim, *_), *_) in enumerate(lines.values()):
        if claim.effect is not None:
            _reported(axis, at, claim.effect)
    labels = [_label(of_line[0], shown, narrow=width <= COLUMN) for of_line in lines.values()]
    axis.set_yticks(range(len(lines)), labels)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    legend(figure, [axis], "outside upper center")
    told = "gain in the direction in which the claim's metric is better, with its 95 % interval; right: the verdict"
    figure.supxlabel(wrapped(told, width), fontsize=SMALL)
    return figure


def _line(verdict: Verdict) -> _Line:
    return verdict.claim.id, apart_from_selection(verdict.setting)


def _label(verdict: Verdict, shown: Sequence[str], *, narrow: bool) -> str:
    """A claim, below it where there is room whom it compares, and where there are several places this one."""
    claim, place = verdict.claim, named(apart_from_selection(verdict.setting), shown)
    compared = () if narrow else (f"{claim.better} over {verdict.effect.than}",)
    return "\n".join(brief(text, 18 if narrow else 44) for text in (claim.id, *compared, " ".join(place)) if text)


def _gain(axis: Axes, at: float, verdict: Verdict, style: Look, selection: str) -> None:
    """Draw a gain with its interval."""
    effect = verdict.effect
    if math.isfinite(effect.low) and math.isfinite(effect.high):
        axis.plot([effect.low, effect.high], [at, at], color=style.colour, solid_capstyle="butt")
    if math.isfinite(effect.gain):
        (mark,) = axis.plot(effect.gain, at, style.marker, color=style.colour, linestyle="none")
        if selection:
            mark.set_label(selection)


def _reported(axis: Axes, at: int, gain: float) -> None:
    """Draw the gain that the source reports."""
    label = "what the source reports"
    axis.plot(gain, at, "d", color=MUTED, markerfacecolor="none", linestyle="none", zorder=1.5, label=label)


def _outcome(axis: Axes, at: int, verdict: Verdict) -> None:
    """Write a verdict at the right of its line, with a sign that tells it without colour."""
    sign, word = _SIGNS.get(verdict.verdict, _DEPENDS), _SHORT.get(verdict.verdict, verdict.verdict)
    weight = "bold" if verdict.verdict in ("supported", "refuted") else "normal"
    across = axis.get_yaxis_transform()
    axis.text(1.02, at, f"{sign} {word}", transform=across, va="center", fontweight=weight)
