"""What is damaged in a results folder is refused by readers, and mended by the next run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from results_files import content, spoil

from fairl_bench.engine.execute import Watcher
from fairl_bench.errors import ResultsError
from fairl_bench.pipeline import Finished, run
from fairl_bench.results.folder import ResultsFolder, read_manifest
from fairl_bench.results.results import read_results
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study

Cli = Callable[..., Result]
Run = Callable[..., Finished]


def test_a_reader_refuses_what_is_damaged_or_missing_in_one_sentence(run_suite: Run, short: dict[str, Any]) -> None:
    path = run_suite(short).folder / "records.parquet"
    spoil(path)
    with pytest.raises(ResultsError, match=r"records.parquet is damaged: its checksum differs; run the suite again"):
        read_results(path.parent)
    (path.parent / "run.json").unlink()
    with pytest.raises(ResultsError, match=r"run.json is missing; run the suite again, and it is written anew"):
        ResultsFolder(path.parent).json("run.json")


def test_a_run_says_what_it_mends(
    run_suite: Run, short: dict[str, Any], store: Store, write_suite: Callable[..., Path]
) -> None:
    folder = run_suite(short).folder
    before = content(folder)
    spoil(folder / "scores" / "toy-tfidf-length-r0-sall.parquet")
    shutil.rmtree(folder / "truths")
    said: list[str] = []
    again = run(read_study(write_suite(short)), store, folder, Watcher(damaged=said.append))
    assert again.outcome.done == []
    assert said == [
        f"{folder}/scores/toy-tfidf-length-r0-sall.parquet was damaged or missing; it is written again",
        f"{folder}/truths/toy-r0.parquet was damaged or missing; it is written again",
    ]
    assert content(folder) == before


@pytest.mark.parametrize("name", ["records.parquet", "scores/toy-tfidf-max-margin-r0-s0.parquet", "manifest.json"])
def test_a_run_of_some_cells_mends_the_files_of_all(
    name: str, ran: Finished, store: Store, write_suite: Callable[..., Path], tiny: dict[str, Any]
) -> None:
    before = content(ran.folder)
    spoil(ran.folder / name)
    run(read_study(write_suite(tiny)), store, ran.folder, only={"method": ["length"]})
    assert content(ran.folder) == before


def test_what_is_damaged_and_forgotten_by_the_store_is_left_out_with_a_word(
    ran: Finished, store: Store, write_suite: Callable[..., Path], tiny: dict[str, Any]
) -> None:
    (cell,) = [cell for cell in ran.plan.cells if (cell.method, cell.seed) == ("max-margin", 0)]
    shutil.rmtree(store.path(cell.scores))
    path = ran.folder / "scores" / "toy-tfidf-max-margin-r0-s0.parquet"
    spoil(path)
    only = {"method": ["length"]}
    warnings = run(read_study(write_suite(tiny)), store, ran.folder, only=only).outcome.warnings
    sentence = "was damaged, and the store no longer has what it was made from; it is left out until a run without"
    assert [f"{path} {sentence}" in one for one in warnings] == [True]
    assert not path.exists()
    assert read_results(ran.folder).records
    assert not run(read_study(write_suite(tiny)), store, ran.folder).outcome.warnings
    assert path.exists()


def test_a_flipped_digit_of_the_format_is_damage_and_mended(
    run_suite: Run, short: dict[str, Any], undrawn: None
) -> None:
    done = run_suite(short)
    path = done.folder / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 3'))
    run_suite(short)
    assert read_manifest(done.folder) is not None


def test_a_damaged_run_json_is_written_again_and_no_more_is_said(run_suite: Run, short: dict[str, Any]) -> None:
    done = run_suite(short)
    spoil(done.folder / "run.json")
    again = run_suite(short)
    assert again.outcome.warnings == []
    assert json.loads((done.folder / "run.json").read_text())["suite"] == short["name"]
