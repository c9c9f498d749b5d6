"""``--only``: some cells are done, and what the results folder knows of the others stays."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.engine.execute import Watcher
from fairl_bench.engine.planner import plan
from fairl_bench.pipeline import Finished, run
from fairl_bench.results.results import read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.values.records import Record

Write = Callable[..., Path]
Cli = Callable[..., Result]
Cell = tuple[str, int | None]


@pytest.fixture
def only(tmp_path: Path, store: Store, write_suite: Write, tiny: dict[str, Any]) -> Callable[..., Finished]:
    """Runs `tiny` as it is now, for some axes alone."""

    def start(**axes: list[str]) -> Finished:
        return run(read_study(write_suite(tiny)), store, tmp_path / "results", only=axes or None)

    return start


def cells(found: list[Record]) -> set[Cell]:
    return {(row.method, row.seed) for row in found}


def saved(folder: Path) -> list[Record]:
    return read_results(folder).records


def score_files(folder: Path) -> set[str]:
    return {re.sub(r"^toy-tfidf-|-r0|\.parquet$", "", path.name) for path in (folder / "scores").iterdir()}


def lines(found: list[Record]) -> list[str]:
    return sorted(map(repr, found))


@pytest.mark.parametrize(
    ("axes", "wanted"),
    [
        ({"method": ["max-margin"]}, {("max-margin", 0), ("max-margin", 1)}),
        ({"method": ["max-margin", "length"]}, {("max-margin", 0), ("max-margin", 1), ("length", None)}),
        ({"method": ["max-margin"], "seed": ["1"]}, {("max-margin", 1)}),
        # what draws nothing has the answer of every seed
        ({"seed": ["1"]}, {("max-margin", 1), ("max-entropy", 1), ("mean-difference", None), ("length", None)}),
        ({"method": ["length"], "seed": ["1"]}, {("length", None)}),
        ({"model": ["toy"], "encoder": ["tfidf"], "replicate": ["0"], "method": ["length"]}, {("length", None)}),
    ],
)
def test_only_the_cells_of_the_axes_are_computed(
    axes: dict[str, list[str]], wanted: set[Cell], only: Callable[..., Finished]
) -> None:
    finished = only(**axes)
    assert {(cell.method, cell.seed) for cell in finished.plan.cells} == wanted
    assert cells(finished.records) == cells(saved(finished.folder)) == wanted
    done = Counter(finished.plan.stages[key].kind for key in finished.outcome.done)
    assert (done["reward"], done["scores"], done["measures"]) == (len(wanted), len(wanted), 2 * len(wanted))
    assert score_files(finished.folder) == {f"{m}-s{'all' if seed is None else seed}" for m, seed in wanted}


def test_no_world_is_drawn_for_cells_that_are_not_wanted(only: Callable[..., Finished], tiny: dict[str, Any]) -> None:
    tiny["replicates"] = [0, 1]
    finished = only(replicate=["1"], method=["length"])
    titles = {finished.plan.stages[key].title for key in finished.outcome.done}
    assert {world.of.replicate for world in finished.plan.worlds} == {1}
    assert not any("replicate 0" in title for title in titles)
    assert [path.name for path in (finished.folder / "examples").iterdir()] == ["toy-r1.parquet"]


def test_the_numbers_of_a_cell_do_not_depend_on_what_else_is_wanted(
    only: Callable[..., Finished], ran_once: tuple[Path, Finished]
) -> None:
    found = only(method=["max-entropy"], seed=["1"]).records
    assert len(found) == 26
    assert set(map(repr, found)) < set(map(repr, ran_once[1].records))


def test_axes_one_after_the_other_leave_what_one_run_leaves(
    only: Callable[..., Finished], ran_once: tuple[Path, Finished]
) -> None:
    only(seed=["1"])
    only(method=["max-entropy"])
    last = only(method=["max-margin"])
    whole = ran_once[1].folder
    for path in whole.rglob("*"):
        if path.is_file() and path.name not in ("run.json", "manifest.json"):
            assert (last.folder / path.relative_to(whole)).read_bytes() == path.read_bytes(), path


def test_the_records_and_files_of_other_cells_stay(
    ran: Finished, only: Callable[..., Finished], tiny: dict[str, Any]
) -> None:
    tiny["methods"][0]["margin"] = 0.1
    before = saved(ran.folder)
    again = only(method=["max-margin"])
    after = saved(again.folder)
    assert lines([r for r in after if r.method != "max-margin"]) == lines(
        [r for r in before if r.method != "max-margin"]
    )
    changed = [[r for r in rows if r.method == "max-margin"] for rows in (before, after)]
    # 20 numbers of each of two seeds with the epoch kept and the first that could be, and 6 between the two
    assert len(changed[0]) == len(changed[1]) == 58
    single = [{r.stage for r in rows if not r.other} for rows in changed]
    assert not single[0] & single[1]
    assert len(score_files(again.folder)) == 6


def test_the_records_of_other_cells_stay_when_the_store_is_empty(
    ran: Finished, only: Callable[..., Finished], store: Store
) -> None:
    before = lines(saved(ran.folder))
    table = (ran.folder / "tables" / "table1.md").read_text()
    shutil.rmtree(store.root)
    FolderStore(store.root)
    again = only(method=["length"])
    assert {again.plan.stages[key].kind for key in again.outcome.done} >= {"examples", "reward"}
    assert lines(saved(again.folder)) == lines(again.records) == before
    assert len(score_files(again.folder)) == 6
    assert (again.folder / "tables" / "table1.md").read_text() == table


def test_old_records_of_a_wanted_cell_that_fails_now_do_not_stay(
    ran: Finished, only: Callable[..., Finished], tiny: dict[str, Any], tmp_path: Path
) -> None:
    body = "class Bad(Method):\n    def fit(self, task):\n        raise ValueError('boom')\n"
    (tmp_path / "bad.py").write_text(
        f"from fairl_bench import Method, hookimpl\n{body}"
        "@hookimpl\ndef fairl_methods(register):\n    register('bad', Bad)\n"
    )
    tiny["plugins"] = ["bad.py"]
    tiny["methods"][0] = {"name": "max-margin", "use": "bad"}
    again = only(method=["max-margin"])
    assert len(again.outcome.failed) == 2
    assert "max-margin" not in {row.method for row in saved(again.folder)}
    assert not any("max-margin" in name for name in score_files(again.folder))
    assert "max-margin: 2 of 2 seeds failed." in again.tables[0].notes


def test_a_full_run_in_which_a_cell_fails_leaves_no_file_of_what_it_was(
    ran: Finished, only: Callable[..., Finished], tiny: dict[str, Any]
) -> None:
    tiny["training"]["lr"] = 1e30
    again = only()
    assert len(again.outcome.failed) == 4
    assert cells(again.records) == {("mean-difference", None), ("length", None)}
    assert score_files(again.folder) == {"mean-difference-sall", "length-sall"}


def test_an_interrupted_run_of_a_cell_keeps_its_records_if_the_question_is_the_same(
    ran: Finished, store: Store, write_suite: Write, tiny: dict[str, Any]
) -> None:
    before = lines(saved(ran.folder))
    shutil.rmtree(store.root)

    def started(*_: object) -> None:
        raise KeyboardInterrupt

    study = read_study(write_suite(tiny))
    with pytest.raises(KeyboardInterrupt):
        run(study, FolderStore(store.root), ran.folder, Watcher(started), only={"method": ["length"]})
    assert lines(saved(ran.folder)) == before
    assert len(score_files(ran.folder)) == 6


def test_records_of_a_cell_that_the_suite_has_changed_do_not_stay_beside_the_new(
    ran: Finished, only: Callable[..., Finished], tiny: dict[str, Any]
) -> None:
    tiny["evaluate"] = tiny["evaluate"][:1]
    tiny["report"] = {}
    again = only(method=["length"])
    found = saved(again.folder)
    assert {row.metric for row in found if row.method == "length"}.isdisjoint({"starc", "spearman"})
    assert "starc" in {row.metric for row in found if row.method == "max-margin"}


def test_a_full_run_replaces_all_records_and_removes_the_files_of_dropped_cells(
    ran: Finished, only: Callable[..., Finished], tiny: dict[str, Any]
) -> None:
    assert len(score_files(ran.folder)) == 6
    tiny["methods"], tiny["seeds"] = tiny["methods"][1:3], [1]
    kept = only(method=["mean-difference"])
    assert len(score_files(kept.folder)) == 6
    full = only()
    assert cells(saved(full.folder)) == {("max-entropy", 1), ("mean-difference", None)}
    assert score_files(full.folder) == {"max-entropy-s1", "mean-difference-sall"}
    assert full.outcome.done == []


def test_a_full_run_removes_the_examples_of_a_dropped_model(
    only: Callable[..., Finished], tiny: dict[str, Any]
) -> None:
    tiny["methods"] = tiny["methods"][-1:]
    tiny["replicates"] = [0, 1]
    assert len(list((only().folder / "truths").iterdir())) == 2
    tiny["replicates"] = [1]
    folder = only().folder
    for kind in ("examples", "truths"):
        assert [path.name for path in (folder / kind).iterdir()] == ["toy-r1.parquet"]


def test_a_row_whose_other_seeds_were_not_wanted_says_so(only: Callable[..., Finished]) -> None:
    (table,) = only(seed=["1"]).tables
    assert "max-margin: 1 of 2 seeds is not finished." in table.notes
    assert not any(note.startswith("length:") for note in table.notes)


# --- on the command line


def test_the_command_takes_several_axes_and_values(
    cli: Cli, write_suite: Write, tiny: dict[str, Any], tmp_path: Path
) -> None:
    ran = cli(
        "run",
        write_suite(tiny),
        "--only",
        "method=max-margin,length",
        "--only",
        "method=max-entropy",
        "--only",
        "seed=1",
    )
    assert ran.exit_code == 0
    assert cells(saved(tmp_path / "results" / "tiny")) == {("max-margin", 1), ("length", None), ("max-entropy", 1)}


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("methd=length", "only: axis 'methd' is unknown; did you mean 'method'?"),
        ("method", "--only method: needs method=VALUE"),
        ("method=", "--only method=: needs method=VALUE"),
        ("method=lenght", "only: method 'lenght' is unknown; did you mean 'length'?"),
        ("seed=9", "only: seed '9' is unknown; known: '0', '1'"),
    ],
)
def test_an_axis_or_value_that_is_not_there_is_refused(
    option: str, said: str, cli: Cli, write_suite: Write, tiny: dict[str, Any]
) -> None:
    ran = cli("run", write_suite(tiny), "--only", option)
    assert ran.exit_code == 2
    assert f"error: {said}" in ran.stderr


def test_a_wanted_cell_keeps_its_place_in_the_plan(write_suite: Write, tiny: dict[str, Any]) -> None:
    whole = plan(read_study(write_suite(tiny)))
    part = whole.only({"method": ["length", "max-margin"]})
    assert list(part.cells) == [cell for cell in whole.cells if cell.method in {"length", "max-margin"}]
    assert part.stages == whole.stages
