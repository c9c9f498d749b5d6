"""Reference rows in the statistics and tables of a run: they stand first, and are neither ranked nor compared."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from fairl_bench.errors import ResultsError
from fairl_bench.pipeline import Finished, run
from fairl_bench.results.compare import compare
from fairl_bench.results.published import Published
from fairl_bench.results.regress import measured, regress
from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.values.comparison import Comparison

Cli = Callable[..., Result]
METHODS = ("length", "max-entropy", "max-margin")
AFTER = """\
  - {name: oracle, use: oracle, judge: {use: toy-truth}}
  - {name: other-oracle, use: oracle, judge: {use: toy-truth}}
"""
OF_CLAIM = ("max-margin", "", "shifted", "auc")
CLAIM = "claims: [{id: below, better: oracle, than: max-margin, metric: auc, data: shifted}]\n"


@pytest.fixture(scope="module")
def folder(ran_once: tuple[Path, Finished], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of three methods with two reference rows below them in the suite, and a claim about one of these."""
    root = tmp_path_factory.mktemp("referred")
    lines = (ran_once[0].parent / "suite.yaml").read_text().replace("testsets:", AFTER + "testsets:")
    (root / "suite.yaml").write_text(lines.replace("  - {name: mean-difference, use: mean-difference}\n", "") + CLAIM)
    shutil.copytree(ran_once[0], root / "store")
    return run(read_study(root / "suite.yaml"), FolderStore(root / "store"), root / "results").folder


@pytest.fixture(scope="module")
def results(folder: Path) -> StudyResults:
    return read_results(folder)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def ranked_otherwise(copy: Path, relist: Callable[[Path], None]) -> None:
    """As if the first reference had been a method when the run wrote its folder."""
    facts = json.loads((copy / "run.json").read_text())
    facts["methods"]["oracle"]["reference"] = False
    (copy / "run.json").write_text(json.dumps(facts))
    relist(copy)


def of_two(comparisons: list[Comparison]) -> set[str]:
    return {name for row in comparisons if row.other for name in (row.method, row.other)}


# --- statistics


def test_a_reference_is_in_no_paired_test_and_has_its_own_interval(results: StudyResults) -> None:
    assert of_two(list(results.comparisons)) == set(METHODS)
    own = {row.method for row in results.comparisons if not row.other}
    assert own == {*METHODS, "oracle", "other-oracle"}


def test_holm_is_over_the_pairs_of_methods_alone(results: StudyResults) -> None:
    groups = {row.group: [] for row in results.comparisons}  # type: dict[object, list[Comparison]]
    for row in results.comparisons:
        groups[row.group] += [row] if row.other else []
    assert {len(rows) for rows in groups.values()} == {3}  # of 5 rows there would be 10
    for rows in groups.values():
        least = min(rows, key=lambda row: row.p)
        assert least.p_holm == pytest.approx(min(1.0, 3 * least.p), rel=1e-12)  # float64


def test_statistics_are_made_anew_where_another_row_is_a_reference(
    copy: Path, results: StudyResults, relist: Callable[[Path], None]
) -> None:
    ranked_otherwise(copy, relist)
    again = read_results(copy)
    assert of_two(list(again.comparisons)) == {*METHODS, "oracle"}
    assert again.statistics.signature != results.statistics.signature


def test_a_folder_that_knows_no_references_keeps_its_statistics(copy: Path, relist: Callable[[Path], None]) -> None:
    facts = json.loads((copy / "run.json").read_text())
    del facts["methods"]
    (copy / "run.json").write_text(json.dumps(facts))
    relist(copy)
    assert of_two(list(read_results(copy).comparisons)) == {*METHODS, "oracle", "other-oracle"}


def test_a_claim_about_a_reference_is_judged_as_any_other(results: StudyResults) -> None:
    (verdict,) = results.verdicts
    (own,) = (row.value for row in results.comparisons if (row.method, row.other, row.data, row.metric) == OF_CLAIM)
    assert verdict.effect.gain == pytest.approx(1 - own, abs=1e-12)  # float64
    assert verdict.effect.units == 2
    assert 0 < verdict.p == verdict.p_holm < 1  # one claim is one test


def test_a_published_ordering_of_a_reference_is_compared(folder: Path) -> None:
    names = {
        **{"model": {"Toy": "toy"}, "method": {"O": "oracle", "M": "max-margin"}},
        **{"data": {"Test": "shifted"}, "metric": {"AUC": "auc"}},
    }
    number = {"value": 0.9, "metric": "AUC", "data": "Test", "truth": "gold", "source": {"table": "T"}}
    content = {
        **{"name": "p", "title": "P", "model": "Toy", "encoder": "tfidf", "mapping": names, "margins": {}},
        "numbers": [{**number, "id": "o", "method": "O"}, {**number, "id": "m", "method": "M", "value": 0.7}],
        "orderings": [{"id": "o-m", "better": "o", "than": "m", "source": {"table": "T"}}],
    }
    (line,) = (one for one in regress(measured(folder), Published.model_validate(content)) if one.kind == "ordering")
    assert line.difference > 0
    assert line.low < line.difference < line.high


def test_the_two_methods_that_nobody_names_are_no_references(results: StudyResults) -> None:
    assert set(results.methods) < set(METHODS)


def test_two_folders_are_compared_without_their_references(folder: Path, copy: Path) -> None:
    assert {
        difference.comparison.row.method.partition(":")[2] for difference in compare(str(folder), str(copy)).differences
    } == {*METHODS}


def test_a_reference_is_compared_where_it_is_named(folder: Path) -> None:
    differences = compare(f"{folder}:max-margin", f"{folder}:oracle").differences
    assert {(one.comparison.method, one.comparison.other) for one in differences} == {("max-margin", "oracle")}
    assert {one.second for one in differences if one.comparison.metric == "auc"} == {1.0}


def test_folders_that_share_references_alone_have_nothing_to_compare(
    folder: Path, tmp_path: Path, ran_once: tuple[Path, Finished]
) -> None:
    lines = (folder.parent / "suite.yaml").read_text()
    start, end = lines.index("methods:"), lines.index("  - {name: oracle")
    other = "methods:\n  - {name: mean-difference, use: mean-difference}\n"
    (tmp_path / "suite.yaml").write_text(lines[:start] + other + lines[end:].replace(CLAIM, ""))
    store = FolderStore(Path(shutil.copytree(ran_once[0], tmp_path / "store")))
    second = run(read_study(tmp_path / "suite.yaml"), store, tmp_path / "results").folder
    with pytest.raises(ResultsError, match="share no method but reference rows; name one of each: FOLDER:METHOD"):
        compare(str(folder), str(second))


# --- tables


def test_references_stand_first_and_are_unranked_in_table_1(results: StudyResults) -> None:
    table = results.tables["table1"]
    assert [row[0] for row in table.rows] == [
        "oracle (truth)", "other-oracle (truth)", "max-margin", "max-entropy", "length"
    ]  # fmt: skip
    assert table.references == 2
    assert not any(mark in text for row in table.rows[:2] for text in row for mark in "¹°")
    assert any("¹" in text for row in table.rows[2:] for text in row)
    assert all(row >= 2 for row, _ in table.bold)
    assert (
        "Reference rows stand first, with what they were given: oracle (truth), other-oracle (truth). They are neither "
        "ranked nor compared."
    ) in table.notes


def test_its_files_say_what_each_row_was_given_and_keep_the_names(folder: Path, results: StudyResults) -> None:
    with (folder / "tables" / "table1.csv").open() as file:
        lines = list(csv.DictReader(file))
    told = {(line["method"], line["given"], line["reference"]) for line in lines}
    methods = {(name, "texts", "0") for name in METHODS}
    assert told == methods | {("oracle", "truth", "1"), ("other-oracle", "truth", "1")}
    assert {line["rank"] for line in lines if line["reference"] == "1"} == {""}
    assert {line["rank"] for line in lines if line["reference"] == "0"} >= {"1"}
    assert {row.method for row in results.records} == {*METHODS, "oracle", "other-oracle"}


def test_rows_that_lack_runs_are_called_as_in_the_table(copy: Path, relist: Callable[[Path], None]) -> None:
    facts = json.loads((copy / "run.json").read_text())
    for row in facts["rows"]:
        row["all"] += 1
    (copy / "run.json").write_text(json.dumps(facts))
    relist(copy)
    assert any(note.startswith("oracle (truth): 1 of ") for note in read_results(copy).tables["table1"].notes)
