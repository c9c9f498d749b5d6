"""The suites behind figures: each is checked as it is but for its encoder, and plans the axis that it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from fairl_bench.engine.planner import plan
from fairl_bench.figures.sweeps import lines
from fairl_bench.suite.read import read_study

SUITES = Path(__file__).parent.parent / "suites"
CUT = "encoders.minilm={name: minilm, use: tfidf, dimensions: 8}"


@pytest.mark.parametrize("name", ["pair-mix", "model-size", "subtype-transfer", "encoders"])
def test_a_suite_of_a_figure_is_fine(cli: Callable[..., Result], name: str) -> None:
    ran = cli("check", SUITES / f"{name}.yaml", "--set", CUT)
    assert ran.exit_code == 0, ran.stderr
    assert f"{name}.yaml: fine" in ran.stdout


@pytest.mark.parametrize(
    ("name", "label", "x"),
    [("pair-mix", "pairs bad-to-good, %", [0, 25, 50, 75, 100]), ("model-size", "width", [32, 64, 128, 256])],
)
def test_a_sweep_has_the_points_of_its_figure(name: str, label: str, x: list[float]) -> None:
    cells = plan(read_study(SUITES / f"{name}.yaml", (CUT,))).cells
    (line,) = lines(cell.variant for cell in cells)
    assert line.label == label
    assert list(line.x.values()) == x


def test_every_subtype_is_trained_on_and_judged_on_the_same_texts() -> None:
    cells = plan(read_study(SUITES / "subtype-transfer.yaml", (CUT,))).cells
    assert {cell.model for cell in cells} == {"insult", "threat", "obscene", "identity_attack"}
    worlds = {cell.inputs for cell in cells if cell.replicate == 0}
    assert len({world.texts()["shifted"] for world in worlds}) == 1
    assert len({world.pairs for world in worlds}) == 4


def test_both_encoders_read_the_same_texts() -> None:
    cells = plan(read_study(SUITES / "encoders.yaml", (CUT,))).cells
    assert {cell.encoder for cell in cells} == {"minilm", "base-lm"}
    assert len({cell.inputs for cell in cells}) == 2  # one a replicate
