"""A run of two tiny language models keeps the shares of its ceiling and shows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.html.write import write_pages
from fairl_bench.pipeline import Finished
from fairl_bench.results.results import read_results
from fairl_bench.values.ceiling import PAIR_ACCURACY, SHARE

BASE = {
    **{
        "use": "tiny-lm",
        "corpus": {"use": "toy-comments", "n": 80, "shift": 0.0},
        "layers": 1,
        "width": 16,
        "heads": 2,
    },
    **{"vocab": 320, "context": 64, "length": 16, "batch": 4, "steps": 8},
}
PAIRS = {
    **{"name": "toy", "use": "aligned-lm", "base": BASE, "expert": {**BASE, "steps": 60}, "n": 160},
    **{"prompts": {"use": "toy-prompts"}, "sampling": {"max_new_tokens": 6}},
}


@pytest.fixture
def asked(tiny: dict[str, Any]) -> dict[str, Any]:
    """A suite of one world whose pairs are drawn from two models, with and without the log-ratio's ceiling."""
    tiny["models"], tiny["seeds"], tiny["testsets"] = [PAIRS], [0], {}
    tiny["methods"] = [{"name": "length", "use": "length"}, {"name": "log-ratio", "use": "log-ratio"}]
    tiny["evaluate"] = [{"use": "classification", "data": ["pairs/train", "pairs/test"], "label": "preferred"}]
    tiny["report"] = {
        "table1": {"data": ["pairs/train", "pairs/test"], "truth": "preferred", "metrics": [PAIR_ACCURACY]},
        "ceiling": {},
    }
    return tiny


def test_a_run_keeps_the_shares_that_its_tables_figure_and_page_show(
    asked: dict[str, Any], run_suite: Callable[..., Finished]
) -> None:
    folder = run_suite(asked).folder
    results = read_results(folder)
    assert results.is_judged  # from intervals.parquet
    shares = [row for row in results.comparisons if row.metric == SHARE]
    assert {(row.method, row.data) for row in shares} == {("length", "pairs/test"), ("log-ratio", "pairs/test")}
    assert not [row for row in results.records if row.metric == SHARE]

    by_name = {row[0]: row[1:] for row in results.tables["ceiling"].rows}
    assert by_name["log-ratio (both models)"][1] == "100 % [100, 100]"
    of_length = next(row.value for row in shares if row.method == "length")
    assert by_name["length"][1].startswith(f"{round(100 * of_length)} % [")

    train, test = next(row[1:] for row in results.tables["table1"].rows if row[0] == "length")
    assert f"({round(100 * of_length)} %)" in test
    assert "%" not in train

    write_pages(results)
    page = (folder / "report.html").read_text()
    assert "share of the ceiling" in page
    assert (folder / "figures" / "ceiling.svg").exists()


def test_shares_are_made_anew_where_run_json_names_another_ceiling(
    asked: dict[str, Any], run_suite: Callable[..., Finished], relist: Callable[[Path], None]
) -> None:
    folder = run_suite(asked).folder
    facts = json.loads((folder / "run.json").read_text())
    facts["unbounded"]["toy"] = "its pairs were chosen"
    (folder / "run.json").write_text(json.dumps(facts))
    relist(folder)
    results = read_results(folder)
    assert not [row for row in results.comparisons if row.metric == SHARE]
    assert {row[-1] for row in results.tables["ceiling"].rows} == {"n/a"}
    assert "toy has no ceiling: its pairs were chosen." in results.tables["ceiling"].notes
