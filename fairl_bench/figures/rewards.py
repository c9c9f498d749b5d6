"""Figures of rewards: their distribution by class, and how well a small margin tells a misranked pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairl_bench.figures.style import BAD, GOOD, MUTED, SMALL, brief, canvas, grid, look, styled, title_lines
from fairl_bench.figures.variants import has_variants, in_file_name
from fairl_bench.material import Material
from fairl_bench.science.agreement import standardised
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import GOLD, Floats, Scored
from fairl_bench.values.references import NOTHING_KNOWN, Methods, references_of, with_given
from fairl_bench.values.sheets import Sheet
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 10  # of the reliability of margins: tenths of the pairs
_EDGES = np.linspace(-4, 4, 41)


class Distributions(ReportFigure):
    """Rewards of good and of bad texts, by data set."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each data set but the training pairs; none where the suite is run at several points."""
        for data in sorted(material.data):
            if data == "pairs/train" or has_variants(material):
                continue
            figure = distributions(material.sheets([data]), material.truth_of, material.run.methods)
            if figure is not None:
                title = f"Rewards of good and bad texts by {material.truth_of(data)!r}: {data}"
                yield Drawn(f"rewards-{in_file_name(data)}", title, figure)


class Reliability(ReportFigure):
    """The share of misranked pairs by the size of their margin."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One of the test pairs, where the report names them; none where the suite is run at several points."""
        test = material.sheets(["pairs/test"]) if "pairs/test" in material.data and not has_variants(material) else ()
        if (figure := reliability(test, material.run.methods)) is not None:
            yield Drawn("reliability", "How well a small margin tells a misranked pair: pairs/test", figure)


class Subtypes(ReportFigure):
    """The frequency of each subtype."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One of the first replicate of each model; none where the suite is run at several points."""
        sheets = () if has_variants(material) else material.sheets(material.data)
        if (figure := subtypes(_first_replicates(sheets))) is not None:
            yield Drawn("subtypes", "How often each subtype occurs", figure)


def _first_replicates(sheets: Sequence[Sheet]) -> list[Sheet]:
    """The first replicate of each model and data set."""
    first: dict[tuple[str, str], Sheet] = {}
    for sheet in sheets:
        first.setdefault((sheet.model, sheet.data), sheet)
    return list(first.values())


@styled
def distributions(
    sheets: Sequence[Sheet], truth_of: Callable[[str], str], methods: Methods = NOTHING_KNOWN
) -> Figure | None:
    """One panel a method: rewards of good and of bad texts, each run standardised, runs pooled.

    ``sheets`` are of one data set.  None where its truth has not both classes.
    """
    pooled: dict[_Series, tuple[list[Floats], list[Floats]]] = {}
    for sheet in sheets:
        truth = sheet.examples.truths.get(truth_of(sheet.data))
        if truth is None or not ((truth.label > 0).any() and (truth.label < 0).any()):
            continue
        for run, reward in sheet.rewards.items():
            good, bad = pooled.setdefault(_series(run, sheets), ([], []))
            z = standardised(reward)
            good.append(z[truth.label > 0])
            bad.append(z[truth.label < 0])
    if not pooled:
        return None
    rows, columns = grid(len(pooled))
    size = (1.0 + 1.9 * columns, 0.7 + 1.5 * rows)
    figure, axes = canvas(rows, columns, *size, sharex=True)
    for axis, (series, (good, bad)) in zip(axes, pooled.items(), strict=False):
        _classes(axis, np.concatenate(good), np.concatenate(bad))
        _titled(axis, series, methods)
    for axis in axes[len(pooled) :]:
        axis.set_axis_off()
    figure.supxlabel("reward, standardised run by run", fontsize=SMALL)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _classes(axis: Axes, good: Floats, bad: Floats) -> None:
    """Draw the distributions of the rewards of good and of bad texts."""
    for values, style, label in ((good, GOOD, "good"), (bad, BAD, "bad")):
        height, _ = np.histogram(np.clip(values, -4, 4), _EDGES, density=True)
        axis.stairs(height, _EDGES, color=style.colour, linestyle=style.line, label=label)
        axis.stairs(height, _EDGES, color=style.colour, alpha=0.15, fill=True)
    axis.set_yticks([])
    axis.grid(visible=False)


@styled
def reliability(sheets: Sequence[Sheet], methods: Methods = NOTHING_KNOWN) -> Figure | None:
    """The share of pairs that the reward misranks by ``gold``, in tenths from the smallest margin to the largest.

    Mean over runs.  The margin is what a detector sees without labels: where the curve falls it knows its failures.
    None where no pair has a right order.
    """
    curves_of: dict[_Series, list[Floats]] = {}
    for sheet in sheets:
        for run, reward in sheet.rewards.items():
            if (curve := misranked_by_margin(sheet, reward)) is not None:
                curves_of.setdefault(_series(run, sheets), []).append(curve)
    if not curves_of:
        return None
    rows, columns = grid(len(curves_of))
    figure, axes = canvas(rows, columns, 1.0 + 1.9 * columns, 0.7 + 1.5 * rows, sharex=True, sharey=True)
    x = (np.arange(BINS) + 0.5) / BINS * 100
    for axis, (series, curves) in zip(axes, curves_of.items(), strict=False):
        stacked = 100 * np.stack(curves)
        axis.plot(x, stacked.mean(0), marker=GOOD.marker, color=GOOD.colour)
        axis.fill_between(x, stacked.min(0), stacked.max(0), color=GOOD.colour, alpha=0.15, linewidth=0)
        axis.axhline(stacked.mean(), color=MUTED, linestyle=":", linewidth=1)
        _titled(axis, series, methods)
        axis.set_ylim(-3, 103)
    for axis in axes[len(curves_of) :]:
        axis.set_axis_off()
    figure.supxlabel("pairs by margin, smallest first, %; dotted: over all pairs", fontsize=SMALL)
    figure.supylabel("misranked, %", fontsize=SMALL)
    return figure


def misranked_by_margin(sheet: Sheet, reward: Floats) -> Floats | None:
    """The share of misranked pairs ``[10]`` in each tenth by margin, smallest first; None below ten pairs.

    Misranked: the reward orders the two texts otherwise than the value of ``gold`` does.
    """
    truth = sheet.examples.truths.get(GOLD)
    pairs = sheet.examples.pair_rows()
    if truth is None or not len(pairs):
        return None
    right = truth.value[pairs[:, 0]] - truth.value[pairs[:, 1]]
    ordered = np.isfinite(right) & (right != 0)
    if ordered.sum() < BINS:
        return None
    margin = Scored(sheet.examples, reward).margins()[ordered]
    wrong: NDArray[np.bool_] = margin * right[ordered] <= 0
    order = np.argsort(margin, kind="stable")
    return np.array([wrong[part].mean() for part in np.array_split(order, BINS)])


@styled
def subtypes(sheets: Sequence[Sheet]) -> Figure | None:
    """The texts of each subtype, by model and data set, in percent of the texts whose subtype is known."""
    shares_of = _subtype_shares(sheets)
    names = list(dict.fromkeys(name for shares in shares_of.values() for name in shares))
    if not names:
        return None
    figure, (axis,) = canvas(1, 1, 6.4, 1.0 + 0.22 * len(names) * len(shares_of))
    thick = 0.8 / len(shares_of)
    for index, (label, shares) in enumerate(shares_of.items()):
        at = [i + (index - (len(shares_of) - 1) / 2) * thick for i in range(len(names))]
        widths = [shares.get(name, 0.0) for name in names]
        bars = axis.barh(at, widths, thick * 0.92, color=look(index).colour, label=label)
        axis.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axis.invert_yaxis()
    axis.margins(x=0.08)
    axis.set_xlabel("texts of the subtype, %")
    axis.grid(visible=False, axis="y")
    if len(shares_of) > 1:
        figure.legend(loc="outside lower center", ncols=min(3, len(shares_of)))
    else:
        axis.set_title(next(iter(shares_of)))
    return figure


def _subtype_shares(sheets: Sequence[Sheet]) -> dict[str, dict[str, float]]:
    """The share of each subtype in percent, by the label of each model and data set that knows some."""
    one_model = len({sheet.model for sheet in sheets}) == 1
    shares_of: dict[str, dict[str, float]] = {}
    for sheet in sheets:
        labels = {name: t.label for name, t in sheet.examples.truths.items() if name.startswith("subtype:")}
        name_of_data = brief(sheet.data if one_model else f"{sheet.model} {sheet.data}")
        if labels and name_of_data not in shares_of:
            shares_of[name_of_data] = {
                name.removeprefix("subtype:"): 100 * float((label[label != 0] > 0).mean())
                for name, label in labels.items()
                if (label != 0).any()
            }
    return shares_of


class _Series(NamedTuple):
    """The runs of one panel: those of a method, with its encoder where there are several."""

    method: str
    encoder: str


def _series(run: Run, sheets: Sequence[Sheet]) -> _Series:
    """The panel that a run belongs to."""
    several = len({other.encoder for sheet in sheets for other in sheet.rewards}) > 1
    return _Series(run.method, run.encoder if several else "")


def _titled(axis: Axes, series: _Series, methods: Methods) -> None:
    """Name a panel, with what its method was given; a reference row in grey italics."""
    name = title_lines(" ".join(filter(None, (series.encoder, with_given(series.method, methods)))))
    if series.method in references_of(methods):
        axis.set_title(name, color=MUTED, fontstyle="italic")
    else:
        axis.set_title(name)
