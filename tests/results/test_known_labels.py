"""How many labels are known stands beside the numbers wherever some are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from fairl_bench.html.write import write_pages
from fairl_bench.results.known_labels import known_of
from fairl_bench.results.results import read_results
from fairl_bench.tables.notes import with_known
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.known import Known
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.table import Table


def sheet(labels: list[int], replicate: int = 0) -> Sheet:
    label = np.array(labels, np.int8)
    truth = Truth(np.where(label == 0, np.nan, label), label)
    return Sheet("", "m", replicate, "t", Examples(("a",) * len(labels), truths={"gold": truth}), {})


def shown(*sheets: Sheet) -> Table:
    table = Table("Table 1", (("", "method"), ("t", "AUC"), ("u", "AUC")), (("me", "0.5", "0.6"),), ())
    return with_known(table, known_of(sheets), lambda data: "gold", ["t", "u"])


def test_n_of_n_known_stands_in_the_head_and_in_a_note() -> None:
    table = shown(sheet([1, 0, -1, 0]))
    assert table.heads == (("", "method"), ("t (2 of 4 known)", "AUC"), ("u", "AUC"))
    assert table.notes == ("t: 2 of 4 labels of the truth 'gold' are known; its numbers are of these alone.",)


def test_nothing_is_said_where_all_are_known() -> None:
    assert shown(sheet([1, -1])).heads[1] == ("t", "AUC")
    assert shown(sheet([1, -1])).notes == ()


def test_of_several_replicates_the_least_and_the_most_are_said() -> None:
    assert shown(sheet([1, 0, 0]), sheet([1, 1, -1], 1)).heads[1][0] == "t (1 of 3 to 3 of 3 known)"


def test_a_data_set_that_is_a_row_says_so_in_its_row() -> None:
    table = Table("Table 3", (("", "data"), ("", "subtype")), (("t", "threat"), ("u", "t")), ())
    rows = with_known(table, known_of([sheet([1, 0])]), lambda data: "gold", ["t"]).rows
    assert rows == (("t (1 of 2 known)", "threat"), ("u", "t"))


@pytest.fixture
def half_known(
    tiny: dict[str, Any], tmp_path: Path, write_suite: Callable[..., Path], cli: Callable[..., Result]
) -> str:
    """What a run prints whose test set has every third label alone."""
    rows = [{"text": f"{'rude' if i % 2 else 'kind'} words {i}", "toxic": None if i % 3 else i % 2} for i in range(30)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tiny["testsets"] = {
        "shifted": {"use": "jsonl-texts", "path": "texts.jsonl", "gold": {"column": "toxic", "good": 0}}
    }
    ran = cli("run", write_suite(tiny), "--results", tmp_path / "results")
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_a_run_its_report_and_its_page_say_how_many_labels_are_known(
    half_known: str, tmp_path: Path, cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "shifted (10 of 30 known)" in half_known
    folder = tmp_path / "results"
    monkeypatch.setattr("fairl_bench.html.write.pictures", lambda parts, material, guard: {})
    write_pages(read_results(folder))
    assert read_results(folder).known["shifted", "gold"] == {Known(10, 30)}
    assert "shifted (10 of 30 known)" in cli("report", folder, "--table", "1").stdout
    assert "shifted (10 of 30 known)" in (folder / "report.html").read_text()
    record = next(row for row in read_results(folder).records if row.data == "shifted" and row.metric == "accuracy")
    assert record.n == 10
