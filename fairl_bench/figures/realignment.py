"""Re-alignment drawn: toxicity over steps and against KL, and the proxy against the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from fairl_bench.figures.lines import Looks, beside, dark, line, titled
from fairl_bench.figures.references import Level, Spot, draw_references, legend
from fairl_bench.figures.style import MUTED, SMALL, Look, brief, canvas, grid, styled, title_lines
from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.results.places import compared_pairs, places_by_group
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.coordinates import Group, Row, Setting
from fairl_bench.values.data import GOLD, Floats
from fairl_bench.values.realigned import DATA, budget, placed
from fairl_bench.values.records import Record
from fairl_bench.values.references import NOTHING_KNOWN, Methods
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEP: Final = "step:"


class _Path(NamedTuple):
    """One run of one row, look by look."""

    step: Floats
    kl: Floats
    toxicity: Floats
    proxy: Floats
    true: Floats


def _rows(material: Material) -> list[Row]:
    """The rows of the suite in its order, and others that are on record."""
    return list(dict.fromkeys((*material.rows, *(record.row for record in material.records))))


class OverSteps(ReportFigure):
    """Toxicity over the steps of the re-alignment, as the paper's Figure 3."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One, where anything was aligned again."""
        if (figure := over_steps(material.records, _rows(material), material.run.methods)) is not None:
            yield Drawn("realignment-steps", "Toxicity over the steps of the re-alignment", figure)


class AgainstKL(ReportFigure):
    """Toxicity against KL from the base, with the interval of each row at each budget."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One, where anything was aligned again."""
        figure = against_kl(
            material.records, _rows(material), material.comparisons, material.metrics, material.run.methods
        )
        if figure is not None:
            yield Drawn("realignment-kl", "Toxicity against KL from the base", figure)


class ProxyAgainstTruth(ReportFigure):
    """The reward of the alignment against the true one."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One, where anything was aligned again."""
        if (figure := proxy_against_truth(material.records, _rows(material), material.run.methods)) is not None:
            yield Drawn("realignment-proxy", "The reward of the alignment against the true one", figure)


def paths_of(records: Sequence[Record], rows: Sequence[Row]) -> dict[Row, list[_Path]]:
    """The runs of each row, in the order of the rows."""
    runs_of: dict[Row, dict[tuple[int, int | None], dict[int, dict[str, float]]]] = {}
    for row in records:
        if row.dataset == DATA and row.slice.startswith(_STEP) and row.truth in ("", GOLD) and not row.other:
            run = runs_of.setdefault(row.row, {}).setdefault((row.replicate, row.seed), {})
            run.setdefault(int(row.slice.removeprefix(_STEP)), {})[row.metric] = row.value
    return {row: [_path(run) for run in runs_of[row].values()] for row in rows if row in runs_of}


def _path(run: Mapping[int, Mapping[str, float]]) -> _Path:
    """The path of a run from its numbers by step."""
    steps = sorted(run)
    names = ("kl_k3", "toxicity_rate", "proxy_reward", "true_reward")
    columns = (np.array([run[step].get(name, math.nan) for step in steps]) for name in names)
    return _Path(np.array(steps, np.float64), *columns)


def _of(paths: Mapping[Row, list[_Path]], model: str) -> list[tuple[Row, list[_Path]]]:
    """The rows of a model with their paths."""
    return [(row, runs) for row, runs in paths.items() if row.model == model]


@styled
def over_steps(records: Sequence[Record], rows: Sequence[Row], methods: Methods = NOTHING_KNOWN) -> Figure | None:
    """Toxicity rate over the steps of the alignment, mean and band from least to most of the runs (paper, Figure 3).

    One panel a model; None where nothing was aligned again.
    """
    paths = paths_of(records, rows)
    if not paths:
        return None
    models, looks = list(dict.fromkeys(row.model for row in paths)), Looks(rows, methods)
    labels = looks.labels(paths)
    figure, axes = canvas(1, len(models), 1.0 + 5.4 * len(models), 3.6, sharey=True)
    for axis, model in zip(axes, models, strict=True):
        ends = []
        for row, runs in _of(paths, model):
            x = runs[0].step
            heights = [run.toxicity for run in runs if len(run.step) == len(x)]
            ends.append(line(axis, x.tolist(), list(zip(*heights, strict=True)), looks, row, labels[row]))
        axis.set(xlabel="steps of the alignment", ylabel="toxicity rate" if axis is axes[0] else "")
        axis.set_ylim(0)
        titled(axis, model, models)
        beside(axis, ends)
    several = any(len(runs) > 1 for runs in paths.values())
    figure.supxlabel("line: mean; band: least to most of the runs" if several else "one run each", fontsize=SMALL)
    return figure


# --- against KL

_Interval = tuple[float, float, float]  # the mean, and the ends of its interval; NaN where it is not known


@styled
def against_kl(
    records: Sequence[Record],
    rows: Sequence[Row],
    comparisons: Sequence[Comparison],
    metrics: Metrics,
    methods: Methods = NOTHING_KNOWN,
) -> Figure | None:
    """Toxicity rate against KL: every look of every run, the mean path, and at each budget the interval of each row.

    One line of panels a model; None where nothing was aligned again.
    """
    paths = paths_of(records, rows)
    if not paths:
        return None
    models = list(dict.fromkeys(row.model for row in paths))
    cuts = sorted({row.slice for row in records if row.dataset == DATA and row.slice.startswith("kl:")}, key=budget)
    height = max(3.2, 0.9 + 0.26 * max(len(_of(paths, model)) for model in models))
    widths = [3.0, *([1.35] * len(cuts))]
    looks = Looks(rows, methods)
    names = looks.labels(paths)
    beyond = max(0, min(36, max(map(len, names.values()))) - 20)  # letters of labels for which there is no room
    size = (2.0 + 1.3 * sum(widths) + 0.07 * beyond, height * len(models))
    figure, axes = canvas(len(models), len(widths), *size, gridspec_kw={"width_ratios": widths})
    for at, model in enumerate(models):
        curves, *at_budgets = axes[at * len(widths) : (at + 1) * len(widths)]
        paths_of_model = _of(paths, model)
        _curves(curves, paths_of_model, looks)
        _budgets(curves, cuts)
        titled(curves, model, models)
        _at_budgets(at_budgets, paths_of_model, looks, names, cuts, records, comparisons, metrics)
    legend(figure, axes, "outside upper center")
    figure.supxlabel(
        "left: a small mark a look of a run, the line their mean, dotted the budgets; right: toxicity rate there with "
        "its 95 % interval,\nfilled: the best, or not distinguishable from it"
        + "; grey lines: reference rows"
        * bool(looks.references),
        fontsize=SMALL,
    )
    return figure


def _curves(axis: Axes, paths: Sequence[tuple[Row, list[_Path]]], looks: Looks) -> None:
    """Draw every look of every run, and the mean path of each row; of a reference row its mean path alone."""
    for row, runs in paths:
        style = looks.of(row)
        for run in () if looks.is_reference(row) else runs:
            axis.plot(run.kl, run.toxicity, style.marker, color=style.colour, markersize=2.5, alpha=0.45)
        same = [run for run in runs if len(run.step) == len(runs[0].step)]
        mean = [np.mean([getattr(run, name) for run in same], 0) for name in ("kl", "toxicity")]
        axis.plot(*mean, **looks.drawn(row), markersize=3.5)
    axis.set(xlabel="KL from the base, nats a completion (k3)", ylabel="toxicity rate")
    axis.set_xlim(0)
    axis.set_ylim(0)


def _budgets(axis: Axes, cuts: Sequence[str]) -> None:
    """Draw a dotted line at each budget, with its number above."""
    for cut in cuts:
        axis.axvline(budget(cut), color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
        axis.annotate(
            f"{budget(cut):g}", (budget(cut), 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom",
            fontsize=8, color=MUTED,
        )  # fmt: skip


def _at_budgets(
    axes: Sequence[Axes],
    paths: Sequence[tuple[Row, list[_Path]]],
    looks: Looks,
    labels: Mapping[Row, str],
    cuts: Sequence[str],
    records: Sequence[Record],
    comparisons: Sequence[Comparison],
    metrics: Metrics,
) -> None:
    """Draw a panel for each budget, all on one scale; the first names the rows; references are lines."""
    every = [row for row, _ in paths]
    ranked = [row for row in every if not looks.is_reference(row)]
    rows_here, references = (ranked, [row for row in every if row not in ranked]) if ranked else (every, [])
    spots = [Spot(at, 0.5, row.setting) for at, row in enumerate(rows_here)]
    intervals = {cut: {row: _interval(records, comparisons, row, cut) for row in every} for cut in cuts}
    numbers = [
        value for by_row in intervals.values() for interval in by_row.values() for value in interval if value == value
    ]
    for cut, axis in zip(cuts, axes, strict=True):
        here = {row: intervals[cut][row] for row in rows_here}
        means = {row: mean for row, (mean, _, _) in here.items()}
        levels: dict[str, dict[Setting, Level]] = {looks.name(method): {} for method in looks.references}
        for row in references:
            levels[looks.name(row.method)][row.setting] = Level(*intervals[cut][row])
        draw_references(axis, spots, levels)
        _at(axis, here, looks, first_places(means, comparisons, cut, metrics))
        axis.set_title(f"at KL {budget(cut):g}")
        axis.set_xlabel("toxicity rate")
        axis.set_yticks(range(len(rows_here)), [brief(labels[row], 36) for row in rows_here] if cut == cuts[0] else [])
        if numbers:
            margin = 0.06 * (max(numbers) - min(numbers) or 1.0)
            axis.set_xlim(min(numbers) - margin, max(numbers) + margin)
    for axis in axes[:1]:
        for tick, row in zip(axis.get_yticklabels(), rows_here, strict=True):
            tick.set_color(dark(looks.of(row)))


def _interval(records: Iterable[Record], comparisons: Iterable[Comparison], row: Row, cut: str) -> _Interval:
    """The mean toxicity rate of a row at a budget, and the ends of its interval."""
    place = (cut, GOLD, "toxicity_rate")
    values = [
        record.value
        for record in records
        if record.dataset == DATA
        and not record.other
        and record.row == row
        and (record.slice, record.truth, record.metric) == place
    ]
    mean = float(np.mean(values)) if values else math.nan
    group = Group.of(row.setting, placed(cut), GOLD, "toxicity_rate")
    for comparison in comparisons:
        if not comparison.other and (comparison.group, comparison.method) == (group, row.method):
            return mean, comparison.low, comparison.high
    return mean, math.nan, math.nan


def first_places(
    means: Mapping[Row, float], comparisons: Sequence[Comparison], cut: str, metrics: Metrics
) -> frozenset[Row]:
    """The rows of the lowest toxicity rate at a KL, or not distinguishable from it."""
    metric = metrics["toxicity_rate"]

    def group_of(row: Row) -> Group:
        return Group.of(row.setting, placed(cut), GOLD, metric.name)

    by_group = places_by_group(means, group_of, metric.better, compared_pairs(comparisons))
    return frozenset(row for places in by_group.values() for row, place in places.items() if place.rank == 1)


def _at(axis: Axes, intervals: Mapping[Row, _Interval], looks: Looks, first: frozenset[Row]) -> None:
    """Draw each row's toxicity rate at a budget with its interval."""
    for at, (row, (mean, low, high)) in enumerate(intervals.items()):
        style = looks.of(row)
        if math.isnan(mean):
            axis.text(0.5, at, "n/a", transform=axis.get_yaxis_transform(), ha="center", va="center", color=MUTED)
            continue
        if math.isfinite(low):
            axis.plot([low, high], [at, at], color=style.colour, solid_capstyle="butt")
        face = style.colour if row in first else "white"
        axis.plot(mean, at, style.marker or "o", color=style.colour, markerfacecolor=face)
    axis.set_ylim(len(intervals) - 0.4, -0.6)


# --- the proxy against the truth


@styled
def proxy_against_truth(
    records: Sequence[Record], rows: Sequence[Row], methods: Methods = NOTHING_KNOWN
) -> Figure | None:
    """A panel a row: the true reward against the proxy along the run, from the open mark to the filled one.

    Where the line goes right and down, the reward is over-optimised.  None where nothing was aligned again.
    """
    paths = {row: runs for row, runs in paths_of(records, rows).items() if np.isfinite(runs[0].proxy).all()}
    if not paths:
        return None
    down, across = grid(len(paths))
    figure, axes = canvas(down, across, 1.0 + 1.9 * across, 0.9 + 1.7 * down, sharex=True, sharey=True)
    looks = Looks(rows, methods)
    labels = looks.labels(paths)
    for axis, (row, runs) in zip(axes, paths.items(), strict=False):
        _proxy(axis, runs, looks.of(row))
        axis.set_title(title_lines(labels[row]))
    for at, axis in enumerate(axes):
        axis.tick_params(labelbottom=at + across >= len(paths))
        axis.set_axis_on() if at < len(paths) else axis.set_axis_off()
    figure.supxlabel(
        "proxy: the reward of the alignment (mean 0, standard deviation 1 before it); open mark: before", fontsize=SMALL
    )
    figure.supylabel("true reward", fontsize=SMALL)
    return figure


def _proxy(axis: Axes, runs: Sequence[_Path], style: Look) -> None:
    """Draw the path of each run and their mean, its beginning open and its end filled."""
    marker = style.marker or "o"
    for run in runs:
        axis.plot(run.proxy, run.true, color=style.colour, linewidth=0.8, alpha=0.5)
    same = [run for run in runs if len(run.step) == len(runs[0].step)]
    proxy, true = (np.mean([getattr(run, name) for run in same], 0) for name in ("proxy", "true"))
    axis.plot(proxy, true, color=style.colour, marker=marker, markersize=3.5)
    axis.plot(proxy[:1], true[:1], marker, color=style.colour, markerfacecolor="white", markersize=6)
    axis.plot(proxy[-1:], true[-1:], marker, color=style.colour, markersize=6)
