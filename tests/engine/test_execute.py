"""What is done, what is not done again, and what becomes of failures and damage."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.engine.execute import Outcome, Watcher, execute, jobs, missing
from fairl_bench.engine.executors.here import Here, perform
from fairl_bench.engine.plan import Plan
from fairl_bench.engine.planner import plan
from fairl_bench.engine.stages.texts import Splits
from fairl_bench.engine.worker import Worker
from fairl_bench.errors import StoreError
from fairl_bench.executor import JobReport
from fairl_bench.pipeline import Finished
from fairl_bench.store.housekeeping import damage
from fairl_bench.store.manifest import MANIFEST, manifest_text
from fairl_bench.store.store import Store
from fairl_bench.suite.read import read_study
from fairl_bench.values.records import Record
from fairl_bench.values.stage import Stage

Run = Callable[..., Finished]
KINDS = ("examples", "split", "embeddings", "reward", "scores", "measures")

BAD = """
from fairl_bench import PairwiseMethod, hookimpl


class Bad(PairwiseMethod):
    def loss(self, margin):
        {loss}


@hookimpl
def fairl_methods(register):
    register("bad", Bad)
"""


def kinds(finished: Finished, keys: Sequence[str]) -> Counter[str]:
    return Counter(finished.plan.stages[key].kind for key in keys)


def of_kind(finished: Finished, *wanted: str) -> list[str]:
    return [key for key, stage in finished.plan.stages.items() if stage.kind in wanted]


def flip(folder: Path) -> None:
    path = next(path for path in sorted(folder.iterdir()) if path.name != MANIFEST)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def forget(store: Store, keys: Sequence[str]) -> None:
    for key in keys:
        shutil.rmtree(store.path(key))


def values(records: Sequence[Record], *methods: str) -> dict[tuple[Any, ...], tuple[str, int, str]]:
    """Value (exactly, NaN too), count and note by coordinates; without the key of the stage."""
    return {
        (r.model, r.encoder, r.head, r.method, r.replicate, r.seed, r.data, r.slice, r.truth, r.metric, r.other): (
            r.value.hex(),
            r.n,
            r.note,
        )
        for r in records
        if not methods or r.method in methods
    }


# --- what is missing, and in which order


def test_jobs_are_kind_by_kind_and_stack_what_trains_together(
    tiny: dict[str, Any], write_suite: Callable[..., Path]
) -> None:
    made = plan(read_study(write_suite(tiny)))
    done: set[str] = set()
    sizes = Counter()
    for job in jobs(list(made.stages.values())):
        assert all(set(stage.inputs.values()) <= done for stage in job)
        done |= {stage.key for stage in job}
        sizes[job[0].kind, len(job)] += 1
    assert done == made.stages.keys()
    # max-margin and max-entropy by two seeds are one job of four
    assert sizes["reward", 4] == 1
    assert sizes["reward", 1] == 2


def test_nothing_is_missing_when_all_is_there(ran: Finished, store: Store) -> None:
    assert missing(ran.plan, store) == []


def test_everything_is_missing_from_an_empty_store(ran_once: tuple[Path, Finished], store: Store) -> None:
    made = ran_once[1].plan
    assert [stage.key for stage in missing(made, store)] == list(made.stages)


def test_inputs_of_what_is_missing_are_made_too(ran: Finished, store: Store) -> None:
    cell = ran.plan.cells[0]
    embeddings = of_kind(ran, "embeddings")
    forget(store, embeddings)
    assert missing(ran.plan, store) == []
    forget(store, [cell.scores])
    assert {stage.key for stage in missing(ran.plan, store)} == {cell.scores, *embeddings}


# --- what is done


def test_a_first_run_does_every_stage_once(ran_once: tuple[Path, Finished]) -> None:
    finished = ran_once[1]
    assert sorted(finished.outcome.done) == sorted(finished.plan.stages)
    assert not finished.outcome.failed
    assert not finished.outcome.skipped


def test_a_second_identical_run_computes_nothing(ran: Finished, run_suite: Run, tiny: dict[str, Any]) -> None:
    again = run_suite(tiny)
    assert again.outcome == Outcome()
    assert values(again.records) == values(ran.records)


def test_embeddings_that_are_gone_are_not_missed(
    ran: Finished, run_suite: Run, tiny: dict[str, Any], store: Store
) -> None:
    forget(store, of_kind(ran, "embeddings"))
    again = run_suite(tiny)
    assert again.outcome.done == []
    assert values(again.records) == values(ran.records)


def test_another_field_of_a_method_is_trained_scored_and_measured_anew(
    ran: Finished, run_suite: Run, tiny: dict[str, Any]
) -> None:
    tiny["methods"][0]["margin"] = 0.1
    again = run_suite(tiny)
    assert kinds(again, again.outcome.done) == {"reward": 2, "scores": 2, "measures": 4}
    others = ("max-entropy", "mean-difference", "length")
    assert values(again.records, *others) == values(ran.records, *others)
    assert values(again.records, "max-margin") != values(ran.records, "max-margin")


def test_another_seed_leaves_the_others_alone(ran: Finished, run_suite: Run, tiny: dict[str, Any]) -> None:
    tiny["seeds"] = [0, 1, 2]
    again = run_suite(tiny)
    assert kinds(again, again.outcome.done) == {"reward": 2, "scores": 2, "measures": 4}
    assert values(ran.records).items() < values(again.records).items()


@pytest.mark.parametrize(("method", "seeds"), [("max-entropy", [1]), ("max-margin", [0]), ("mean-difference", [0])])
def test_a_cell_alone_gives_the_numbers_that_it_gives_in_company(
    method: str, seeds: list[int], ran_once: tuple[Path, Finished], run_suite: Run, tiny: dict[str, Any]
) -> None:
    tiny["methods"] = [entry for entry in tiny["methods"] if entry["name"] == method]
    tiny["seeds"] = seeds
    alone = values(run_suite(tiny).records)
    assert len(alone) == (24 if method == "mean-difference" else 26)  # which has no epochs
    assert alone.items() <= values(ran_once[1].records).items()


def test_work_is_told_to_the_watcher(run_suite: Run, tiny: dict[str, Any]) -> None:
    told: list[tuple[str, Any]] = []
    watcher = Watcher(
        lambda job, done, total: told.append(("started", (job[0].kind, len(job), done, total))),
        lambda key, share, note: told.append(("moved", (share, note))),
        lambda job, failures: told.append(("finished", tuple(failures))),
    )
    run_suite(tiny, watcher=watcher)
    started = [what for kind, what in told if kind == "started"]
    assert [done for *_, done, _ in started] == list(range(len(started)))
    assert {total for *_, total in started} == {len(started)}
    assert [what for kind, what in told if kind == "finished"] == [()] * len(started)
    assert ("moved", (1.0, "epoch 3, 4 of 4 runs")) in told


# --- damage


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_reported_set_aside_and_made_again_to_the_same_records(
    kind: str, ran: Finished, run_suite: Run, tiny: dict[str, Any], store: Store
) -> None:
    key = of_kind(ran, kind)[0]
    flip(store.path(key))
    # inputs are read when something that needs them is to be made
    forget(
        store,
        [k for k in of_kind(ran, "scores", "measures") if KINDS.index(kind) < KINDS.index(ran.plan.stages[k].kind)],
    )
    said: list[str] = []
    again = run_suite(tiny, watcher=Watcher(damaged=said.append))
    assert again.outcome.damaged == [key]
    assert not again.outcome.failed
    assert key in again.outcome.done
    assert values(again.records) == values(ran.records)
    assert len(said) == 1
    assert f"{key[:12]} is damaged" in said[0]
    assert [path.name.partition("-")[0] for path in (store.root / "damaged").iterdir()] == [key]
    assert run_suite(tiny).outcome == Outcome()


@pytest.mark.parametrize("kind", ["examples", "split", "scores", "measures"])
def test_damage_that_only_the_results_folder_reads_is_mended_too(
    kind: str, ran: Finished, run_suite: Run, tiny: dict[str, Any], store: Store
) -> None:
    key = of_kind(ran, kind)[-1]
    flip(store.path(key))
    again = run_suite(tiny, results="elsewhere")
    assert again.outcome.damaged == [key]
    assert again.outcome.done == [key]
    assert values(again.records) == values(ran.records)


def test_a_broken_manifest_is_mended(ran: Finished, run_suite: Run, tiny: dict[str, Any], store: Store) -> None:
    key = of_kind(ran, "reward")[0]
    (store.path(key) / MANIFEST).write_text("[]")
    again = run_suite(tiny)
    assert again.outcome.damaged == again.outcome.done == [key]
    assert values(again.records) == values(ran.records)


@pytest.mark.parametrize("kind", ["split", "reward", "nothing"])
def test_a_manifest_of_another_kind_is_mended(
    kind: str, ran: Finished, run_suite: Run, tiny: dict[str, Any], store: Store
) -> None:
    key = of_kind(ran, "scores")[0]
    told = store.manifest(key) | {"kind": kind}
    (store.path(key) / MANIFEST).write_text(manifest_text(key, told))  # its own checksum holds
    again = run_suite(tiny, results="elsewhere")
    assert again.outcome.damaged == again.outcome.done == [key]
    assert values(again.records) == values(ran.records)


def test_whole_files_that_cannot_be_read_are_mended(
    ran: Finished, run_suite: Run, tiny: dict[str, Any], store: Store
) -> None:
    for kind, name, content in (
        ("scores", "scores.safetensors", b"no safetensors"),
        ("measures", "measures.json", b'[{"metric": 3}]'),
        ("examples", "examples.parquet", b"PAR1PAR1"),
    ):
        key = of_kind(ran, kind)[0]
        told = store.manifest(key)
        (store.path(key) / name).write_bytes(content)
        told["files"][name] = hashlib.sha256(content).hexdigest()
        (store.path(key) / MANIFEST).write_text(manifest_text(key, told))
        said: list[str] = []
        again = run_suite(tiny, results=kind, watcher=Watcher(damaged=said.append))
        assert again.outcome.damaged == [key]
        assert f"it cannot be read as {kind}" in said[0]
        assert len(said[0].splitlines()) == 1
        assert values(again.records) == values(ran.records)


@pytest.mark.parametrize("kind", ["embeddings", "reward", "scores", "split"])
def test_what_was_spoiled_since_is_set_aside_though_nothing_reads_it(
    kind: str, ran: Finished, run_suite: Run, tiny: dict[str, Any], store: Store
) -> None:
    key = of_kind(ran, kind)[0]
    flip(store.path(key))
    assert run_suite(tiny).outcome.damaged == [key]
    assert list(damage(store)) == []
    assert run_suite(tiny).outcome == Outcome()


def test_an_artefact_that_is_damaged_each_time_ends_the_run(
    tiny: dict[str, Any], run_suite: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Splits, "load", lambda kind, folder: {}["gone"])
    with pytest.raises(
        StoreError, match=r"cannot be read as split: KeyError.* each of the 3 times that it was made ag"
    ):
        run_suite(tiny)


# --- failures


@pytest.fixture
def with_bad(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "bad.py").write_text(BAD.format(loss='raise ValueError("boom")'))
    tiny["plugins"] = ["bad.py"]
    tiny["methods"].insert(1, {"name": "bad", "use": "bad"})
    return tiny


def test_a_method_that_fails_in_a_stack_fails_alone(
    with_bad: dict[str, Any], ran_once: tuple[Path, Finished], run_suite: Run
) -> None:
    finished = run_suite(with_bad)
    made, outcome = finished.plan, finished.outcome
    cells = [cell for cell in made.cells if cell.method == "bad"]
    assert outcome.failed == {
        cell.reward: f"bad on toy, replicate 0, seed {cell.seed}: ValueError: boom" for cell in cells
    }
    assert outcome.skipped == {
        key: outcome.failed[cell.reward] for cell in cells for key in (cell.scores, *cell.measures)
    }
    assert {*outcome.done, *outcome.failed, *outcome.skipped} == made.stages.keys()
    # and the others have the numbers of a run without it
    assert values(finished.records) == values(ran_once[1].records)


def test_a_failure_is_not_remembered(with_bad: dict[str, Any], run_suite: Run, tmp_path: Path) -> None:
    first = run_suite(with_bad)
    again = run_suite(with_bad)
    assert again.outcome.failed == first.outcome.failed
    assert again.outcome.done == []
    (tmp_path / "bad.py").write_text(BAD.format(loss="return -margin"))
    mended = run_suite(with_bad)
    assert kinds(mended, mended.outcome.done) == {"reward": 2, "scores": 2, "measures": 4}
    assert not mended.outcome.failed


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ("return margin * float('nan')", "the loss of 'bad' is nan in epoch 1; lower training.lr"),
        ("return margin.mean()", r"the loss of 'bad' turned margins \[1, .*into \[\]; it must be elementwise"),
    ],
)
def test_a_loss_that_is_none_fails_with_its_reason(
    loss: str, reason: str, with_bad: dict[str, Any], run_suite: Run, tmp_path: Path
) -> None:
    import re

    (tmp_path / "bad.py").write_text(BAD.format(loss=loss))
    finished = run_suite(with_bad)
    assert len(finished.outcome.failed) == 2
    assert all(re.search(reason, said) for said in finished.outcome.failed.values())
    assert {record.method for record in finished.records} == {"max-margin", "max-entropy", "mean-difference", "length"}


def test_everything_is_on_the_disk_when_a_run_ends_and_when_it_is_interrupted(
    run_suite: Run, tiny: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[int] = []
    monkeypatch.setattr(store, "settle", lambda: settled.append(len(list(store.root.glob("??/*")))))

    def stop(job: Sequence[Stage], done: int, total: int) -> None:
        if job[0].kind == "scores":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_suite(tiny, watcher=Watcher(stop))
    finished = run_suite(tiny)
    assert settled == [len(finished.plan.stages) - 6 - 12, len(finished.plan.stages)]


def test_a_thousand_failures_are_skipped_for_in_one_pass() -> None:
    # a chain below each failure: looking at every other job for every failure would take minutes
    n = 3000
    stages = {}
    for i in range(n):
        chain = ("", "reward"), (f"reward{i}", "scores"), (f"scores{i}", "measures")
        for read, kind in chain:
            stages[f"{kind}{i}"] = Stage(kind, f"{kind}{i}", kind, inputs={"input": read} if read else {})

    class Failing:
        slots = 1

        def submit(self, job: Any) -> None:
            self.job = job

        def next(self) -> tuple[Any, JobReport]:
            return self.job, JobReport(failed={self.job[0].key: ("no", "")})

        def close(self, *, at_once: bool) -> None:
            pass

    class Nothing:
        def has(self, key: str) -> bool:
            return False

        def settle(self) -> None:
            pass

    class Everything:
        def __init__(self) -> None:
            self.stages = stages

        def turns(self) -> dict[str, int]:
            return {}

        def wanted(self) -> list[str]:
            return list(stages)

    outcome, start = Outcome(), time.process_time()
    execute(Everything(), Nothing(), Failing(), Watcher(), outcome)  # type: ignore[arg-type]
    assert (len(outcome.failed), len(outcome.skipped)) == (n, 2 * n)
    assert set(outcome.skipped.values()) == {"reward: no"}
    assert time.process_time() - start < 2  # it takes 0.1 s


def test_a_test_set_that_fails_leaves_no_cell_and_says_why(
    run_suite: Run, tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairl_bench.builtin.testsets.JsonlTexts.check", lambda self: None)  # which would say it first
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n')
    tiny["testsets"]["shifted"] = {"use": "jsonl-texts", "path": "texts.jsonl", "gold": {"column": "toxic", "good": 0}}
    finished = run_suite(tiny)
    (reason,) = finished.outcome.failed.values()
    assert reason.startswith(f"texts of shifted: {tmp_path / 'texts.jsonl'}:1: no column 'toxic'")
    assert set(finished.outcome.skipped.values()) == {reason}
    assert kinds(finished, finished.outcome.done) == {"examples": 1, "split": 1, "embeddings": 1, "reward": 6}
    assert finished.records == []


def test_a_store_that_fails_ends_the_run(
    tiny: dict[str, Any], write_suite: Callable[..., Path], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study(write_suite(tiny))
    made: Plan = plan(study)

    def full(*args: object) -> None:
        raise StoreError("the store is full")

    monkeypatch.setattr(store, "write", full)
    outcome = Outcome()
    with pytest.raises(StoreError, match="the store is full"):
        execute(
            made,
            store,
            Here(lambda job: perform(job, Worker(store, study.registry), Watcher().moved)),
            Watcher(),
            outcome,
        )
    assert outcome == Outcome()


def test_what_another_process_has_made_meanwhile_is_not_made_again(
    ran: Finished, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = ran.plan.cells[0]
    worker = Worker(store, None)  # type: ignore[arg-type]  # no part can be built: any work would fail
    seen = [False]

    def has(key: str) -> bool:
        """Not there when the work is planned, there when its lock is held."""
        first, seen[0] = not seen[0], seen[0] or key == cell.scores
        return not (first and key == cell.scores)

    monkeypatch.setattr(store, "has", has)
    outcome = Outcome()
    execute(ran.plan, store, Here(lambda job: perform(job, worker, Watcher().moved)), Watcher(), outcome)
    assert seen == [True]
    assert not outcome.failed


def test_a_stage_is_plain_data(ran_once: tuple[Path, Finished]) -> None:
    import json

    for stage in ran_once[1].plan.stages.values():
        assert isinstance(stage, Stage)
        assert json.loads(json.dumps([stage.parts, stage.settings, stage.inputs]))
