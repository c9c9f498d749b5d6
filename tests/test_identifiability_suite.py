"""``suites/identifiability.yaml`` settles the true and the false halves of Theorem 1, through the whole pipeline."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fairl_bench.pipeline import run
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.values.records import Record

SUITE = Path(__file__).parent.parent / "suites" / "identifiability.yaml"
AXES = {"model": ["plain", "cone", "noisy"], "method": ["max-entropy"], "replicate": ["0"], "seed": ["0"]}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Record]:
    """What one run on each of three worlds says, by (world, data, metric)."""
    folder = tmp_path_factory.mktemp("identifiability")
    finished = run(read_study(SUITE), FolderStore(folder / "store"), folder / "results", only=AXES)
    assert not finished.outcome.failed
    return {(row.model, row.data, row.metric): row for row in finished.records if not row.other}


@pytest.mark.parametrize(
    ("model", "data", "metric", "value"),
    [
        ("plain", "pairs/train", "theorem_strict", 1),
        ("plain", "pairs/train", "theorem_modulo_scale", 0),
        ("plain", "pairs/train", "theorem_weight", 1),
        ("plain", "pairs/train", "theorem_temperature", 0),
        ("plain", "pairs/train", "corollary_width", 1),
        ("plain", "pairs/test", "theorem_strict", 0),
        ("cone", "pairs/train", "theorem_strict", 1),
        ("cone", "pairs/train", "corollary_width", 1),
        ("cone", "pairs/train", "corollary_distance", 0),
        ("noisy", "pairs/train", "theorem_weight", 1),
    ],
)
def test_the_suite_settles(
    said: dict[tuple[str, str, str], Record], model: str, data: str, metric: str, value: float
) -> None:
    assert said[model, data, metric].value == value


def test_where_no_reward_ranks_every_pair_the_feasible_set_is_empty(said: dict[tuple[str, str, str], Record]) -> None:
    row = said["noisy", "pairs/train", "theorem_strict"]
    assert math.isnan(row.value)
    assert row.note == f"no linear reward ranks all {row.n} pairs right, so that F is empty"


def test_the_reward_is_found_and_its_truth_is_exact(said: dict[tuple[str, str, str], Record]) -> None:
    """STARC is small where the angle is: both compare with the world's own reward."""
    assert 0 < said["plain", "pairs/train", "angle"].value < 20
    assert 0 < said["plain", "pairs/test", "starc"].value < 0.4
