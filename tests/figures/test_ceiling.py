"""The figure of pair accuracies between a coin toss and the ceiling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairl_bench.figures.ceiling import Between, between
from fairl_bench.figures.style import render
from fairl_bench.results.given import GivenMaterial
from fairl_bench.tables.ceiling import SharesOfCeiling
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE
from fairl_bench.values.coordinates import Coordinates
from fairl_bench.values.records import Record
from fairl_bench.values.table import Table, Value
from tests.support.figure_texts import cut, overlapping

NUMBERS = {"log-ratio": 0.80, "oracle": 0.66, "mm": 0.70}


def table(model: str = "toy", encoder: str = "minilm", *, shares: bool = True, method: str = "log-ratio") -> Table:
    """A table of the ceiling: the log-ratio, another reference row and a method."""
    tidy: list[dict[str, Value]] = []
    for name, value in NUMBERS.items():
        row: dict[str, Value] = {
            "model": model,
            "encoder": encoder,
            "method": name,
            "variant": "",
            "data": "pairs/test",
        }
        row |= {"given": "texts" if name == "mm" else "truth", "reference": int(name != "mm"), "ceiling": method}
        row["data"] = "pairs/test"
        share = (value - 0.5) / 0.3 if shares else math.nan
        tidy.append({**row, "metric": PAIR_ACCURACY, "mean": value, "low": value - 0.02, "high": value + 0.02})
        tidy.append({**row, "metric": SHARE, "mean": share, "low": share - 0.1, "high": share + 0.1})
    return Table("Ceiling", (("", "method"),), tuple((name,) for name in NUMBERS), (), tuple(tidy), name="ceiling")


def panels(*tables: Table) -> list[Axes]:
    figure = between(tables[0]._replace(tidy=tuple(cell for one in tables for cell in one.tidy)))
    assert isinstance(figure, Figure)
    assert render(figure)["png"].startswith(b"\x89PNG")
    return [axis for axis in figure.axes if axis.axison]


def upright(axis: Axes) -> list[float]:
    """Where upright lines over the whole height stand."""
    return [float(x[0]) for line in axis.lines if len(set(x := np.asarray(line.get_xdata()))) == 1 and len(x) == 2]


def test_lines_stand_at_one_half_and_at_the_ceiling_and_points_at_the_means_of_all_others() -> None:
    (axis,) = panels(table())
    assert upright(axis) == [0.5, 0.80]
    points = [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axis.lines if line.get_marker() == "o"
    ]
    assert points == [(0.66, 0.0), (0.70, 1.0)]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["oracle (truth)", "mm"]


def test_a_panel_of_a_single_method_has_room_enough() -> None:
    alone = table()
    (axis,) = panels(alone._replace(tidy=tuple(cell for cell in alone.tidy if cell["method"] != "oracle")))
    assert axis.get_window_extent().height > 20  # a warning of no room is an error in tests


def test_the_share_stands_beside_each_row_and_the_lines_are_named() -> None:
    (axis,) = panels(table())
    texts = [text.get_text() for text in axis.texts]
    assert texts == ["½, a coin toss", "ceiling: log-ratio (truth)", "53 % [43, 63]", "67 % [57, 77]"]


def test_each_model_has_a_panel_with_a_ceiling_of_its_own() -> None:
    axes = panels(table(), table("larger"))
    assert [axis.get_title() for axis in axes] == ["pairs/test, toy", "pairs/test, larger"]


def test_a_wide_interval_does_not_push_the_lines_together() -> None:
    wide = table()
    tidy = tuple({**cell, "low": -3.0, "high": 4.0} if cell["metric"] == PAIR_ACCURACY else cell for cell in wide.tidy)
    (axis,) = panels(wide._replace(tidy=tidy))
    low, high = axis.get_xlim()
    assert 0.3 < low < 0.5
    assert 0.8 < high < 1.0


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_text_is_cut_or_lies_on_another(n: int) -> None:
    tables = [table(model=f"model-{at}") for at in range(n)]
    figure = between(tables[0]._replace(tidy=tuple(cell for one in tables for cell in one.tidy)))
    assert figure is not None
    assert cut(figure) == []
    assert overlapping(figure) == []


@pytest.mark.parametrize("nothing", [table(shares=False), table(method=""), Table("Ceiling", (), (), ())])
def test_without_a_share_nothing_is_drawn(nothing: Table) -> None:
    assert between(nothing) is None


def figures(variant: str = "", **material: Any) -> list[str]:
    place = Coordinates(
        model="toy", encoder="e", head="mlp", method="mm", variant=variant, replicate=0, seed=0, dataset="pairs"
    )
    records = [Record.at(place, "s", PAIR_ACCURACY, 0.7, 10)]
    return [drawn.name for drawn in Between().figures(GivenMaterial(records=records, **material))]


def test_it_is_drawn_where_a_suite_asks_for_the_table_and_is_run_at_one_point() -> None:
    asked = {"report": {"ceiling": SharesOfCeiling.named("ceiling")}, "tables": {"ceiling": table()}}
    assert figures(**asked) == ["ceiling"]
    assert figures(tables=asked["tables"]) == []
    assert figures('{"head.width":32}', **asked) == []
