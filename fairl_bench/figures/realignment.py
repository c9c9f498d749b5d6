"""Re-alignment drawn: toxicity over steps and against KL, the proxy against the truth, and best-of-n."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from fairl_bench.comparison import Comparison
from fairl_bench.coordinates import Row
from fairl_bench.data import GOLD, Floats
from fairl_bench.figures.style import LOOKS, MUTED, Look, brief, canvas, grid, look, styled
from fairl_bench.metrics import Metrics
from fairl_bench.records import Record
from fairl_bench.results.realigned import DATA, budget, placed
from fairl_bench.rows import named, shown_axes
from fairl_bench.tables.realignment import first_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STEP: Final = "step:"
_BEST: Final = re.compile(r"best_of_(\d+)(_kl)?")


class _Path(NamedTuple):
    """One run of one row, look by look."""

    step: Floats
    kl: Floats
    toxicity: Floats
    proxy: Floats
    true: Floats


@styled
def over_steps(records: Sequence[Record], rows: Sequence[Row]) -> Figure | None:
    """Toxicity rate over the steps of the alignment, mean and band from least to most of the runs (paper, Figure 3).

    One panel a model; None where nothing was aligned again.
    """
    paths = _paths(records, rows)
    if not paths:
        return None
    models, labels = list(dict.fromkeys(row.model for row in paths)), _labels(paths)
    figure, axes = canvas(1, len(models), 1.0 + 5.4 * len(models), 3.6, sharey=True)
    for axis, model in zip(axes, models, strict=True):
        ends = []
        for row, runs in _of(paths, model):
            x = runs[0].step
            heights = [run.toxicity for run in runs if len(run.step) == len(x)]
            ends.append(_line(axis, x.tolist(), list(zip(*heights, strict=True)), rows, row, labels[row]))
        axis.set(xlabel="steps of the alignment", ylabel="toxicity rate" if axis is axes[0] else "")
        axis.set_ylim(0)
        _titled(axis, model, models)
        _beside(axis, ends)
    several = any(len(runs) > 1 for runs in paths.values())
    figure.supxlabel("line: mean; band: least to most of the runs" if several else "one run each", fontsize=8)
    return figure


@styled
def against_kl(
    records: Sequence[Record], rows: Sequence[Row], comparisons: Sequence[Comparison], metrics: Metrics
) -> Figure | None:
    """Toxicity rate against KL: every look of every run, the mean path, and at each budget the interval of each row.

    One line of panels a model; None where nothing was aligned again.
    """
    paths = _paths(records, rows)
    if not paths:
        return None
    models, labels = list(dict.fromkeys(row.model for row in paths)), _labels(paths)
    cuts = sorted({row.slice for row in records if row.dataset == DATA and row.slice.startswith("kl:")}, key=budget)
    most = max(len(_of(paths, model)) for model in models)
    height = max(3.2, 0.9 + 0.26 * most)
    widths = [3.0, *([1.35] * len(cuts))]
    figure, axes = canvas(
        len(models), 1 + len(cuts), 2.0 + 1.3 * sum(widths), height * len(models), gridspec_kw={"width_ratios": widths}
    )
    for at, model in enumerate(models):
        first, *others = axes[at * (1 + len(cuts)) : (at + 1) * (1 + len(cuts))]
        mine = _of(paths, model)
        _curves(first, mine, rows)
        _titled(first, model, models)
        for cut in cuts:
            first.axvline(budget(cut), color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)))
            first.annotate(
                f"{budget(cut):g}", (budget(cut), 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                fontsize=7, color=MUTED,
            )  # fmt: skip
        numbers = [
            value
            for cut in cuts
            for row, _ in mine
            for value in _interval(records, comparisons, row, cut)
            if value == value
        ]
        for cut, axis in zip(cuts, others, strict=True):
            _at(axis, mine, rows, records, comparisons, cut, metrics)
            axis.set_title(f"at KL {budget(cut):g}")
            axis.set_xlabel("toxicity rate")
            axis.set_yticks(range(len(mine)), [brief(labels[row], 24) for row, _ in mine] if cut == cuts[0] else [])
            if cut == cuts[0]:
                for tick, (row, _) in zip(axis.get_yticklabels(), mine, strict=True):
                    tick.set_color(_dark(_look(rows, row)))
            if numbers:
                margin = 0.06 * (max(numbers) - min(numbers) or 1.0)
                axis.set_xlim(min(numbers) - margin, max(numbers) + margin)
    figure.supxlabel(
        "left: a small mark a look of a run, the line their mean, dotted the budgets; right: toxicity rate there with "
        "its 95 % interval,\nfilled: the best, or not distinguishable from it",
        fontsize=8,
    )
    return figure


@styled
def proxy_against_truth(records: Sequence[Record], rows: Sequence[Row]) -> Figure | None:
    """A panel a row: the true reward against the proxy along the run, from the open mark to the filled one.

    Where the line goes right and down, the reward is over-optimised.  None where nothing was aligned again.
    """
    paths = {row: runs for row, runs in _paths(records, rows).items() if np.isfinite(runs[0].proxy).all()}
    if not paths:
        return None
    down, across = grid(len(paths))
    figure, axes = canvas(down, across, 1.0 + 1.9 * across, 0.9 + 1.7 * down, sharex=True, sharey=True)
    labels = _labels(paths)
    for axis, (row, runs) in zip(axes, paths.items(), strict=False):
        style = _look(rows, row)
        for run in runs:
            axis.plot(run.proxy, run.true, color=style.colour, linewidth=0.8, alpha=0.5)
        same = [run for run in runs if len(run.step) == len(runs[0].step)]
        proxy, true = (np.mean([getattr(run, name) for run in same], 0) for name in ("proxy", "true"))
        axis.plot(proxy, true, color=style.colour, marker=style.marker, markersize=3.5)
        axis.plot(proxy[:1], true[:1], style.marker, color=style.colour, markerfacecolor="white", markersize=6)
        axis.plot(proxy[-1:], true[-1:], style.marker, color=style.colour, markersize=6)
        axis.set_title(brief(labels[row]))
    for at, axis in enumerate(axes):
        axis.tick_params(labelbottom=at + across >= len(paths))
        axis.set_axis_on() if at < len(paths) else axis.set_axis_off()
    figure.supxlabel(
        "proxy: the reward of the alignment (mean 0, standard deviation 1 before it); open mark: before", fontsize=8
    )
    figure.supylabel("true reward", fontsize=8)
    return figure


@styled
def best_of_n(records: Iterable[Record], rows: Sequence[Row], data: str) -> Figure | None:
    """The true reward of the best of n by each reward, against the most that best-of-n can be from its base.

    One panel a model; None where the data have none.
    """
    found: dict[Row, dict[int, list[float]]] = {}
    bound: dict[int, float] = {}
    for one in records:
        told = _BEST.fullmatch(one.metric)
        if one.data != data or one.other or told is None or not math.isfinite(one.value):
            continue
        if told[2]:
            bound[int(told[1])] = one.value
        else:
            found.setdefault(one.row, {}).setdefault(int(told[1]), []).append(one.value)
    order = [row for row in rows if row in found]
    if not order:
        return None
    models, labels = list(dict.fromkeys(row.model for row in order)), _labels(order)
    figure, axes = canvas(1, len(models), 1.0 + 5.4 * len(models), 3.6, sharey=True)
    for axis, model in zip(axes, models, strict=True):
        ends = []
        for row in order:
            if row.model != model:
                continue
            if counts := sorted(set(found[row]) & set(bound)):
                values = [found[row][n] for n in counts]
                ends.append(_line(axis, [bound[n] for n in counts], values, rows, row, labels[row]))
        axis.set(
            xlabel="KL from the base, nats: at most log n − (n − 1)/n", ylabel="true reward" if axis is axes[0] else ""
        )
        above = axis.secondary_xaxis("top")
        above.set_xticks([bound[n] for n in sorted(bound)], [str(n) for n in sorted(bound)])
        above.set_xlabel("n")
        _titled(axis, model, models)
        _beside(axis, ends)
    return figure


# --- paths


def _paths(records: Sequence[Record], rows: Sequence[Row]) -> dict[Row, list[_Path]]:
    """The runs of each row, in the order of the rows."""
    found: dict[Row, dict[tuple[int, int | None], dict[int, dict[str, float]]]] = {}
    for row in records:
        if row.dataset == DATA and row.slice.startswith(_STEP) and row.truth in ("", GOLD) and not row.other:
            run = found.setdefault(row.row, {}).setdefault((row.replicate, row.seed), {})
            run.setdefault(int(row.slice.removeprefix(_STEP)), {})[row.metric] = row.value
    return {row: [_path(run) for run in found[row].values()] for row in rows if row in found}


def _path(run: Mapping[int, Mapping[str, float]]) -> _Path:
    steps = sorted(run)
    names = ("kl_k3", "toxicity_rate", "proxy_reward", "true_reward")
    columns = (np.array([run[step].get(name, math.nan) for step in steps]) for name in names)
    return _Path(np.array(steps, np.float64), *columns)


def _of(paths: Mapping[Row, list[_Path]], model: str) -> list[tuple[Row, list[_Path]]]:
    return [(row, runs) for row, runs in paths.items() if row.model == model]


def _labels(rows: Iterable[Row]) -> dict[Row, str]:
    """What tells each row from the others, but for its model."""
    known = list(rows)
    shown = [axis for axis in shown_axes(known) if axis != "model"]
    return {row: " ".join(named(row, shown)) for row in known}


# --- marks


def _look(rows: Sequence[Row], row: Row) -> Look:
    """The look of a row, the same in every figure, whatever its model."""
    return look(_index(rows, row))


def _index(rows: Sequence[Row], row: Row) -> int:
    return list(dict.fromkeys(one._replace(model="") for one in rows)).index(row._replace(model=""))


def _drawn(rows: Sequence[Row], row: Row) -> dict[str, Any]:
    """How a row's line is drawn; where looks come round again, with open marks."""
    style = _look(rows, row)
    face = "white" if _index(rows, row) // len(LOOKS) % 2 else style.colour
    return {"color": style.colour, "marker": style.marker, "linestyle": style.line, "markerfacecolor": face}


class _End(NamedTuple):
    """Where a line ends, and what it is called."""

    x: float
    y: float
    label: str
    style: Look
    drawn: Mapping[str, Any]


def _line(
    axis: Any, x: Sequence[float], values: Sequence[Sequence[float]], rows: Sequence[Row], row: Row, label: str
) -> _End:
    """Draw a row's mean at each ``x``, and a band from the least to the most of its values there; where it ends."""
    style, drawn, means = _look(rows, row), _drawn(rows, row), [float(np.mean(one)) for one in values]
    axis.plot(x, means, **drawn)
    axis.fill_between(x, list(map(min, values)), list(map(max, values)), color=style.colour, alpha=0.10, linewidth=0)
    return _End(float(x[-1]), means[-1], label, style, drawn)


def _dark(style: Look) -> str:
    """A colour in which small letters can be read: the light ones give way to grey."""
    from matplotlib.colors import to_rgb

    light = float(np.dot(to_rgb(style.colour), (0.299, 0.587, 0.114))) > 0.5
    return MUTED if light else style.colour


def _titled(axis: Axes, model: str, models: Sequence[str]) -> None:
    if len(models) > 1:
        axis.set_title(brief(model))


def _beside(axis: Axes, ends: Sequence[_End]) -> None:
    """A mark and a label beside the end of each line, moved apart where they would overlap, with a thread to it."""
    bottom, top = axis.get_ylim()
    order = sorted(ends, key=lambda end: end.y)
    heights = np.array([(end.y - bottom) / (top - bottom) for end in order])
    for end, place in zip(order, _apart(heights, 0.062), strict=True):
        thread = {"arrowstyle": "-", "color": end.style.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
        label: dict[str, Any] = {"textcoords": "axes fraction", "annotation_clip": False, "arrowprops": thread}
        axis.annotate("", xy=(end.x, end.y), xytext=(1.03, place), **label)
        axis.plot(1.03, place, **{**end.drawn, "linestyle": "none"}, transform=axis.transAxes, clip_on=False)
        axis.annotate(
            brief(end.label, 26), (1.055, place), xycoords="axes fraction", va="center", fontsize=8,
            color=_dark(end.style), annotation_clip=False,
        )  # fmt: skip


def _apart(heights: Floats, gap: float) -> Floats:
    """Rising heights, each at least ``gap`` above the one below it, moved as little as in total can be.

    >>> _apart(np.array([0.5, 0.5, 0.9]), 0.2).round(9).tolist()
    [0.4, 0.6, 0.9]
    """
    blocks: list[list[float]] = []  # of each block of touching labels, where its lowest would like to be
    for at, height in enumerate(heights):
        blocks.append([float(height) - gap * at])
        while len(blocks) > 1 and np.mean(blocks[-1]) < np.mean(blocks[-2]):
            last = blocks.pop()
            blocks[-1] += last
    lowest = [float(np.mean(block)) for block in blocks for _ in block]
    found = np.array(lowest) + gap * np.arange(len(heights))
    raised: Floats = np.maximum(found, gap * np.arange(len(heights)))  # none below the axis
    return raised


def _curves(axis: Axes, paths: Sequence[tuple[Row, list[_Path]]], rows: Sequence[Row]) -> None:
    for row, runs in paths:
        style = _look(rows, row)
        for run in runs:
            axis.plot(run.kl, run.toxicity, style.marker, color=style.colour, markersize=2.5, alpha=0.45)
        same = [run for run in runs if len(run.step) == len(runs[0].step)]
        mean = [np.mean([getattr(run, name) for run in same], 0) for name in ("kl", "toxicity")]
        axis.plot(*mean, **_drawn(rows, row), markersize=3.5)
    axis.set(xlabel="KL from the base, nats a completion (k3)", ylabel="toxicity rate")
    axis.set_xlim(0)
    axis.set_ylim(0)


def _interval(
    records: Iterable[Record], comparisons: Iterable[Comparison], row: Row, cut: str
) -> tuple[float, float, float]:
    """The mean toxicity rate of a row at a budget, and the ends of its interval; NaN where it is not known."""
    place = (cut, GOLD, "toxicity_rate")
    values = [
        one.value
        for one in records
        if one.dataset == DATA and not one.other and one.row == row and (one.slice, one.truth, one.metric) == place
    ]
    mean = float(np.mean(values)) if values else math.nan
    for one in comparisons:
        question = one.data, one.truth, one.metric
        if not one.other and one.row == row and question == (placed(cut), GOLD, "toxicity_rate"):
            return mean, one.low, one.high
    return mean, math.nan, math.nan


def _at(
    axis: Axes,
    paths: Sequence[tuple[Row, list[_Path]]],
    rows: Sequence[Row],
    records: Sequence[Record],
    comparisons: Sequence[Comparison],
    cut: str,
    metrics: Metrics,
) -> None:
    """Each row's toxicity rate at a budget with its interval."""
    first = first_places(records, [row for row, _ in paths], comparisons, cut, metrics)
    for at, (row, _) in enumerate(paths):
        style = _look(rows, row)
        mean, low, high = _interval(records, comparisons, row, cut)
        if math.isnan(mean):
            axis.text(0.5, at, "n/a", transform=axis.get_yaxis_transform(), ha="center", va="center", color=MUTED)
            continue
        if math.isfinite(low):
            axis.plot([low, high], [at, at], color=style.colour, solid_capstyle="butt")
        face = style.colour if row in first else "white"
        axis.plot(mean, at, style.marker, color=style.colour, markerfacecolor=face)
    axis.set_ylim(len(paths) - 0.4, -0.6)
