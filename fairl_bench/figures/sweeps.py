"""A metric along a path of a product: Figure 4 (the mix of pairs) and Figure 5 (the size of the model)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fairl_bench.figures.references import legend, reference_look
from fairl_bench.figures.style import SMALL, Look, canvas, look, styled
from fairl_bench.figures.variants import in_file_name
from fairl_bench.material import Material
from fairl_bench.metrics import Metrics
from fairl_bench.tables.leaderboard import leaderboards
from fairl_bench.values.comparison import Comparison
from fairl_bench.values.records import Record
from fairl_bench.values.references import NOTHING_KNOWN, Methods, references_of, with_given
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST = 7  # methods that one panel tells apart


class Sweeps(ReportFigure):
    """Each metric of the leaderboard along a path of the product, as the paper's Figures 4 and 5."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each path along which alone the suite was run."""
        for _, table in leaderboards(material):
            columns = list(dict.fromkeys((str(cell["data"]), str(cell["metric"])) for cell in table.tidy))
            methods = list(dict.fromkeys(str(cell["method"]) for cell in table.tidy))
            records = [row for row in material.records if row.method in methods]
            records.sort(key=lambda row: methods.index(row.method))
            for line in lines(row.variant for row in material.records):
                figure = sweep(
                    line,
                    records,
                    material.comparisons,
                    columns,
                    material.truth_of,
                    material.metrics,
                    material.run.methods,
                )
                if figure is not None:
                    yield Drawn(f"sweep-{in_file_name(line.path)}", f"Along {line.label}", figure)


class Line(NamedTuple):
    """The values that a product varies, in order, with the label of their axis."""

    path: str
    label: str
    x: dict[str, float]  # by variant


def lines(variants: Iterable[str]) -> Iterator[Line]:
    """Each path of the product along which numbers, or shares of a mix, vary while all other paths stay.

    A product of several paths has one line a path only where the others do not vary.
    """
    points = {variant: json.loads(variant) for variant in dict.fromkeys(variants) if variant}
    paths = dict.fromkeys(path for point in points.values() for path in point)
    varied = [path for path in paths if len({json.dumps(point.get(path)) for point in points.values()}) > 1]
    if len(varied) == 1 and len(points) > 1:
        (path,) = varied
        label, x = _axis(path, {variant: point.get(path) for variant, point in points.items()})
        if x:
            yield Line(path, label, dict(sorted(x.items(), key=lambda entry: entry[1])))


def _axis(path: str, values: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """The label of the axis, and the place of each value on it; none where a value is neither number nor mix."""
    last = path.rpartition(".")[2].replace("_", " ")
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values.values()):
        return last, {variant: float(value) for variant, value in values.items()}
    if all(isinstance(value, Mapping) for value in values.values()):
        first = max(values.values(), key=len)
        name = next((name for name in first if name.startswith("bad-to-good")), next(iter(first), ""))
        shares = {variant: 100 * float(value.get(name, 0.0)) for variant, value in values.items()}
        return f"pairs {name}, %", shares if len(set(shares.values())) == len(shares) else {}
    return last, {}


@styled
def sweep(
    line: Line,
    records: Iterable[Record],
    comparisons: Iterable[Comparison],
    columns: Sequence[tuple[str, str]],
    truth_of: Callable[[str], str],
    metrics: Metrics,
    known: Methods = NOTHING_KNOWN,
) -> Figure | None:
    """One panel a (data, metric) of ``columns``: mean over runs, the band from least to most, and 95 % intervals.

    Reference rows among the ``known`` methods are grey lines of their means.  None where no run of the line has a
    number.
    """
    methods_of = _by_column(line, records, columns, truth_of)
    if not methods_of:
        return None
    single = [row for row in comparisons if not row.other]
    across = min(len(methods_of), 3)
    down = -(-len(methods_of) // across)
    figure, axes = canvas(down, across, max(5.0, 1.2 + 2.4 * across), 0.9 + 2.1 * down, sharex=True)
    for axis, ((data, metric), methods) in zip(axes, methods_of.items(), strict=False):
        axis.set_title(f"{data}\n{metrics[metric].head}")
        key = (data, truth_of(data), metric)
        of_column = [row for row in single if (row.data, row.truth, row.metric) == key]
        intervals = {(row.method, row.variant): (row.low, row.high) for row in of_column}
        _panel(axis, line, methods, intervals, known)
    for axis in axes[len(methods_of) :]:
        axis.set_axis_off()
    legend(figure, axes, "outside upper center")
    figure.supxlabel(f"{line.label} (line: mean; band: least to most of the runs; bars: 95 % interval)", fontsize=SMALL)
    return figure


def _by_column(
    line: Line, records: Iterable[Record], columns: Sequence[tuple[str, str]], truth_of: Callable[[str], str]
) -> dict[tuple[str, str], dict[str, dict[str, list[float]]]]:
    """The values of all runs by method and variant, for each column that has numbers."""
    methods_of: dict[tuple[str, str], dict[str, dict[str, list[float]]]] = {}
    for row in records:
        whole = row.slice == "all" and not row.other and row.truth == truth_of(row.data) and math.isfinite(row.value)
        if whole and row.variant in line.x and (row.data, row.metric) in columns:
            by_variant = methods_of.setdefault((row.data, row.metric), {}).setdefault(row.method, {})
            by_variant.setdefault(row.variant, []).append(row.value)
    return {column: methods_of[column] for column in columns if column in methods_of}


def _panel(
    axis: Axes,
    line: Line,
    methods: Mapping[str, Mapping[str, Sequence[float]]],
    intervals: Mapping[tuple[str, str], tuple[float, float]],
    known: Methods,
) -> None:
    """Draw the methods of one column, with their intervals by method and variant; references first, without any."""
    width = max(line.x.values()) - min(line.x.values())
    references = references_of(known)
    for method in [name for name in references if name in methods]:
        style = reference_look(references.index(method))
        _means(axis, line, with_given(method, known), methods[method], style)
    ranked = [method for method in methods if method not in references]
    for index, method in enumerate(ranked[:_MOST]):
        by_variant = methods[method]
        of_method = {variant: intervals.get((method, variant)) for variant in by_variant}
        aside = 0.012 * width * (index - min(len(ranked), _MOST) / 2)
        _series(axis, line, with_given(method, known), by_variant, of_method, look(index), aside)


def _series(
    axis: Axes,
    line: Line,
    label: str,
    values: Mapping[str, Sequence[float]],
    ends: Mapping[str, tuple[float, float] | None],
    style: Look,
    aside: float,
) -> None:
    """Draw one method: its line, its band, and its intervals, moved ``aside`` so that they do not hide others."""
    _means(axis, line, label, values, style)
    here = [variant for variant in line.x if variant in values]
    x = [line.x[variant] for variant in here]
    least, most = ([pick(values[variant]) for variant in here] for pick in (min, max))
    axis.fill_between(x, least, most, color=style.colour, alpha=0.13, linewidth=0)
    for variant in here:
        interval = ends.get(variant)
        if interval is not None and all(map(math.isfinite, interval)):
            axis.plot([line.x[variant] + aside] * 2, interval, color=style.colour, linewidth=0.9)


def _means(axis: Axes, line: Line, label: str, values: Mapping[str, Sequence[float]], style: Look) -> None:
    """Draw the line of a method's means."""
    here = [variant for variant in line.x if variant in values]
    means = [sum(values[variant]) / len(values[variant]) for variant in here]
    x = [line.x[variant] for variant in here]
    axis.plot(x, means, marker=style.marker, linestyle=style.line, color=style.colour, label=label)
