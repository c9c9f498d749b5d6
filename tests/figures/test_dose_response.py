"""The figure of mean rewards by quantile of each concept."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.axes import Axes

from fairl_bench.figures.dose_response import DoseResponses
from fairl_bench.figures.style import render
from fairl_bench.results.given import GivenMaterial
from fairl_bench.tables.attribution import AttributionTable
from fairl_bench.values.contents import DOSE_COLUMNS, SHARE
from fairl_bench.values.coordinates import Coordinates, Run, World
from fairl_bench.values.evidence import CellEvidence
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.views import Drawn

DATA = "pairs/test"
DOSES = {"words": (-0.4, 0.1, 0.5), "praise": (0.2, -0.2)}


def cell(method: str, replicate: int = 0, variant: str = "") -> Coordinates:
    return Coordinates.of(World("toy", replicate), Run("e", "mlp", method, variant, 0))


def evidence(of: Coordinates, shift: float = 0.0, unsure: Sequence[str] = ()) -> CellEvidence:
    rows = [
        (
            DATA,
            name,
            at,
            at + 0.9,
            at + 0.4,
            40,
            mean + shift,
            *((math.nan,) * 2 if name in unsure else (mean - 1, 9.0)),
        )
        for name, means in DOSES.items()
        for at, mean in enumerate(means)
    ]
    return CellEvidence(of, pa.table(dict(zip(DOSE_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))))


def drawn(kept: Sequence[CellEvidence], **more: object) -> list[Drawn]:
    table = {"attribution/dose-response": kept}
    rows = dict.fromkeys((one.cell.row for one in kept), Runs(1))
    return list(DoseResponses().figures(GivenMaterial(evidence=table, rows=rows, **more)))


def axes(figure: Drawn) -> list[Axes]:
    assert render(figure.figure)["png"].startswith(b"\x89PNG")
    return [axis for axis in figure.figure.axes if axis.axison]


def share(name: str, value: float) -> Record:
    place = Coordinates.of(World("toy", 0), Run("e", "mlp", "m", "", 0), DATA, f"concept:{name}")
    return Record.at(place, "s", SHARE, value, 9)


def test_a_panel_has_the_means_of_a_concept_and_its_band() -> None:
    (figure,) = drawn([evidence(cell("m"))])
    assert (figure.name, figure.title.rpartition(": ")[2]) == ("dose-response-pairs-test-m", "m, pairs/test")
    by_title = {axis.get_title(): axis for axis in axes(figure)}
    for name, means in DOSES.items():
        lines = [line.get_ydata() for line in by_title[name].lines if len(line.get_ydata()) == len(means)]
        assert any(np.allclose(line, means) for line in lines)
        (band,) = by_title[name].collections
        (path,) = band.get_paths()
        assert path.vertices[:, 1].min() == pytest.approx(min(means) - 1)
    assert [text.get_text() for text in by_title["praise"].get_xticklabels()] == ["0.4", "1.4"]


def test_the_concept_with_the_greatest_share_is_first_and_has_it_in_its_title() -> None:
    (figure,) = drawn([evidence(cell("m"))], records=[share("words", 0.62), share("praise", 0.04)])
    assert [axis.get_title() for axis in axes(figure)] == ["words\n62 % of the reward", "praise\n4 % of the reward"]


def test_where_no_interval_is_known_points_are_open() -> None:
    (figure,) = drawn([evidence(cell("m"), unsure=["praise"])])
    faces = {
        axis.get_title(): {line.get_markerfacecolor() for line in axis.lines if line.get_marker() == "o"}
        for axis in axes(figure)
    }
    assert faces["praise"] == {"white"}
    assert "white" not in faces["words"]


def test_each_reward_has_a_figure_of_its_first_run_alone() -> None:
    figures = drawn([evidence(cell("m")), evidence(cell("m", 1), shift=1.0), evidence(cell("other"), shift=2.0)])
    assert [one.name for one in figures] == ["dose-response-pairs-test-m", "dose-response-pairs-test-other"]
    lines = [line.get_ydata() for line in axes(figures[0])[1].lines if len(line.get_ydata()) == 3]
    assert [float(line[0]) for line in lines] == [pytest.approx(-0.4)]  # not the mean of two runs


def test_rewards_that_the_report_does_not_explain_have_no_figure() -> None:
    kept = [evidence(cell("m")), evidence(cell("other"))]
    report = {"attribution": AttributionTable(data=(DATA,), methods=("other",))}
    assert [one.name for one in drawn(kept, report=report)] == ["dose-response-pairs-test-other"]


def test_without_evidence_or_with_variants_there_is_no_figure() -> None:
    assert drawn([]) == []
    other = Record.at(cell("m", variant='{"a":1}'), "s", SHARE, 0.1, 9)
    assert drawn([evidence(cell("m"))], records=[other]) == []
