"""How often audits are right, drawn: for each model what each auditor names first, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fairl_bench.figures.style import BAD, COLUMN, GOOD, MUTED, NARROW, SMALL, brief, canvas, styled, wrapped
from fairl_bench.material import Material
from fairl_bench.results.organisms import Answer, Audit
from fairl_bench.tables.organisms import OrganismsTable
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH: Final = 8.0  # inches
_NAMES: Final = 2.0  # of it for the names of the models
_LETTER: Final = 0.055  # of it for a letter of 7 points
_MOST: Final = 40  # models that are read at a glance, if barely


class _Cell(NamedTuple):
    """The look of an answer: each has a fill, an edge and a sign of its own."""

    fill: str
    edge: str
    text: str
    sign: str
    told: str


_CELLS: Final[Mapping[Answer, _Cell]] = {
    "right": _Cell(GOOD.colour, GOOD.colour, "white", "✓", "what was planted is named first"),
    "related": _Cell("#CFE3F1", GOOD.colour, "black", "~", "something that goes along with it"),
    "wrong": _Cell("white", BAD.colour, "black", "✗", "something else"),
    "none": _Cell("#F1F1F1", "#F1F1F1", MUTED, "–", "nothing is named"),
}


class Organisms(ReportFigure):
    """What each auditor names first of each model, and whether that is what was planted."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One a table of organisms, wide and narrow, where there are not very many models."""
        for part in material.report.values():
            if not isinstance(part, OrganismsTable):
                continue
            found = part.audits(material)
            if found and len(next(iter(found.values()))) <= _MOST:
                for name, width in (("organisms", _WIDTH), (f"organisms{NARROW}", COLUMN)):
                    yield Drawn(name, "What each auditor names first of each model", answers(found, width))


@styled
def answers(found: Mapping[str, Sequence[Audit]], width: float) -> Figure:
    """A row for each model, those with a planted reward on top, and a column for each auditor."""
    models = next(iter(found.values()))
    n, narrow = len(models), width <= COLUMN
    several = len({audit.found.replicate for audit in models}) > 1
    figure, (axis,) = canvas(1, 1, width, 1.5 + 0.27 * n)
    room = int((width - _NAMES) / len(found) / _LETTER) - len("✓  100 %")
    for column, each in enumerate(found.values()):
        for row, audit in enumerate(each):
            _draw(axis, column, row, audit, 0 if narrow else room)
    planted = sum(audit.expected is not None for audit in models)
    if 0 < planted < n:
        axis.axhline(planted - 0.5, color=MUTED, linewidth=0.8)
    names = [f"{one.found.model}, {one.found.replicate}" if several else one.found.model for one in models]
    axis.set_yticks(range(n), [brief(name, 18 if narrow else 32) for name in names])
    axis.set_xticks(range(len(found)), [_head(name, each, narrow=narrow) for name, each in found.items()])
    axis.xaxis.tick_top()
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.set_xlim(-0.5, len(found) - 0.5)
    axis.set_ylim(n - 0.5, -0.5)
    shown = [
        _CELLS[answer] for answer in _CELLS if any(one.answer == answer for each in found.values() for one in each)
    ]
    told = "; ".join(f"{cell.sign} {cell.told}" for cell in shown)
    below = "; below the line nothing was planted" if 0 < planted < n else ""
    figure.supxlabel(wrapped(f"{told}; with its share of the reward{below}", width), fontsize=SMALL)
    return figure


def _draw(axis: Axes, column: int, row: int, audit: Audit, room: int) -> None:
    """Draw one answer: its sign, the share of the concept, and its name in so many letters if there is room for any."""
    from matplotlib.patches import Rectangle

    cell, first = _CELLS[audit.answer], audit.first
    place = (column - 0.48, row - 0.42)
    axis.add_patch(Rectangle(place, 0.96, 0.84, facecolor=cell.fill, edgecolor=cell.edge, linewidth=1.2))
    said = cell.sign
    if first is not None:
        share = f"{round(100 * first.share.value)} %"
        said = f"{cell.sign} {brief(first.phrase(), room)} {share}" if room > 5 else f"{cell.sign} {share}"
    axis.text(column, row, said, ha="center", va="center", color=cell.text, fontsize=8)


def _head(auditor: str, each: Sequence[Audit], *, narrow: bool) -> str:
    """An auditor, and in how many of the models with a planted reward it is right."""
    planted = [audit for audit in each if audit.expected is not None]
    right = sum(audit.answer == "right" for audit in planted)
    words = auditor.split("-") if narrow else [auditor]
    name = "\n".join(brief(word, 10 if narrow else 24) for word in words)
    return f"{name}\n{right} of {len(planted)}" if planted else name
