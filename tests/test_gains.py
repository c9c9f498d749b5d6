"""The generated tables of gains in docs/explanation/failure-aware.md, from the results of a small suite."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.pipeline import Finished

ROOT = Path(__file__).parent.parent
FAILURE_AWARE: dict[str, Any] = {
    "use": "failure-aware",
    "base": {"use": "max-entropy"},
    "detector": {"use": "bottom-fraction"},
    "rounds": 3,
}


@pytest.fixture
def folder(tiny: dict[str, Any], run_suite: Callable[..., Finished]) -> Path:
    tiny["methods"] = [
        {"name": "max-entropy", "use": "max-entropy"},
        {"name": "fa", **FAILURE_AWARE},
        {"name": "no-failures", **FAILURE_AWARE, "sampling": {"use": "constant", "value": 0.0}},
    ]
    return run_suite(tiny, results="results/tiny").folder


def lines(folder: Path, metric: str) -> list[str]:
    import gains

    return gains.table(f"tiny shifted {metric}", folder.parent).splitlines()


def test_a_gain_is_that_over_the_control_of_the_same_base(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    head, _, own, gain = lines(folder, "auc")
    assert head == "| AUC ↑ of shifted | as the suite says |"
    assert re.fullmatch(r"\| max-entropy itself \| 0\.\d{3} ± 0\.\d{3} \|", own)
    assert re.fullmatch(
        r"\| fa over no-failures \| (\*\*)?[+-]\d\.\d{3} \[[+-]\d\.\d{3}, [+-]\d\.\d{3}\](\*\*)? \|", gain
    )


def test_a_gain_of_a_distance_is_what_it_falls_by(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import pyarrow.parquet as pq

    rows = pq.read_table(folder / "records.parquet").to_pylist()

    def mean(method: str) -> float:
        own = [
            row["value"]
            for row in rows
            if (row["method"], row["dataset"], row["truth"], row["metric"], row["slice"])
            == (method, "shifted", "gold", "starc", "all")
        ]
        return sum(own) / len(own)

    shown = float(re.findall(r"[+-]\d\.\d{3}", lines(folder, "starc")[-1])[0])
    assert shown == pytest.approx(mean("no-failures") - mean("fa"), abs=5e-4)


def test_without_results_there_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import gains

    assert gains.table("tiny shifted auc", tmp_path) is None
