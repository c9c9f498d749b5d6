"""A suite at every point of a product: what differs, what is shared, and how the points are told apart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from fairl_bench.engine.planner import plan
from fairl_bench.pipeline import Finished, run
from fairl_bench.results.results import read_results
from fairl_bench.store.folder import FolderStore
from fairl_bench.suite.read import read_study
from fairl_bench.suite.yaml import dump
from fairl_bench.values.records import Record

Run = Callable[..., Finished]
T, W = "methods.max-entropy.temperature", "head.width"
COLD, WIDE, HOT = ({T: 0.5, W: 4}, {T: 0.5, W: 8}, {T: 1.0, W: 4})  # (1.0, 8) is left out


def variant(point: dict[str, Any]) -> str:
    return json.dumps(point, sort_keys=True, separators=(",", ":"))


@pytest.fixture(scope="module")
def swept(ran_once: tuple[Path, Finished], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Three methods of the tiny suite at three points; to be read only."""
    folder = tmp_path_factory.mktemp("swept")
    suite = YAML(typ="safe", pure=True).load((ran_once[0].parent / "suite.yaml").read_text())
    suite["methods"] = [method for method in suite["methods"] if method["name"] != "mean-difference"]
    suite["product"], suite["exclude"] = {T: [0.5, 1.0], W: [4, 8]}, [{T: 1.0, W: 8}]
    (folder / "suite.yaml").write_text(dump(suite))
    return run(read_study(folder / "suite.yaml"), FolderStore(folder / "store"), folder / "results")


def metadata(path: Path) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in pq.read_schema(path).metadata.items()}


def numbers(found: list[Record], method: str, point: dict[str, Any]) -> dict[tuple[Any, ...], str]:
    return {
        (row.data, row.truth, row.metric, row.seed): row.value.hex()
        for row in found
        if (row.method, row.variant) == (method, variant(point))
    }


def test_a_record_names_its_point_in_canonical_json(swept: Finished) -> None:
    found = read_results(swept.folder).records
    # max-margin and max-entropy by two seeds and length: 24 numbers each, and two epochs of a trained one
    single = [row for row in found if not row.other]
    assert Counter(row.variant for row in single) == {variant(point): 5 * 24 + 4 * 2 for point in (COLD, WIDE, HOT)}
    assert variant(COLD) == '{"head.width":4,"methods.max-entropy.temperature":0.5}'


def test_what_does_not_depend_on_the_point_is_done_once(swept: Finished) -> None:
    done = Counter(swept.plan.stages[key].kind for key in swept.outcome.done)
    assert len(swept.outcome.done) == len(set(swept.outcome.done))
    assert {kind: done[kind] for kind in ("examples", "split", "embeddings")} == {
        "examples": 2,
        "split": 1,
        "embeddings": 2,
    }
    rewards = {
        name: len({cell.reward for cell in swept.plan.cells if cell.method == name})
        for name in ("max-entropy", "max-margin")
    }
    # two seeds: at three points, and at two widths whatever the temperature
    assert rewards == {"max-entropy": 6, "max-margin": 4}


def test_equal_questions_at_two_points_have_the_same_numbers_and_others_do_not(swept: Finished) -> None:
    found = swept.records
    for method, same in (("max-margin", True), ("max-entropy", False), ("length", True)):
        assert (numbers(found, method, COLD) == numbers(found, method, HOT)) is same
    assert numbers(found, "max-margin", COLD) != numbers(found, "max-margin", WIDE)
    assert numbers(found, "max-entropy", COLD) != numbers(found, "max-entropy", WIDE)


def test_the_numbers_at_a_point_are_those_of_a_suite_that_says_so_itself(
    swept: Finished, run_suite: Run, tiny: dict[str, Any]
) -> None:
    tiny["head"], tiny["methods"] = {"width": 8}, [tiny["methods"][1] | {"temperature": 0.5}]
    alone = run_suite(tiny)
    assert numbers(swept.records, "max-entropy", WIDE) == {
        (row.data, row.truth, row.metric, row.seed): row.value.hex() for row in alone.records
    }
    assert {row.stage for row in alone.records} < {row.stage for row in swept.records}


def test_the_table_has_a_row_for_each_point_and_says_which(swept: Finished) -> None:
    table = swept.tables[0]
    assert [head[1] for head in table.heads[:2]] == ["method", "variant"]
    assert [row[:2] for row in table.rows] == [
        (method, f"width={point[W]} temperature={point[T]}")
        for point in (COLD, WIDE, HOT)
        for method in ("max-margin", "max-entropy", "length")
    ]
    assert "width=8 temperature=0.5" in str(table)
    # every row rests on its own seeds
    assert not any("seeds failed" in note or "not finished" in note for note in table.notes)


def test_every_cell_has_a_scores_file_that_names_its_point(swept: Finished) -> None:
    paths = sorted((swept.folder / "scores").iterdir())
    assert len(paths) == len(swept.plan.cells) == 3 * 5
    found = {(m["method"], m["seed"], m["variant"], m["stage"]) for m in map(metadata, paths)}
    assert found == {
        (cell.method, "all" if cell.seed is None else str(cell.seed), cell.variant, cell.scores)
        for cell in swept.plan.cells
    }


def test_points_that_change_no_data_share_the_examples_file(swept: Finished) -> None:
    for kind in ("examples", "truths"):
        assert [path.name for path in (swept.folder / kind).iterdir()] == ["toy-r0.parquet"]


def test_an_identical_sweep_computes_nothing_and_leaves_the_same_files(swept: Finished, tmp_path: Path) -> None:
    study = read_study(swept.folder.parent / "suite.yaml")
    again = run(study, FolderStore(swept.folder.parent / "store"), tmp_path / "again")
    assert again.outcome.done == []
    for path in swept.folder.rglob("*.parquet"):
        assert (tmp_path / "again" / path.relative_to(swept.folder)).read_bytes() == path.read_bytes(), path


def test_the_resolved_suite_has_the_same_points(swept: Finished) -> None:
    assert plan(read_study(swept.folder / "suite.yaml")).stages.keys() == swept.plan.stages.keys()


def test_two_sizes_of_the_world_are_two_worlds(run_suite: Run, tiny: dict[str, Any]) -> None:
    tiny["product"] = {"models.toy.n": [80, 120]}
    tiny["methods"] = tiny["methods"][-1:]
    finished = run_suite(tiny)
    assert len(finished.plan.worlds) == 2
    for kind in ("examples", "truths"):
        sizes = {
            sum(row["dataset"] == "pairs" for row in pq.read_table(path).to_pylist())
            for path in (finished.folder / kind).iterdir()
        }
        assert len(list((finished.folder / kind).iterdir())) == 2
        if kind == "examples":
            assert sizes == {160, 240}
    names = {path.name for path in (finished.folder / "scores").iterdir()}
    assert len(names) == 2
    rows = {
        json.loads(metadata(path)["variant"])["models.toy.n"]: pq.read_metadata(path).num_rows
        for path in (finished.folder / "scores").iterdir()
    }
    assert rows == {80: 160 + 60, 120: 240 + 60}


def test_a_scores_file_keeps_its_name_when_the_product_grows(run_suite: Run, tiny: dict[str, Any]) -> None:
    tiny["product"] = {W: [4, 8]}
    tiny["methods"] = [tiny["methods"][2], tiny["methods"][3]]

    def names() -> dict[str, tuple[str, str]]:
        found = {path.name: metadata(path) for path in (run_suite(tiny).folder / "scores").iterdir()}
        return {name: (one["method"], one["variant"]) for name, one in found.items()}

    before = names()
    tiny["product"] = {W: [4, 8, 16]}
    after = names()
    assert len(before) == 4
    assert len(after) == 6
    assert before.items() < after.items()


def test_without_a_product_the_variant_is_empty(ran_once: tuple[Path, Finished]) -> None:
    finished = ran_once[1]
    assert {row.variant for row in finished.records} == {""}
    assert {metadata(path)["variant"] for path in (finished.folder / "scores").iterdir()} == {""}
    assert "variant" not in {head[1] for head in finished.tables[0].heads}


def test_a_product_of_one_point_still_names_it(run_suite: Run, tiny: dict[str, Any]) -> None:
    tiny["product"], tiny["methods"] = {W: [4]}, tiny["methods"][-1:]
    assert {row.variant for row in run_suite(tiny).records} == {'{"head.width":4}'}
