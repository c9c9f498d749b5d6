"""Somebody else's reward, read from a file, beside the methods of a suite."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from fairl_bench.builtin.methods.outside_scores import OutsideScores
from fairl_bench.errors import DataError, UnknownName
from fairl_bench.kinds.method import Method
from fairl_bench.pipeline import Finished
from fairl_bench.results.results import read_results
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import check_method, planted
from fairl_bench.values.training import Inputs, Reward

NOTHING = Reward({"texts": np.zeros((), np.float32)})


def written(path: Path, columns: str, rows: Iterable[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns.split())
        writer.writerows(rows)
    return path


def scored(path: Path, *texts: str, prompts: tuple[str, ...] = (), **fields: Any) -> list[float]:
    method = OutsideScores.named("scores", file=str(path), **fields)
    return method.score(NOTHING, Inputs(texts, np.zeros((len(texts), 0), np.float32), prompts)).tolist()


def test_a_text_has_the_reward_that_the_file_gives_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "id text reward", [(7, "good", 1.5), (8, "two\nlines", -2), (9, "", "1e-3")])
    assert scored(path, "two\nlines", "good", "", "good") == [-2.0, 1.5, 0.001, 1.5]


def test_a_reward_may_depend_on_the_prompt(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "prompt text reward", [("a", "yes", 1), ("b", "yes", -1)])
    assert scored(path, "yes", "yes", prompts=("b", "a")) == [-1.0, 1.0]


def test_one_method_of_a_file_of_several_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "method text reward", [("one", "x", 1), ("two", "x", 2)])
    assert scored(path, "x", method="two") == [2.0]
    with pytest.raises(
        DataError, match=r"a\.csv:3: the file holds the rewards of several methods \('one', 'two'\); name"
    ):
        scored(path, "x")
    with pytest.raises(UnknownName, match=r"a\.csv: method 'tow' is unknown; did you mean 'two'\?"):
        scored(path, "x", method="tow")


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        ("text score", [("x", 1)], r"a\.csv:1: needs a column 'reward', got 'text', 'score'"),
        ("text reward", [("x", "nan")], r"a\.csv:2: 'reward' needs a finite number, got 'nan'"),
        ("text reward", [("x", 1), ("x", 2)], r"a\.csv:3: a text has two rewards; add a column 'prompt' if a .*: 'x'"),
        ("prompt text reward", [("p", "x", 1), ("p", "x", 2)], r"a\.csv:3: a text has two rewards: 'x'"),
        ("text reward", [], r"a\.csv holds no row below its header"),
        ("text reward", [("y", 1)], r"no reward for 1 of 1 texts, such as 'x'; score them too"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    columns: str, rows: list[tuple[Any, ...]], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        scored(written(tmp_path / "a.csv", columns, rows), "x")


def test_it_keeps_the_contract_of_a_method(tmp_path: Path) -> None:
    texts = {text for seed in (0, 1) for text in planted(seed=seed).texts}
    path = written(tmp_path / "a.csv", "text reward", [(text, -len(text)) for text in texts])
    registry = Registry(installed=False)
    check_method(registry.build(Method, {"use": "scores", "file": str(path)}), at_least=0.95, registry=registry)


def test_it_stands_in_table_1_with_the_same_tests(
    run_suite: Callable[..., Finished], tiny: dict[str, Any], tmp_path: Path
) -> None:
    run_suite(tiny)
    examples = pq.read_table(tmp_path / "results" / "examples")
    texts = set(examples["text"].to_pylist())
    lengths = written(tmp_path / "theirs.csv", "text reward", [(text, len(text)) for text in sorted(texts)])
    tiny["methods"].append({"name": "theirs", "use": "scores", "file": lengths.name})
    run_suite(tiny)
    results = read_results(tmp_path / "results")
    auc = {row.method: row.value for row in results.records if row.metric == "auc" and row.data == "shifted"}
    assert abs(auc["theirs"] - 0.5) == pytest.approx(abs(auc["length"] - 0.5))  # the sign is the file's own
    assert {row.method for row in results.comparisons if row.other == "theirs"} >= {"max-margin", "length"}
    assert "theirs (scored elsewhere)" in (tmp_path / "results" / "tables" / "table1.md").read_text()
