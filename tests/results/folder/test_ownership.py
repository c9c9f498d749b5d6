"""A results folder owns what its manifest lists, and nothing else: whatever else lies there stays as it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from results_files import MINE, content, plant, untouched

from fairl_bench.errors import ResultsError
from fairl_bench.html.write import write_pages
from fairl_bench.pipeline import Finished, run
from fairl_bench.results.folder import Entry, Manifest, note, read_manifest
from fairl_bench.results.results import read_results
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Cli = Callable[..., Result]
Run = Callable[..., Finished]


# --- whose files they are


def test_a_run_leaves_alone_what_it_has_not_written(
    run_suite: Run, short: dict[str, Any], tmp_path: Path, undrawn: None
) -> None:
    folder = tmp_path / "results"
    plant(folder)
    run_suite(short)
    write_pages(read_results(folder))
    short["methods"] = short["methods"][:1]
    del short["report"]
    run_suite(short)
    write_pages(read_results(folder))
    assert untouched(folder)
    left = {name.partition("/")[0] for name in content(folder)} - {"suite.yaml", "records.parquet", "intervals.parquet"}
    ours = {"tables", "figures", "rewards", "scores", "examples", "truths", "histories", "metrics.json"}
    assert left == ours | {"notes.txt"}
    assert [path.name for path in (folder / "tables").iterdir()] == ["thesis.tex"]
    assert len(list((folder / "rewards").iterdir())) == 2


def test_so_does_one_of_another_suite_that_may_overwrite(
    run_suite: Run, short: dict[str, Any], store: Store, write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    folder = run_suite(short).folder
    plant(folder)
    before = content(folder).keys() - set(MINE)
    short.update(name="other", models=[{**short["models"][0], "name": "else"}])
    run(read_study(write_suite(short)), store, folder, replace_results=True)
    assert untouched(folder)
    assert not {name for name in before if "toy-" in name} & content(folder).keys()
    assert read_results(folder).name == "other"


def test_readers_do_not_read_what_is_not_listed(run_suite: Run, short: dict[str, Any]) -> None:
    folder = run_suite(short).folder
    before = read_results(folder)
    shutil.copy(folder / "scores" / "toy-tfidf-length-r0-sall.parquet", folder / "scores" / "copy.parquet")
    again = read_results(folder)
    assert repr(again.records) == repr(before.records)
    assert len(again.sheets(["pairs/test"])[0].rewards) == 2


@pytest.mark.parametrize(
    "name",
    [
        *("suite.yaml", "run.json", "records.parquet", "manifest.json", "tables/table1.md", "report.html"),
        *("scores/toy-tfidf-length-r0-sall.parquet", "rewards/toy-tfidf-length-r0-sall/reward.json"),
    ],
)
def test_somebody_elses_file_in_the_place_of_ours_is_refused_by_name(
    name: str, run_suite: Run, short: dict[str, Any], tmp_path: Path, undrawn: None
) -> None:
    plant(tmp_path / "results", (name,))
    with pytest.raises(ResultsError, match=f"results/{name} is (a file that no run has written|damaged or none of)"):
        write_pages(run_suite(short).results)
    assert untouched(tmp_path / "results", (name,))


@pytest.mark.parametrize("name", ["scores", "tables", "rewards", "rewards/toy-tfidf-length-r0-sall", "suite.yaml"])
def test_nothing_is_written_or_removed_through_a_link(
    name: str, run_suite: Run, short: dict[str, Any], tmp_path: Path
) -> None:
    there = tmp_path / "elsewhere"
    plant(there, ("thesis.tex", "reward.json"))
    place = tmp_path / "results" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(there if name != "suite.yaml" else there / "thesis.tex")
    with pytest.raises(ResultsError, match=f"results/{name} is a link that no run has written, in the place of a f"):
        run_suite(short)
    assert {path.name for path in there.iterdir()} == {"thesis.tex", "reward.json"}
    assert untouched(there, ("thesis.tex", "reward.json"))


def test_what_is_in_the_way_is_told_before_anything_is_computed(
    run_suite: Run, short: dict[str, Any], tmp_path: Path, store: Store
) -> None:
    plant(tmp_path / "results", ("scores/toy-tfidf-length-r0-sall.parquet",))
    with pytest.raises(ResultsError, match="move it away, or name another folder with --results"):
        run_suite(short)
    assert store.keys() == []


def test_the_results_folder_itself_may_be_a_link(run_suite: Run, short: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    run_suite(short)
    assert read_results(tmp_path / "disk").records


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside", "a//b", "a\\..\\b", ""])
def test_a_manifest_that_names_a_place_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(Manifest("s", {name: Entry("0" * 64, "x")}).text())
    with pytest.raises(ResultsError, match=r"manifest.json is damaged or none of ours"):
        read_manifest(tmp_path)


# --- a folder from before there were manifests


def test_a_folder_of_before_is_read_with_a_note_and_has_a_manifest_after_the_next_run(
    ran: Finished, run_suite: Run, tiny: dict[str, Any], cli: Cli
) -> None:
    (ran.folder / "manifest.json").unlink()
    told = cli("report", "results")
    assert told.exit_code == 0
    assert told.stderr == (
        "note: results has no manifest.json: it is of an earlier version, and damage to its files cannot be seen; "
        "the next run writes one\n"
    )
    run_suite(tiny)
    assert cli("report", "results").stdout == told.stdout
    assert cli("report", "results").stderr == ""


def test_a_run_takes_nothing_of_a_folder_of_before_for_whole(
    ran: Finished, run_suite: Run, tiny: dict[str, Any]
) -> None:
    before = content(ran.folder)
    path = ran.folder / "scores" / "toy-tfidf-length-r0-sall.parquet"
    table = pq.read_table(path)
    changed = table.set_column(3, "reward", [table["reward"].to_pylist()[::-1]])
    pq.write_table(changed, path)  # its footer says what it said
    (ran.folder / "manifest.json").unlink()
    run_suite(tiny)
    assert content(ran.folder) == before


def test_what_others_have_put_into_a_folder_of_before_stays(
    ran: Finished, run_suite: Run, tiny: dict[str, Any], undrawn: None
) -> None:
    plant(ran.folder, MINE[:3])
    (ran.folder / "manifest.json").unlink()
    write_pages(read_results(ran.folder))
    assert not (ran.folder / "manifest.json").exists()
    tiny["methods"] = tiny["methods"][:2]
    run_suite(tiny)
    write_pages(read_results(ran.folder))
    run_suite(tiny)
    assert untouched(ran.folder, MINE[:3])
    assert note(ran.folder) is None


def test_a_suite_of_the_users_own_is_not_taken_for_a_runs(
    run_suite: Run, short: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ResultsError, match=r"suite.yaml is a file that no run has written"):
        run_suite(short, results=".")  # where the suite itself lies
    assert (tmp_path / "suite.yaml").read_text().startswith("name: tiny")


def test_the_report_of_a_folder_from_before_tables_were_parts_is_read(ran: Finished, cli: Cli) -> None:
    (ran.folder / "manifest.json").unlink()
    (ran.folder / "metrics.json").unlink()
    path = ran.folder / "suite.yaml"
    two = "{data: [shifted], truth: gold, metrics: [], spread: seed, methods: [max-margin, length], train_texts: null}"
    path.write_text(path.read_text().replace("report:\n", f"report:\n  table2: {two}\n  table3: null\n"))
    results = read_results(ran.folder)
    assert list(results.report) == ["table2", "table1"]
    assert cli("report", "results", "-t", "2").exit_code == 0
