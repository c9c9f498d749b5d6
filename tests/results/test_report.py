"""Tables from a results folder alone, and what they are taken over from."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from fairl_bench.errors import ResultsError, UnknownName
from fairl_bench.pipeline import Finished, run
from fairl_bench.results import paired, record_file
from fairl_bench.results.results import read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study

Cli = Callable[..., Result]
Run = Callable[..., Finished]


@pytest.fixture(scope="module")
def folder(ran_once: tuple[Path, Finished], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a suite with every table."""
    tiny = (ran_once[0].parent / "suite.yaml").read_text()
    root = tmp_path_factory.mktemp("reported")
    more = (
        "  table2: {methods: [max-entropy, max-margin], data: [pairs/test, shifted]}\n"
        "  table3: {methods: [max-entropy, max-margin], data: [shifted]}\n"
        "slices: {baseline: max-entropy}\n"
    )
    (root / "suite.yaml").write_text(tiny + more)
    return run(read_study(root / "suite.yaml"), FolderStore(root / "store"), root / "results").folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_folder_gives_the_tables_that_its_run_has_saved(cli: Cli, folder: Path) -> None:
    for name, file in (("1", "table1"), ("2", "table2"), ("3", "table3"), ("slices",) * 2, ("ambiguity",) * 2):
        for ending in ("md", "tex", "csv", "json"):
            ran = cli("report", folder, "--table", name, "--format", ending)
            assert ran.exit_code == 0
            assert ran.stdout.strip() == (folder / "tables" / f"{file}.{ending}").read_text().strip()


def test_without_a_name_every_table_is_printed(cli: Cli, folder: Path) -> None:
    ran = cli("report", folder)
    titles = [line for line in ran.stdout.splitlines() if re.fullmatch(r"Table \d|Slices|Ambiguity", line)]
    assert titles == ["Table 1", "Table 2", "Table 3", "Slices", "Ambiguity"]


def test_a_moved_folder_gives_the_same_tables_without_store_and_suite(cli: Cli, copy: Path, folder: Path) -> None:
    assert cli("report", copy).stdout == cli("report", folder).stdout


def test_intervals_are_shown_on_request(cli: Cli, folder: Path) -> None:
    assert not re.search(r"\[0\.\d{3}, ", cli("report", folder, "-t", "1").stdout)
    assert re.search(r"\[0\.\d{3}, [01]\.\d{3}\]", cli("report", folder, "-t", "1", "--intervals").stdout)


def test_tables_2_and_3_are_of_any_two_methods(cli: Cli, folder: Path) -> None:
    ran = cli("report", folder, "-t", "2", "-t", "3", "--methods", "length,mean-difference")
    assert "only length" in ran.stdout
    assert "mean-difference less length, points" in ran.stdout
    assert "max-margin" not in ran.stdout


def test_a_report_imports_no_torch(folder: Path) -> None:
    code = (
        "import sys; from fairl_bench.cli.main import main\n"
        f"main(['report', {str(folder)!r}], standalone_mode=False)\n"
        "print(sorted({'torch', 'transformers', 'sklearn'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_nothing_is_resampled_again_where_nothing_changed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired, "compared", lambda *_, **__: pytest.fail("resampled again"))
    assert read_results(folder).comparisons


@pytest.mark.parametrize("change", ["records", "scores", "report", "gone"])
def test_statistics_are_made_anew_where_what_they_rest_on_changed(
    change: str, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "manifest.json").unlink()  # it would say that the files are damaged
    if change == "records":
        rows = read_results(copy).records
        fewer = record_file.table(row for row in rows if row.metric != "kendall")
        pq.write_table(fewer, copy / "records.parquet")
    elif change == "scores":
        (copy / "scores" / "toy-tfidf-length-r0-sall.parquet").unlink()
    elif change == "report":
        suite = copy / "suite.yaml"
        suite.write_text(suite.read_text().replace("starc", "epic"))
    else:
        (copy / "intervals.parquet").unlink()
    called: list[object] = []
    real = paired.compared
    monkeypatch.setattr(paired, "compared", lambda *a, **k: called.append(a) or real(*a, **k))
    found = read_results(copy)
    assert called
    assert found.comparisons


def test_statistics_made_anew_are_those_of_the_run(copy: Path, folder: Path) -> None:
    (copy / "manifest.json").unlink()
    (copy / "intervals.parquet").unlink()
    again, before = read_results(copy), read_results(folder)
    assert repr(again.comparisons) == repr(before.comparisons)
    assert sorted(map(repr, again.statistics.records)) == sorted(map(repr, before.statistics.records))


def test_failed_runs_are_counted_from_the_folder_alone(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    told = json.loads((copy / "run.json").read_text())
    told["rows"][0]["failed"] = 1
    told["rows"][0]["all"] = 3
    (copy / "run.json").write_text(json.dumps(told))
    found = read_results(copy)
    table = found.tables["table1"]
    assert "max-margin: 1 of 3 seeds failed." in table.notes


def test_a_folder_without_run_json_still_has_its_tables(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    (copy / "run.json").unlink()
    found = read_results(copy)
    assert found.tables["table1"].rows


def test_the_counts_of_table_2_are_in_the_records_run_by_run(folder: Path) -> None:
    rows = [row for row in read_results(folder).records if row.other == "max-margin"]
    assert {(row.method, row.seed) for row in rows} == {("max-entropy", 0), ("max-entropy", 1)}
    assert {row.metric for row in rows} == {
        *("both", "only_method", "only_other", "neither", "mcnemar", "mcnemar_corrected", "mcnemar_p")
    }
    assert {row.slice for row in rows} >= {"all", "subtype:threat"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{tmp}"], "error: {tmp} is no results folder: it has no suite.yaml; name one that 'run' has written\n"),
        (
            ["{folder}", "-t", "4"],
            "error: table 'table4' is unknown; did you mean 'table3' or 'table2'?\n",
        ),
        (["{folder}", "--methods", "length"], "error: --methods length: needs two different methods, A,B\n"),
        (
            ["{folder}", "--methods", "length,length"],
            "error: --methods length,length: needs two different methods, A,B\n",
        ),
        (
            ["{folder}", "--methods", "length,max-entrpy"],
            "error: {folder}: method 'max-entrpy' is unknown; did you mean 'max-entropy'?\n",
        ),
    ],
)
def test_a_mistake_is_told_in_these_words(
    arguments: list[str], said: str, cli: Cli, folder: Path, tmp_path: Path
) -> None:
    names = {"tmp": tmp_path, "folder": folder}
    ran = cli("report", *(argument.format(**names) for argument in arguments))
    assert (ran.exit_code, ran.stderr) == (2, said.format(**names))


def test_a_table_that_the_suite_does_not_ask_for_is_told(cli: Cli, ran: Finished) -> None:
    found = cli("report", ran.folder, "-t", "2")
    assert found.exit_code == 2
    assert (
        f"{ran.folder} has no table 'table2' (it has: table1, ambiguity); its suite does not ask for it" in found.stderr
    )


def test_a_folder_without_records_is_unfinished(copy: Path) -> None:
    (copy / "records.parquet").unlink()
    with pytest.raises(ResultsError, match=r"it has no records\.parquet"):
        read_results(copy)


def test_a_method_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UnknownName, match="method 'mm' is unknown"):
        read_results(folder).between(("mm", "length"))


def test_scores_that_lack_an_example_are_refused(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    path = copy / "scores" / "toy-tfidf-length-r0-sall.parquet"
    table = pq.read_table(path)
    at = table["split"].to_pylist().index("test")
    pq.write_table(table.take([i for i in range(table.num_rows) if i != at]), path)
    (copy / "intervals.parquet").unlink()
    with pytest.raises(ResultsError, match=r"scores of 'pairs/test' lack example \d+ and 0 more; run the suite again"):
        read_results(copy)


# --- compare


def test_two_methods_of_a_folder_are_compared(cli: Cli, folder: Path) -> None:
    ran = cli("compare", f"{folder}:max-entropy", f"{folder}:length", "--format", "json")
    assert ran.exit_code == 0
    decoder = json.JSONDecoder()
    first, end = decoder.raw_decode(ran.stdout)
    assert first["title"] == "Comparison"
    rows = {(row["data"], row["metric"]): row for row in first["rows"]}
    assert set(rows) == {(d, m) for d in ("pairs/test", "shifted") for m in ("accuracy", "f1", "auc", "starc")}
    told = {row.method: row for row in read_results(folder).comparisons if not row.other and row.metric == "auc"}
    one = rows["shifted", "auc"]
    assert one["second_mean"] == pytest.approx(told["length"].value)
    assert one["difference"] == pytest.approx(one["second_mean"] - one["first_mean"])
    assert one["low"] < one["difference"] < one["high"]
    assert one["p"] <= one["p_holm"]
    assert json.loads(ran.stdout[end:])["title"] == "max-entropy and length"


def test_turning_the_sides_around_turns_the_signs(cli: Cli, folder: Path) -> None:
    sides = (f"{folder}:max-entropy", f"{folder}:length")
    there, back = (
        json.JSONDecoder().raw_decode(cli("compare", *pair, "--format", "json").stdout)[0]["rows"]
        for pair in (sides, sides[::-1])
    )
    for one, other in zip(there, back, strict=True):
        assert one["difference"] == pytest.approx(-other["difference"])


def test_two_folders_are_compared_method_by_method(
    run_suite: Run, cli: Cli, tiny: dict[str, Any], ran: Finished
) -> None:
    tiny["training"] = {"epochs": 1}
    run_suite(tiny, results="shorter")
    found = cli("compare", "results", "shorter", "--format", "json")
    rows = json.JSONDecoder().raw_decode(found.stdout)[0]["rows"]
    assert {(row["first"], row["second"]) for row in rows} == {
        (f"results:{m}", f"shorter:{m}") for m in ("max-margin", "max-entropy", "mean-difference", "length")
    }
    still = [row for row in rows if row["first"] == "results:length"]
    assert all((row["difference"], row["p"]) == (0, 1) for row in still)


def test_folders_of_other_examples_are_not_paired(
    run_suite: Run, cli: Cli, tiny: dict[str, Any], ran: Finished
) -> None:
    tiny["replicates"] = [7]
    run_suite(tiny, results="elsewhere")
    found = cli("compare", "results:length", "elsewhere:length")
    assert found.exit_code == 2
    assert "were not judged on the same examples of pairs/test, shifted" in found.stderr


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("{f}", "{f}", "error: {f} is both sides; name a method of each: {f}:METHOD\n"),
        ("{f}:length", "{f}:length", "error: {f}:length is both sides; name two methods or two folders\n"),
        ("{f}:lenght", "{f}", "error: {f}: method 'lenght' is unknown; did you mean 'length'?\n"),
        ("gone", "{f}", "error: gone is no results folder: it has no suite.yaml; name one that 'run' has written\n"),
    ],
)
def test_sides_that_cannot_be_compared_are_told(first: str, second: str, said: str, cli: Cli, folder: Path) -> None:
    ran = cli("compare", first.format(f=folder), second.format(f=folder))
    assert (ran.exit_code, ran.stderr) == (2, said.format(f=folder))


# --- evaluate, on the command line (tests/results/test_evaluate.py has the rest)


def test_evaluate_prints_the_tables_of_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("reward,label,method\n1,1,a\n0,-1,a\n1,1,b\n2,-1,b\n")
    ran = cli("evaluate", "s.csv", "--threshold", "0.5", "--methods", "b,a")
    assert ran.exit_code == 0
    assert "A text is called good above 0.5." in ran.stdout
    assert "a less b, points" in ran.stdout
    broken = cli("evaluate", "s.csv", "--methods", "b")
    assert (broken.exit_code, broken.stderr) == (2, "error: --methods b: needs two different methods, A,B\n")


def test_a_files_hostile_names_reach_the_terminal_without_control_characters(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("reward,label,method\n1,1,\x1b[31mred\n0,-1,\x1b[31mred\n")
    ran = cli("evaluate", "s.csv")
    assert "\x1b" not in ran.stdout
    assert "red" in ran.stdout
