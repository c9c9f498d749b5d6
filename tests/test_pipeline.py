"""What a run leaves in its results folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairl_bench import pipeline
from fairl_bench.engine.execute import Watcher
from fairl_bench.engine.finished_work import SELECTED
from fairl_bench.engine.planner import plan
from fairl_bench.errors import ResultsError
from fairl_bench.pipeline import Finished, run
from fairl_bench.results import record_file
from fairl_bench.results.results import read_results
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.tables.formats import as_csv, as_json, as_latex, as_markdown

Run = Callable[..., Finished]

BROKEN = """
from fairl_bench import Method, hookimpl

class Broken(Method):
    def fit(self, task):
        raise RuntimeError("no")

@hookimpl
def fairl_methods(register):
    register("broken", Broken)
"""

S, I16, I64, I8, F32, F64 = pa.string(), pa.int16(), pa.int64(), pa.int8(), pa.float32(), pa.float64()

# contracts.md, column by column
RECORDS = {
    **dict.fromkeys(["suite", "model", "encoder", "head", "method", "variant"], S),
    **{"replicate": I16, "seed": I16},
    **dict.fromkeys(["dataset", "split", "slice", "truth", "metric", "other"], S),
    **{"value": F64, "n": I64, "note": S, "stage": S},
}
SCORES = {"dataset": S, "split": S, "example": I64, "reward": F32}
EXAMPLES = {"dataset": S, "split": S, "example": I64, "pair": I64, "role": S, "group": S, "prompt": S, "text": S}
TRUTHS = {"dataset": S, "example": I64, "truth": S, "value": F64, "label": I8}


@pytest.fixture(scope="module")
def done(ran_once: tuple[Path, Finished]) -> Finished:
    return ran_once[1]


def columns(path: Path) -> dict[str, pa.DataType]:
    schema = pq.read_schema(path)
    return dict(zip(schema.names, schema.types, strict=True))


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).iterdir())


# --- schemas


def test_the_records_have_the_columns_of_the_contract(done: Finished) -> None:
    found = columns(done.folder / "records.parquet")
    assert found == RECORDS
    assert list(found) == list(RECORDS)


@pytest.mark.parametrize(("kind", "expected"), [("scores", SCORES), ("examples", EXAMPLES), ("truths", TRUTHS)])
def test_the_other_files_have_the_columns_of_the_contract(
    kind: str, expected: dict[str, pa.DataType], done: Finished
) -> None:
    found = [columns(path) for path in files(done.folder, kind)]
    assert found
    assert all(one == expected for one in found)


def test_records_are_sorted_by_their_key_and_no_key_comes_twice(done: Finished) -> None:
    rows = [tuple(row.values())[:14] for row in pq.read_table(done.folder / "records.parquet").to_pylist()]
    keys = [tuple((value is None, value or 0) if i == 7 else value for i, value in enumerate(row)) for row in rows]
    assert keys == sorted(keys)
    assert len(set(rows)) == len(rows)


def test_records_are_read_back_as_they_were(done: Finished) -> None:
    assert sorted(map(repr, read_results(done.folder).records)) == sorted(map(repr, done.records))


def test_equal_records_are_one_table_whatever_their_order(done: Finished) -> None:
    one, other, fewer = (
        repr(record_file.table(rows).to_pylist()) for rows in (done.records, done.records[::-1], done.records[1:])
    )
    assert one == other != fewer


def test_there_is_a_record_for_each_number_of_each_cell(done: Finished) -> None:
    # 6 cells; per data set 6 numbers of classification and 6 of fidelity
    single = [record for record in done.records if not record.other]
    chosen = [record for record in single if record.metric in SELECTED]
    assert len(chosen) == 4 * 2  # of the trained ones, which epoch was kept and from which on it could be
    assert {record.stage for record in chosen} == {cell.reward for cell in done.plan.cells if cell.head == "mlp"}
    single = [record for record in single if record not in chosen]
    assert len(single) == 6 * 2 * 12
    assert {record.seed for record in single if record.method == "length"} == {None}
    assert {record.head for record in single if record.method == "mean-difference"} == {"linear"}
    assert {(record.dataset, record.split) for record in single} == {("pairs", "test"), ("shifted", "")}
    assert {record.stage for record in single} == {key for cell in done.plan.cells for key in cell.measures}
    # two seeds of two methods: three numbers between them on each data set
    between = [record for record in done.records if record.other]
    assert len(between) == 2 * 2 * 3
    assert {record.other for record in between} == {"seed:1"}


def test_an_undefined_number_is_nan_with_its_reason(run_suite: Run, tiny: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "a", "toxic": 0}\n{"text": "b", "toxic": 0}\n')
    tiny["testsets"]["shifted"] = {"use": "jsonl-texts", "path": "texts.jsonl", "gold": {"column": "toxic", "good": 0}}
    tiny["methods"] = tiny["methods"][-1:]
    finished = run_suite(tiny)
    undefined = {r.metric: r.note for r in finished.records if r.data == "shifted" and r.value != r.value}
    assert "auc" in undefined
    assert all(undefined.values())
    assert undefined["auc"] == "AUC needs good and bad texts, got 2 all good"


def test_scores_carry_the_coordinates_of_their_cell(done: Finished) -> None:
    found = set()
    for path in files(done.folder, "scores"):
        metadata = {str(name, "utf-8"): str(value, "utf-8") for name, value in pq.read_schema(path).metadata.items()}
        found.add(
            tuple(metadata[name] for name in ("model", "encoder", "head", "method", "replicate", "seed", "stage"))
        )
    assert found == {
        (c.model, c.encoder, c.head, c.method, str(c.replicate), "all" if c.seed is None else str(c.seed), c.scores)
        for c in done.plan.cells
    }


def test_every_cell_scores_every_example(done: Finished) -> None:
    (examples,) = (pq.read_table(path).to_pylist() for path in files(done.folder, "examples"))
    places = [(row["dataset"], row["split"], row["example"]) for row in examples]
    assert len(set(places)) == len(places) == 2 * 120 + 60
    for path in files(done.folder, "scores"):
        rows = pq.read_table(path).to_pylist()
        assert [(row["dataset"], row["split"], row["example"]) for row in rows] == places


def test_examples_outside_pairs_have_no_pair_and_no_role(done: Finished) -> None:
    (path,) = files(done.folder, "examples")
    rows = pq.read_table(path).to_pylist()
    in_pairs = [row for row in rows if row["dataset"] == "pairs"]
    assert [row["role"] for row in in_pairs] == ["preferred", "rejected"] * 120
    assert [row["pair"] for row in in_pairs] == [i for i in range(120) for _ in range(2)]
    assert {row["split"] for row in in_pairs} <= {"train", "validation", "test", ""}
    assert {(row["pair"], row["role"], row["split"]) for row in rows if row["dataset"] == "shifted"} == {
        (None, None, "")
    }


def test_accuracy_can_be_rebuilt_from_scores_truths_and_the_threshold_alone(done: Finished) -> None:
    folder, checked = done.folder, 0
    found = read_results(folder).records
    thresholds = {(r.method, r.seed, r.data): r.value for r in found if (r.metric, r.truth) == ("threshold", "gold")}
    accuracies = {
        (r.method, r.seed, r.data): (r.value, r.n) for r in found if (r.metric, r.truth) == ("accuracy", "gold")
    }
    (truths,) = (pq.read_table(path).to_pylist() for path in files(folder, "truths"))
    label = {(row["dataset"], row["example"]): row["label"] for row in truths if row["truth"] == "gold"}
    for path in files(folder, "scores"):
        metadata = pq.read_schema(path).metadata
        method, seed = metadata[b"method"].decode(), metadata[b"seed"].decode()
        rows = pq.read_table(path).to_pylist()
        for data in ("pairs/test", "shifted"):
            cell = (method, None if seed == "all" else int(seed), data)
            mine = [row for row in rows if f"{row['dataset']}/{row['split']}".rstrip("/") == data]
            right = [(row["reward"] > thresholds[cell]) == (label[row["dataset"], row["example"]] > 0) for row in mine]
            assert (sum(right) / len(right), len(right)) == accuracies[cell]
            checked += 1
    assert checked == 12


def test_truths_hold_what_is_known_of_each_example(done: Finished) -> None:
    (path,) = files(done.folder, "truths")
    rows = pq.read_table(path).to_pylist()
    assert {row["truth"] for row in rows if row["dataset"] == "pairs"} >= {"preferred", "gold"}
    assert "preferred" not in {row["truth"] for row in rows if row["dataset"] == "shifted"}
    assert any(row["truth"].startswith("subtype:") for row in rows)
    assert {row["label"] for row in rows} == {-1, 1}


def test_run_json_says_what_ran_where(done: Finished) -> None:
    found = json.loads((done.folder / "run.json").read_text())
    assert found["suite"] == "tiny"
    assert (found["seeds"], found["replicates"]) == ([0, 1], [0])
    assert {"torch", "numpy", "fairl-bench"} <= found["packages"].keys()
    assert {stage["key"] for stage in found["stages"]} == set(done.plan.stages)
    assert all(stage["computed"] and stage["seconds"] >= 0 for stage in found["stages"])
    assert (found["failed"], found["skipped"], found["damaged"]) == ({}, {}, [])


def test_run_json_says_what_was_there_before(ran: Finished, run_suite: Run, tiny: dict[str, Any]) -> None:
    found = json.loads((run_suite(tiny).folder / "run.json").read_text())
    assert not any(stage["computed"] for stage in found["stages"])


def test_every_table_is_saved_in_four_formats(done: Finished) -> None:
    assert [table.title for table in done.tables] == ["Table 1", "Ambiguity"]
    for table in done.tables:
        for ending, render in {"md": as_markdown, "csv": as_csv, "tex": as_latex, "json": as_json}.items():
            assert (done.folder / "tables" / f"{table.name}.{ending}").read_text() == render(table)
    assert len(list((done.folder / "tables").iterdir())) == 8


def test_the_resolved_suite_is_the_suite(done: Finished) -> None:
    study = read_study(done.folder / "suite.yaml")
    assert plan(study).stages.keys() == done.plan.stages.keys()


def test_no_half_written_file_is_left(done: Finished) -> None:
    assert [path for path in done.folder.rglob("*") if path.name.startswith(".")] == []


# --- again


def test_an_identical_run_leaves_identical_files(ran: Finished, run_suite: Run, tiny: dict[str, Any]) -> None:
    def content() -> dict[str, bytes]:
        told = ("run.json", "manifest.json")  # when it was, and the digest of that
        paths = [path for path in ran.folder.rglob("*") if path.is_file() and path.name not in told]
        return {str(path.relative_to(ran.folder)): path.read_bytes() for path in paths}

    before = content()
    assert len(before) > 10
    run_suite(tiny)
    assert content() == before


def test_files_that_say_the_same_already_are_left_alone(ran: Finished, run_suite: Run, tiny: dict[str, Any]) -> None:
    def written() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in ran.folder.rglob("*.parquet")}

    before = written()
    assert {path.parent.name for path in before} >= {"results", "scores", "histories", "examples", "truths"}
    run_suite(tiny)
    assert written() == before


def test_records_that_are_not_those_of_the_run_are_written_anew(
    ran: Finished, run_suite: Run, tiny: dict[str, Any]
) -> None:
    path = ran.folder / "records.parquet"
    whole, rows = path.read_bytes(), read_results(ran.folder).records
    for other in (rows[1:], [*rows[1:], replace(rows[0], value=-1.0)]):
        pq.write_table(record_file.table(other), path)
        run_suite(tiny)
        assert path.read_bytes() == whole


def test_a_results_folder_can_be_made_again_from_the_store(ran: Finished, run_suite: Run, tiny: dict[str, Any]) -> None:
    again = run_suite(tiny, results="again")
    assert again.outcome.done == []
    for path in ran.folder.rglob("*.parquet"):
        assert (again.folder / path.relative_to(ran.folder)).read_bytes() == path.read_bytes(), path


def test_a_folder_of_another_suite_is_refused(ran: Finished, run_suite: Run, tiny: dict[str, Any]) -> None:
    before = (ran.folder / "records.parquet").read_bytes()
    tiny["name"] = "other"
    with pytest.raises(
        ResultsError, match=f"{ran.folder} holds the results of suite 'tiny', not of 'other'; .*--replace-results"
    ):
        run_suite(tiny)
    assert (ran.folder / "records.parquet").read_bytes() == before


def test_a_folder_of_another_suite_is_overwritten_on_request(
    ran: Finished, store: Store, tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    tiny["name"] = "other"
    study = read_study(write_suite(tiny))
    again = run(study, store, ran.folder, replace_results=True)
    assert again.outcome.done == []
    assert {record.suite for record in read_results(ran.folder).records} == {"other"}
    assert read_study(ran.folder / "suite.yaml").suite.name == "other"


def test_a_results_folder_that_cannot_be_written_is_named(run_suite: Run, tiny: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ResultsError, match=f"results folder {tmp_path / 'file' / 'x'} cannot be written: Not a directory; .*--results"
    ):
        run_suite(tiny, results="file/x")


# --- interrupted


def stop_at(kind: str, number: int) -> Watcher:
    """Interrupts the run when the job of that kind and number starts."""
    seen = [0]

    def started(job: Any, done: int, total: int) -> None:
        seen[0] += job[0].kind == kind
        if seen[0] == number:
            raise KeyboardInterrupt

    return Watcher(started)


def test_an_interrupted_run_keeps_what_is_finished_and_writes_its_records(
    run_suite: Run, tiny: dict[str, Any], tmp_path: Path, ran_once: tuple[Path, Finished]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_suite(tiny, watcher=stop_at("measures", 4))
    whole = {repr(record) for record in ran_once[1].records}
    found = {repr(record) for record in read_results(tmp_path / "results").records}
    assert found < whole
    assert found
    run_json = json.loads((tmp_path / "results" / "run.json").read_text())
    assert len(run_json["stages"]) == len(ran_once[1].plan.stages) - (12 - 3)
    again = run_suite(tiny)
    assert len(again.outcome.done) == 12 - 3
    assert {repr(record) for record in again.records} == whole


def test_a_long_run_shows_each_finished_replicate_while_it_goes_on(
    run_suite: Run, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SECONDS_TO_FIRST_RESULTS", 0.0)
    monkeypatch.setattr(pipeline, "SHARE_FOR_RESULTS", 1e9)
    tiny["replicates"] = [4, 0, 2]
    told, shown = list[str](), list[set[int]]()

    def look(text: str) -> None:
        told.append(text)
        shown.append({record.replicate for record in read_results(tmp_path / "results").records})

    finished = run_suite(tiny, watcher=Watcher(told=look))
    assert shown == [{4}, {4, 0}]  # what one replicate needs is done before the next one
    assert [text.split(" finished")[0] for text in told] == ["1 of 3 replicates is", "2 of 3 replicates are"]
    assert [text.split("(")[1].split(")")[0] for text in told] == ["4", "4, 0"]
    assert all("max-margin" in text and str(tmp_path / "results") in text for text in told)
    assert {record.replicate for record in finished.records} == {4, 0, 2}
    told.clear()
    run_suite(tiny, watcher=Watcher(told=look))
    assert not told


def test_a_replicate_of_which_a_part_has_failed_is_shown_too(
    run_suite: Run, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SECONDS_TO_FIRST_RESULTS", 0.0)
    tiny["replicates"] = [0, 1]
    (tmp_path / "broken.py").write_text(BROKEN)
    tiny["plugins"] = ["broken.py"]
    tiny["methods"].append({"name": "broken", "use": "broken"})
    told = list[str]()
    finished = run_suite(tiny, watcher=Watcher(told=told.append))
    assert finished.outcome.failed
    assert [text.split(" finished")[0] for text in told] == ["1 of 2 replicates is"]


def test_what_is_shown_on_the_way_is_of_this_run_alone(
    run_suite: Run, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny["replicates"] = [0, 1]
    tiny["methods"].append({"name": "gone", "use": "length"})
    run_suite(tiny)
    monkeypatch.setattr(pipeline, "SECONDS_TO_FIRST_RESULTS", 0.0)
    tiny["methods"].pop()
    tiny["training"] = {"epochs": 5}  # another question under the same names
    shown = list[set[tuple[int, str]]]()

    def look(text: str) -> None:
        shown.append({(row.replicate, row.method) for row in read_results(tmp_path / "results").records})

    whole = run_suite(tiny, watcher=Watcher(told=look))
    (found,) = shown
    trained = {"max-margin", "max-entropy"}
    assert {replicate for replicate, method in found if method in trained} == {0}
    assert not whole.outcome.warnings


def test_a_replicate_that_was_finished_too_early_is_shown_later(
    run_suite: Run, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny["replicates"] = [0, 1]
    clock, now = pipeline.time.perf_counter, [0.0]
    monkeypatch.setattr(pipeline.time, "perf_counter", lambda: clock() + now[0])
    told = list[str]()

    def started(job: Any, done: int, total: int) -> None:
        now[0] = 1000.0 * (job[0].kind == "scores" and "replicate 1" in job[0].title)

    run_suite(tiny, watcher=Watcher(started=started, told=told.append))
    assert [text.split(" finished")[0] for text in told] == ["1 of 2 replicates is"]


def test_an_interruption_leaves_what_an_earlier_run_wrote_where_the_store_has_forgotten_it(
    run_suite: Run, tiny: dict[str, Any], tmp_path: Path, store: Store
) -> None:
    whole = run_suite(tiny)
    before = {path for path in whole.folder.rglob("*") if path.is_file()}
    for key in store.sizes():
        store.remove(key)
    with pytest.raises(KeyboardInterrupt):
        run_suite(tiny, watcher=stop_at("examples", 1))
    assert {path for path in whole.folder.rglob("*") if path.is_file()} == before
    found = {repr(record) for record in read_results(whole.folder).records}
    assert found >= {repr(record) for record in whole.records}


@pytest.mark.parametrize(
    ("kind", "number"), [("examples", 2), ("split", 1), ("embeddings", 1), ("reward", 1), ("scores", 3)]
)
def test_a_run_that_goes_on_after_an_interruption_leaves_the_same_files(
    kind: str, number: int, run_suite: Run, tiny: dict[str, Any], tmp_path: Path, ran_once: tuple[Path, Finished]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_suite(tiny, watcher=stop_at(kind, number))
    run_suite(tiny)
    whole = ran_once[1].folder
    for path in whole.rglob("*.parquet"):
        assert (tmp_path / "results" / path.relative_to(whole)).read_bytes() == path.read_bytes(), path


ONCE = """
from pathlib import Path

from fairl_bench import Examples, TestSet, hookimpl


class Once(TestSet):
    def examples(self, rng):
        if not Path(__file__).with_name("go").exists():
            raise ValueError("the server is away")
        return Examples(("a", "b"))


@hookimpl
def fairl_testsets(register):
    register("once", Once)
"""


def test_a_test_set_that_is_there_later_comes_into_the_examples_and_truths(
    run_suite: Run, tiny: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "once.py").write_text(ONCE)
    tiny["plugins"] = ["once.py"]
    tiny["testsets"]["late"] = {"use": "once"}

    def datasets() -> set[str]:
        (path,) = files(tmp_path / "results", "examples")
        return set(pq.read_table(path)["dataset"].to_pylist())

    assert list(run_suite(tiny).outcome.failed.values()) == ["texts of late: ValueError: the server is away"]
    assert datasets() == {"pairs", "shifted"}
    (tmp_path / "go").touch()
    assert not run_suite(tiny).outcome.failed
    assert datasets() == {"pairs", "shifted", "late"}
