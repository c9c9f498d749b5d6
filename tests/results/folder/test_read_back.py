"""A run reads none of the files back that it has just written: it judges and draws what it holds in memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.html.write import write_pages
from fairl_bench.pipeline import Finished, run
from fairl_bench.results import writer
from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study

_watched: list[tuple[str, list[str]]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _watched or isinstance(arguments[0], int):
        return
    folder, names = _watched[-1]
    path, mode = os.fsdecode(arguments[0]), arguments[1]
    if path.startswith(folder) and mode is not None and "r" in mode and not Path(path).is_dir():
        names.append(path.removeprefix(folder).lstrip("/"))


sys.addaudithook(_note)  # it stays as long as the process, and hears nothing outside of `reads`


@contextmanager
def reads(folder: Path) -> Iterator[list[str]]:
    """The files of a folder that are opened inside to be read."""
    names: list[str] = []
    _watched.append((str(folder), names))
    try:
        yield names
    finally:
        _watched.pop()


@pytest.fixture
def judged(tiny: dict[str, Any]) -> dict[str, Any]:
    """A suite with every table, and a claim that no table compares."""
    both = {"methods": ["max-entropy", "max-margin"], "data": ["pairs/test", "shifted"]}
    tiny["report"] |= {"table2": both, "table3": {**both, "data": ["shifted"]}}
    tiny["claims"] = [{"id": "c", "better": "max-margin", "than": "length", "metric": "spearman", "data": "shifted"}]
    tiny["slices"] = {"baseline": "max-entropy"}
    return tiny


@pytest.fixture
def first(
    judged: dict[str, Any], tmp_path: Path, store: FolderStore, write_suite: Callable[..., Path]
) -> Callable[..., Finished]:
    def start() -> Finished:
        return run(read_study(write_suite(judged)), store, tmp_path / "results", then=write_pages)

    return start


def test_a_run_reads_none_of_its_files_back(first: Callable[..., Finished], tmp_path: Path) -> None:
    with reads(tmp_path / "results") as names:
        finished = first()
    assert finished.claims[0].verdict
    # what it wrote before the work began, and whoever came in between may have changed; and once the training texts,
    # of which all rewards have a link
    assert sorted(set(names) - {"manifest.json", "suite.yaml"})[1:] == []
    assert all(name.startswith(".fairl-bench-half-") for name in set(names) - {"manifest.json", "suite.yaml"})


def test_what_it_holds_in_memory_is_what_a_reader_finds(first: Callable[..., Finished]) -> None:
    finished = first()
    mine, read = finished.results, read_results(finished.folder)
    assert sorted(map(repr, mine.records)) == sorted(map(repr, read.records))
    assert repr(mine.comparisons) == repr(read.comparisons)
    assert repr(mine.verdicts) == repr(read.verdicts)
    assert mine.tables == read.tables
    assert (mine.rows, mine.known, mine.notes, mine.suite, mine.data) == (
        *(read.rows, read.known, read.notes, read.suite, read.data),
    )
    assert mine.run == read.run
    assert repr(mine.sheets(mine.data)) == repr(read.sheets(read.data))
    assert repr(mine.histories) == repr(read.histories)


def test_what_is_too_much_to_remember_is_read_from_the_disk(
    first: Callable[..., Finished], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_REMEMBERED", 0)
    with reads(tmp_path / "results") as names:
        finished = first()
    assert any(name.startswith("scores/") for name in names)
    assert "records.parquet" not in names
    assert repr(finished.results.comparisons) == repr(read_results(finished.folder).comparisons)


def test_what_another_run_has_replaced_is_not_remembered(
    first: Callable[..., Finished], judged: dict[str, Any], store: FolderStore, write_suite: Callable[..., Path]
) -> None:
    before = first().results
    judged["models"][0]["n"] = 100
    run(read_study(write_suite(judged)), store, before.path)
    with before.files.held():  # type: ignore[attr-defined]
        now = StudyResults(before.files, before.asked, before.single_records, before.run, None)
        assert repr(now.sheets(["shifted"])) == repr(read_results(before.path).sheets(["shifted"]))


def test_a_reader_opens_a_file_only_when_it_is_asked_for(ran: Finished) -> None:
    with reads(ran.folder) as names:
        results = read_results(ran.folder)
        assert results.records
        assert sorted(set(names)) == [
            *("intervals.parquet", "manifest.json", "metrics.json", "records.parquet", "run.json", "suite.yaml"),
        ]
        assert results.sheets(["shifted"])
        assert {name.partition("/")[0] for name in names} >= {"scores", "examples", "truths"}
        names.clear()
        assert results.sheets(["shifted", "pairs/test"])
        assert names == []
