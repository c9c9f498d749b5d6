"""A reward that is far from 0 keeps its digits through the store and the results folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fairl_bench.pipeline import Finished
from fairl_bench.results.results import read_results
from fairl_bench.store.artefacts import load_scores, save_scores

FAR = '''
import numpy as np
from fairl_bench import Method, Reward, hookimpl


class Vowels(Method):
    """Counts vowels by length, from an offset."""

    seeded = False
    offset: float = 0.0
    scale: float = 1.0

    def fit(self, task):
        return Reward({})

    def score(self, reward, inputs):
        return self.offset + self.scale * np.array([sum(map(t.count, "aeiou")) / (1 + len(t)) for t in inputs.text])


@hookimpl
def fairl_methods(register):
    register("vowels", Vowels)
'''


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        (np.arange(5.0), np.float32),
        (np.linspace(-1, 2, 7), np.float32),  # what is rounded off is nothing beside the spread
        (1000 + np.linspace(0, 1e-3, 7), np.float64),
        (1e8 + 0.01 * np.arange(5.0), np.float64),
        (np.full(3, 1e8 + 1 / 3), np.float32),  # a constant has no differences
        ((0.1 * (1 + 2.0**-23 * np.arange(3))).astype(np.float32).astype(np.float64), np.float32),
        (np.zeros(0), np.float32),
    ],
)
def test_scores_are_kept_as_float32_unless_that_loses_their_differences(
    scores: np.ndarray, kept: type[np.floating[Any]], tmp_path: Path
) -> None:
    save_scores(tmp_path, {"pairs": scores})
    found = load_scores(tmp_path)["pairs"]
    assert found.dtype == kept
    np.testing.assert_array_equal(found, scores.astype(kept))


@pytest.fixture
def finished(tiny: dict[str, Any], run_suite: Callable[..., Finished], tmp_path: Path) -> Finished:
    (tmp_path / "far.py").write_text(FAR)
    tiny["plugins"] = ["far.py"]
    tiny["methods"] = [
        {"name": "near", "use": "vowels"},
        {"name": "far", "use": "vowels", "offset": 1e8, "scale": 0.01},
    ]
    tiny["report"]["table1"]["metrics"] = ["accuracy", "f1", "auc", "starc", "epic"]
    return run_suite(tiny)


def test_a_suite_gives_a_reward_the_same_numbers_wherever_it_is(finished: Finished) -> None:
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in read_results(finished.folder).single_records:
        found.setdefault((row.data, row.truth, row.metric), {})[row.method] = row.value
    assert {"accuracy", "auc", "starc", "starc_per_prompt", "epic", "spearman"} <= {place[2] for place in found}
    for place, value in found.items():
        if place[2] not in ("threshold", "affine_residual"):
            assert value["far"] == pytest.approx(value["near"], abs=1e-5, nan_ok=True), place


def test_a_results_folder_keeps_the_digits_and_the_intervals(finished: Finished) -> None:
    types = {path.stem: pq.read_table(path)["reward"].type for path in (finished.folder / "scores").glob("*.parquet")}
    assert {str(types[name]) for name in types if "-near-" in name} == {"float"}
    assert {str(types[name]) for name in types if "-far-" in name} == {"double"}
    every = read_results(finished.folder).comparisons
    ends = {(one.method, one.data, one.metric): (one.low, one.high) for one in every if not one.other}
    assert len(ends) == 2 * 2 * 5
    for (method, *place), found in ends.items():
        assert found == pytest.approx(ends["near", *place], abs=1e-4, nan_ok=True), (method, place)
