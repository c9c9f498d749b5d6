"""How a reward goes with each concept: a small panel a concept, of the mean reward of texts that have more of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairl_bench.figures.style import GOOD, MUTED, SMALL, brief, canvas, grid, styled
from fairl_bench.figures.variants import has_variants, in_file_name
from fairl_bench.material import Material
from fairl_bench.tables.attribution import AttributionTable
from fairl_bench.values.contents import CONCEPT, DOSE_RESPONSE, SHARE
from fairl_bench.values.coordinates import Coordinates, Row
from fairl_bench.values.evidence import CellEvidence
from fairl_bench.values.references import labelled
from fairl_bench.values.rows import shown_axes
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Group = Mapping[str, Any]
_TICKS = 3  # groups that are named below a panel, at most: of four, neighbours would touch


class DoseResponses(ReportFigure):
    """The mean reward by quantile of each concept, of each reward that the suite's attributions are shown of."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each reward and data set, of its first replicate and seed; none where a suite has several points."""
        kept = [] if has_variants(material) else material.evidence("attribution", DOSE_RESPONSE)
        first: dict[Row, CellEvidence] = {}
        for evidence in kept:
            first.setdefault(evidence.cell.row, evidence)
        shown = shown_axes(first)
        for data in dict.fromkeys(name for one in first.values() for name in one.rows["data"].to_pylist()):
            for row in _wanted(material, data, list(first)):
                concepts = _concepts(first[row], data)
                if concepts:
                    name = " ".join(labelled(row, shown, material.run.methods))
                    file = in_file_name("-".join(("dose-response", data, *_named(row, shown))))
                    figure = dose_response(concepts, _shares(material, first[row].cell, data))
                    yield Drawn(file, f"Reward by how much of each concept a text has: {name}, {data}", figure)


def _named(row: Row, shown: Sequence[str]) -> list[str]:
    return [str(getattr(row, axis)) for axis in shown]


def _wanted(material: Material, data: str, rows: Sequence[Row]) -> list[Row]:
    """The rows whose rewards the report explains on some data; all of them where it does not say."""
    asked = [part for part in material.report.values() if isinstance(part, AttributionTable) and data in part.data]
    methods = {method for part in asked for method in part.methods}
    return [row for row in rows if not methods or row.method in methods]


def _concepts(evidence: CellEvidence, data: str) -> dict[str, list[_Group]]:
    """The groups of each concept, from those with the least of it."""
    concepts: dict[str, list[_Group]] = {}
    for group in evidence.rows.to_pylist():
        if group["data"] == data:
            concepts.setdefault(group["concept"], []).append(group)
    return concepts


def _shares(material: Material, cell: Coordinates, data: str) -> dict[str, float]:
    """The share of the reward of one run that each concept explains."""
    return {
        record.truth.removeprefix(CONCEPT): record.value
        for record in material.records
        if record.metric == SHARE and record.data == data and record.cell == cell.cell
    }


@styled
def dose_response(concepts: Mapping[str, Sequence[_Group]], shares: Mapping[str, float]) -> Figure:
    """A panel a concept, those with the greatest share of the reward first: points at means, with a 95 % band.

    All have one vertical axis.  Groups stand side by side, and below some of them their mean of the concept.
    """

    def size(name: str) -> float:
        share = shares.get(name, math.nan)
        return -math.inf if math.isnan(share) else share

    order = sorted(concepts, key=lambda name: (-size(name), name))
    down, across = grid(len(order), 4)
    figure, axes = canvas(down, across, max(5.0, 2.5 * across), 0.7 + 1.75 * down, sharey=True)
    for axis, name in zip(axes, order, strict=False):
        _draw(axis, concepts[name])
        share = "" if math.isinf(size(name)) else f"\n{round(100 * size(name))} % of the reward"
        axis.set_title(f"{brief(name)}{share}")
    for axis in axes[len(order) :]:
        axis.set_axis_off()
    figure.supxlabel("groups of texts, from little of the concept to much; its mean in a group", fontsize=SMALL)
    figure.supylabel("mean reward within prompts, sd", fontsize=SMALL)
    return figure


def _draw(axis: Axes, groups: Sequence[_Group]) -> None:
    """Draw the means of one concept with their band; a group whose interval is not known has an open point."""
    x, mean = range(len(groups)), [group["reward"] for group in groups]
    known = [math.isfinite(group["low"]) for group in groups]
    axis.axhline(0, color=MUTED, linewidth=0.8)
    low, high = ([group[name] for group in groups] for name in ("low", "high"))
    axis.fill_between(x, low, high, color=GOOD.colour, alpha=0.2, linewidth=0)
    axis.plot(x, mean, color=GOOD.colour, linestyle=GOOD.line)
    for at, is_known in enumerate(known):
        axis.plot(at, mean[at], GOOD.marker, color=GOOD.colour, markerfacecolor=GOOD.colour if is_known else "white")
        if is_known:  # a band alone does not show a single group
            axis.plot([at, at], [low[at], high[at]], color=GOOD.colour, linewidth=0.7)
    few = min(len(groups), _TICKS)
    ticks = [round(at * (len(groups) - 1) / max(few - 1, 1)) for at in range(few)]
    axis.set_xticks(ticks, [_short(groups[at]["mean"]) for at in ticks])


def _short(value: float) -> str:
    """A number below an axis.

    >>> [_short(value) for value in (0.0, 0.0123, 3.14159, 31.4159, -1234.5)]
    ['0', '0.012', '3.1', '31', '-1234']
    """
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
