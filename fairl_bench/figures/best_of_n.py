"""Best-of-n drawn: the true reward of the best of n texts by each recovered reward."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fairl_bench.figures.lines import Looks, beside, line, titled
from fairl_bench.figures.style import canvas, styled
from fairl_bench.figures.variants import in_file_name
from fairl_bench.material import Material
from fairl_bench.values.coordinates import Row
from fairl_bench.values.records import Record
from fairl_bench.values.references import NOTHING_KNOWN, Methods
from fairl_bench.views import Drawn, ReportFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_METRIC: Final = re.compile(r"best_of_(\d+)(_kl)?")


class BestOfN(ReportFigure):
    """The true reward of the best of n by each reward."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        """One for each data set that has the numbers."""
        rows = list(dict.fromkeys((*material.rows, *(record.row for record in material.records))))
        for data in dict.fromkeys(row.data for row in material.records if row.metric.startswith("best_of_")):
            if (figure := best_of_n(material.records, rows, data, material.run.methods)) is not None:
                yield Drawn(f"best-of-n-{in_file_name(data)}", f"Best of n: {data}", figure)


class _Numbers(NamedTuple):
    """The true rewards of all runs by row and n, and by n the largest distance of best-of-n from its base."""

    rewards: Mapping[Row, Mapping[int, Sequence[float]]]
    bound: Mapping[int, float]


def _numbers(records: Iterable[Record], data: str) -> _Numbers:
    """The numbers of best-of-n on some data."""
    rewards: dict[Row, dict[int, list[float]]] = {}
    bound: dict[int, float] = {}
    for record in records:
        metric = _METRIC.fullmatch(record.metric)
        if record.data != data or record.other or metric is None or not math.isfinite(record.value):
            continue
        if metric[2]:
            bound[int(metric[1])] = record.value
        else:
            rewards.setdefault(record.row, {}).setdefault(int(metric[1]), []).append(record.value)
    return _Numbers(rewards, bound)


@styled
def best_of_n(
    records: Iterable[Record], rows: Sequence[Row], data: str, methods: Methods = NOTHING_KNOWN
) -> Figure | None:
    """The true reward of the best of n by each reward, against the most that best-of-n can be from its base.

    One panel a model; None where the data have none.
    """
    numbers = _numbers(records, data)
    order = [row for row in rows if row in numbers.rewards]
    if not order:
        return None
    models = list(dict.fromkeys(row.model for row in order))
    figure, axes = canvas(1, len(models), 1.0 + 5.4 * len(models), 3.6, sharey=True)
    for axis, model in zip(axes, models, strict=True):
        _panel(axis, numbers, order, model, Looks(rows, methods))
        axis.set(
            xlabel="KL from the base, nats: at most log n − (n − 1)/n", ylabel="true reward" if axis is axes[0] else ""
        )
        titled(axis, model, models)
    return figure


def _panel(axis: Axes, numbers: _Numbers, order: Sequence[Row], model: str, looks: Looks) -> None:
    """Draw the lines of one model, with n on the upper axis."""
    labels, bound, ends = looks.labels(order), numbers.bound, []
    for row in order:
        counts = sorted(set(numbers.rewards[row]) & set(bound)) if row.model == model else ()
        if counts:
            values = [numbers.rewards[row][n] for n in counts]
            ends.append(line(axis, [bound[n] for n in counts], values, looks, row, labels[row]))
    above = axis.secondary_xaxis("top")
    above.set_xticks([bound[n] for n in sorted(bound)], [str(n) for n in sorted(bound)])
    above.set_xlabel("n")
    beside(axis, ends)
