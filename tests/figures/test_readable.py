"""Figures as a lecture room sees them: no text on another, none cut, none smaller than the eye can read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from fairl_bench.figures.leaderboard import by_encoder, intervals
from fairl_bench.figures.style import COLUMN, SMALL, canvas, wrapped
from fairl_bench.results.declared import built_in_metrics
from fairl_bench.tables.leaderboard import Leaderboard, leaderboard
from fairl_bench.values.records import Record
from fairl_bench.values.references import Methods
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import MethodFacts
from fairl_bench.values.table import Table
from tests.support.figure_texts import cut, overlapping, smallest

METRICS = built_in_metrics()
METHODS = ("log-ratio-distilled", "max-margin", "max-entropy", "failure-aware-max-entropy-with-a-long-name", "length")


def readable(figure: Figure | None) -> None:
    assert figure is not None
    assert overlapping(figure) == []
    assert cut(figure) == []
    assert smallest(figure) >= SMALL - 1  # 8 points are for numbers within marks


def test_texts_on_one_another_and_beyond_the_edge_and_tiny_ones_are_found() -> None:
    figure, (axis,) = canvas(1, 1, 4.0, 2.0)
    axis.text(0.5, 0.5, "one")
    axis.text(0.51, 0.5, "other", fontsize=5)
    figure.text(0.98, 0.1, "beyond the edge")
    assert overlapping(figure) == [("one", "other")]
    assert cut(figure) == ["beyond the edge"]
    assert smallest(figure) == 5


def board(methods: int, data: int, encoders: int = 1, reference: bool = True) -> Table:
    """A leaderboard of so many methods by so many data sets, its first row a reference."""
    rng = np.random.default_rng(0)
    names = [*(["log-ratio"] if reference else []), *(METHODS * 3)[:methods]]
    names = [f"{name}-{at // 5}" if at >= 5 else name for at, name in enumerate(names)]
    given: Methods = {
        name: MethodFacts("both models" if "log-ratio" in name else "texts", name == "log-ratio") for name in names
    }
    rows = [
        Record(
            **{"suite": "s", "model": "toy", "encoder": f"encoder-{encoder}", "head": "mlp", "method": name},
            **{"variant": "", "replicate": replicate, "seed": 0, "dataset": f"data-set-{at}", "split": ""},
            **{"slice": "all", "truth": "gold", "metric": "auc", "other": "", "n": 10, "note": "", "stage": "k"},
            value=float(rng.uniform(0.6, 0.9)),
        )
        for encoder in range(encoders)
        for name in names
        for replicate in range(3)
        for at in range(data)
    ]
    layout = Leaderboard(data=tuple(f"data-set-{at}" for at in range(data)), metrics=("auc",))
    return leaderboard(rows, layout, {row.row: Runs(3) for row in rows}, METRICS, methods=given)


@pytest.mark.parametrize("width", [None, 9.0, COLUMN])
@pytest.mark.parametrize(("methods", "data"), [(1, 1), (2, 1), (13, 3), (5, 6)])
def test_the_leaderboard_is_readable(methods: int, data: int, width: float | None) -> None:
    readable(intervals(board(methods, data), METRICS, 1 if width == COLUMN else 4, width))


def test_encoders_beside_one_another_are_readable() -> None:
    readable(by_encoder(board(5, 3, encoders=3), METRICS))


def test_what_is_said_below_a_figure_fits_it() -> None:
    figure, _ = canvas(1, 1, 5.0, 3.0)
    figure.supxlabel(
        wrapped("mean and 95 % interval of each of the methods WWWW on every data set " * 3, 5.0), fontsize=SMALL
    )
    assert cut(figure) == []
