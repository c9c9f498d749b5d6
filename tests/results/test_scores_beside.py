"""A CSV file of scores beside a results folder, in ``compare``."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fairl_bench.errors import DataError, UnknownName
from fairl_bench.pipeline import Finished
from fairl_bench.results.compare import compare
from fairl_bench.results.results import read_results

Run = Callable[..., Finished]


@pytest.fixture
def folder(run_suite: Run, tiny: dict[str, Any], tmp_path: Path) -> Path:
    run_suite(tiny)
    return tmp_path / "results"


def of_method(folder: Path, method: str, path: Path, *, column: bool = False) -> Path:
    """The rewards of a method of a results folder, seed 0, as somebody would send them."""
    rows = dict[str, float]()
    for sheet in read_results(folder).sheets(["pairs/train", "pairs/test", "shifted"]):
        reward = next(reward for run, reward in sheet.rewards.items() if run.method == method)
        rows |= dict(zip(sheet.examples.text, reward.tolist(), strict=True))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "reward", *(["method"] if column else [])])
        writer.writerows([text, reward, *([method] if column else [])] for text, reward in rows.items())
    return path


def test_a_method_beside_its_own_scores_differs_in_nothing(folder: Path, tmp_path: Path) -> None:
    theirs = of_method(folder, "length", tmp_path / "theirs.csv")
    found = compare(f"{folder}:length", str(theirs)).differences
    assert {(row.comparison.data, row.comparison.metric) for row in found} >= {
        (data, metric) for data in ("pairs/test", "shifted") for metric in ("accuracy", "auc")
    }
    assert {row.comparison.value for row in found} == {0.0}


@pytest.mark.parametrize("maximise", ["accuracy", "balanced"])
def test_the_numbers_are_those_that_the_file_has_as_a_method_of_the_suite(
    maximise: str, run_suite: Run, tiny: dict[str, Any], tmp_path: Path
) -> None:
    tiny["evaluate"][0]["threshold"]["maximise"] = maximise
    run_suite(tiny)
    folder = tmp_path / "results"
    texts = pq.read_table(folder / "examples")["text"].to_pylist()
    theirs = tmp_path / "theirs.csv"
    with theirs.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "reward"])
        writer.writerows({text: (text, text.count("e")) for text in texts}.values())
    beside = compare(f"{folder}:max-margin", str(theirs)).differences
    tiny["methods"].append({"name": "theirs", "use": "scores", "file": theirs.name})
    run_suite(tiny, "with")
    within = compare(f"{tmp_path / 'with'}:max-margin", f"{tmp_path / 'with'}:theirs").differences

    def numbers(rows: Any) -> dict[tuple[str, str], tuple[float, ...]]:
        return {
            (row.comparison.data, row.comparison.metric): (row.first, row.second, row.comparison.low, row.comparison.p)
            for row in rows
        }

    assert len(beside) >= 8
    assert numbers(beside) == {place: pytest.approx(values, nan_ok=True) for place, values in numbers(within).items()}


def test_without_a_method_the_file_is_held_against_each(folder: Path, tmp_path: Path) -> None:
    theirs = of_method(folder, "length", tmp_path / "theirs.csv", column=True)
    found = compare(f"{theirs}:length", str(folder))
    methods = {counted.methods[1].partition(":")[2] for counted in found.counts}
    assert methods == {"max-margin", "max-entropy", "mean-difference", "length"}


def test_a_file_that_lacks_texts_says_which(folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("text,reward\nnobody wrote this,1\n")
    with pytest.raises(DataError, match=r"theirs\.csv has no reward for 48 of 48 texts, such as .*; score them too"):
        compare(str(folder), str(theirs))


def test_what_is_no_comparison_is_refused(folder: Path, tmp_path: Path) -> None:
    theirs = of_method(folder, "length", tmp_path / "theirs.csv", column=True)
    with pytest.raises(DataError, match="are both files; name a results folder on one side"):
        compare(str(theirs), str(theirs))
    with pytest.raises(UnknownName, match="method 'lenght' is unknown; did you mean 'length'"):
        compare(f"{theirs}:lenght", str(folder))
    with pytest.raises(UnknownName, match="method 'max-margn' is unknown; did you mean 'max-margin'"):
        compare(f"{folder}:max-margn", str(theirs))
