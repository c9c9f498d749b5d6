"""What plugins that follow a run are told, and that they cannot spoil it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from fairl_bench import RunStarted, hookimpl
from fairl_bench.engine.execute import Watcher
from fairl_bench.engine.planner import plan
from fairl_bench.errors import PluginError, StoreError
from fairl_bench.pipeline import Finished, run
from fairl_bench.store.store import Store
from fairl_bench.suite import registry as engine_registry
from fairl_bench.suite.read import Study, read_study
from fairl_bench.suite.registry import Registry

Run = Callable[..., Finished]
LIFE = ("fairl_run_started", "fairl_stage_finished", "fairl_run_finished")

FOLLOW = """
import json
import os
from dataclasses import replace
from pathlib import Path

from fairl_bench import hookimpl


def say(hook, told):
    line = {"hook": hook, "pid": os.getpid(), "by": Path(__file__).stem, **vars(told)}
    with Path(__file__).with_name("told.jsonl").open("a") as out:
        out.write(json.dumps(line, default=str) + "\\n")


@hookimpl
def fairl_run_started(run):
    say("started", run)


@hookimpl
def fairl_stage_finished(stage):
    say("stage", stage)


@hookimpl
def fairl_run_finished(run):
    titles = [table.title for table in run.results.tables.values()] if run.results else None
    say("finished", replace(run, results=titles))
"""
RAISES = """
from fairl_bench import hookimpl


@hookimpl
def {hook}({argument}):
    {what}
"""


def raising(hook: str, what: str = 'raise ValueError("the server\\n is away")') -> str:
    return RAISES.format(hook=hook, argument=hook.split("_")[1], what=what)


@pytest.fixture
def followed(tiny: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny suite with a plugin that writes down what it is told."""
    (tmp_path / "follow.py").write_text(FOLLOW)
    tiny["plugins"] = ["follow.py"]
    return tiny


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """What has been written down since it was last asked, all or of one hook."""

    def read(hook: str = "") -> list[dict[str, Any]]:
        path = tmp_path / "told.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return [line for line in lines if hook in ("", line["hook"])]

    return read


Told = Callable[..., list[dict[str, Any]]]


def bad(tiny: dict[str, Any], tmp_path: Path) -> None:
    source = "from fairl_bench import PairwiseMethod, hookimpl\n\n\nclass Bad(PairwiseMethod):\n"
    source += '    def loss(self, margin):\n        raise ValueError("boom")\n\n\n@hookimpl\n'
    source += 'def fairl_methods(register):\n    register("bad", Bad)\n'
    (tmp_path / "bad.py").write_text(source)
    tiny["plugins"] = [*tiny.get("plugins", []), "bad.py"]
    tiny["methods"].insert(1, {"name": "bad", "use": "bad"})


# --- what is told


def test_a_follower_hears_the_start_then_every_stage_as_it_is_done_then_the_end(
    run_suite: Run, followed: dict[str, Any], told: Told, tmp_path: Path
) -> None:
    finished = run_suite(followed)
    start, *stages, end = told()
    assert [start["hook"], end["hook"]] == ["started", "finished"]
    assert {line["hook"] for line in stages} == {"stage"}
    total = len(finished.plan.stages)
    assert (start["suite"], start["cells"], start["stages"], start["missing"]) == ("tiny", 6, total, total)
    assert start["settings"]["methods"][0]["margin"] == finished.plan.stages[finished.plan.cells[0].reward].parts[
        "method"
    ].get("margin")
    assert [line["key"] for line in stages] == finished.outcome.done
    assert {line["folder"] for line in (start, *stages, end)} == {str(tmp_path / "results")}
    counts = {name: end[name] for name in ("stages", "done", "failed", "skipped", "damaged", "interruption")}
    assert counts == {"stages": total, "done": total, "failed": 0, "skipped": 0, "damaged": 0, "interruption": ""}
    assert (tmp_path / "results" / "records.parquet").exists()
    assert end["results"] == [table.title for table in finished.tables]
    assert end["seconds"] >= sum(line["seconds"] for line in stages if line["kind"] in ("examples", "embeddings"))


def test_a_stage_is_told_with_what_its_artefact_says(
    run_suite: Run, followed: dict[str, Any], told: Told, store: Store
) -> None:
    run_suite(followed)
    for line in told("stage"):
        kept = store.manifest(line["key"])
        facts = {**line["facts"], "title": line["title"], "seconds": line["seconds"]}
        assert (line["kind"], facts, line["failure"]) == (kept["kind"], kept["facts"], "")


def test_where_nothing_is_missing_the_start_and_the_end_are_told(
    ran: Finished, run_suite: Run, followed: dict[str, Any], told: Told
) -> None:
    assert run_suite(followed).outcome.done == []
    assert [(line["hook"], line.get("missing"), line.get("done")) for line in told()] == [
        ("started", 0, None),
        ("finished", None, 0),
    ]


def test_whoever_does_the_work_this_process_tells(
    followed: dict[str, Any], told: Told, store: Store, write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    followed["methods"] = followed["methods"][2:]  # nothing that trains
    finished = run(read_study(write_suite(followed)), store, tmp_path / "results", jobs=2)
    lines = told()
    assert {line["pid"] for line in lines} == {os.getpid()}
    assert Counter(line["hook"] for line in lines) == {"started": 1, "stage": len(finished.plan.stages), "finished": 1}
    assert sorted(line["key"] for line in lines if line["hook"] == "stage") == sorted(finished.plan.stages)
    assert lines[-1]["done"] == len(finished.plan.stages)


def test_a_failure_is_told_with_its_reason_and_what_is_skipped_is_counted(
    run_suite: Run, followed: dict[str, Any], told: Told, tmp_path: Path
) -> None:
    bad(followed, tmp_path)
    finished = run_suite(followed)
    *stages, end = told()[1:]
    failed = {line["key"]: line for line in stages if line["failure"]}
    assert failed.keys() == finished.outcome.failed.keys()
    assert {line["failure"] for line in failed.values()} == {"ValueError: boom"}
    assert {line["title"] for line in failed.values()} == {f"bad on toy, replicate 0, seed {i}" for i in (0, 1)}
    assert all(line["facts"] == {} and line["seconds"] > 0 for line in failed.values())
    assert (end["done"], end["failed"], end["skipped"]) == (len(stages) - 2, 2, len(finished.outcome.skipped))
    assert end["skipped"] == 2 * 3  # scores and two measures by seed


def test_an_interruption_is_told_in_the_end(
    run_suite: Run, followed: dict[str, Any], told: Told, tmp_path: Path
) -> None:
    def started(job: Any, done: int, total: int) -> None:
        if job[0].kind == "scores":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_suite(followed, watcher=Watcher(started))
    lines = told()
    end = lines[-1]
    assert (end["hook"], end["interruption"], end["results"]) == ("finished", "KeyboardInterrupt", None)
    assert end["done"] == len(lines) - 2 == end["stages"] - 6 - 12
    assert (Path(end["folder"]) / "records.parquet").exists()
    assert [line["hook"] for line in lines].count("finished") == 1


def test_a_store_that_fails_is_told_as_what_ended_the_run(
    run_suite: Run, followed: dict[str, Any], told: Told, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise StoreError("the store is full")

    monkeypatch.setattr(store, "write", full)
    with pytest.raises(StoreError, match="the store is full"):
        run_suite(followed)
    assert [(line["hook"], line.get("interruption")) for line in told()] == [
        ("started", None),
        ("finished", "the store is full"),
    ]


def test_a_damaged_artefact_is_counted_and_its_stage_told_when_it_is_made_again(
    ran: Finished, run_suite: Run, followed: dict[str, Any], told: Told, store: Store
) -> None:
    key = ran.plan.cells[0].scores
    (store.path(key) / "scores.safetensors").write_bytes(b"")
    (store.path(ran.plan.cells[0].measures[0]) / "manifest.json").unlink()
    run_suite(followed)
    lines = told()
    assert [line["key"] for line in lines if line["hook"] == "stage"] == [key, ran.plan.cells[0].measures[0]]
    assert (lines[0]["missing"], lines[-1]["damaged"], lines[-1]["done"]) == (1, 1, 2)


def test_a_part_of_the_cells_is_told_as_such(
    ran: Finished, followed: dict[str, Any], told: Told, store: Store, write_suite: Callable[..., Path]
) -> None:
    run(read_study(write_suite(followed)), store, ran.folder, only={"method": ["length"]})
    assert told("started")[0]["cells"] == 1


def test_what_else_is_made_of_the_results_is_there_when_the_end_is_told(
    ran: Finished, followed: dict[str, Any], told: Told, store: Store, write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    heard: list[list[str]] = []
    study = read_study(write_suite(followed))
    run(study, store, ran.folder, then=lambda folder: heard.append([line["hook"] for line in told()]))
    assert heard == [["started"]]
    assert [line["hook"] for line in told()] == ["finished"]


def test_what_is_told_cannot_be_changed() -> None:
    value = RunStarted("a", {}, Path("b"), 1, 2, 3)
    with pytest.raises(FrozenInstanceError, match="cells"):
        value.cells = 2  # type: ignore[misc]


# --- who is told


def test_installed_plugins_are_told_before_drop_ins_and_these_by_place(
    ran: Finished,
    followed: dict[str, Any],
    told: Told,
    store: Store,
    write_suite: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "also.py").write_text(FOLLOW)
    followed["plugins"] = ["follow.py", "also.py"]
    installed = ModuleType("installed")

    def fairl_run_started(run: RunStarted) -> None:
        line = {"hook": "started", "by": "installed"}
        (tmp_path / "told.jsonl").write_text(json.dumps(line) + "\n")

    installed.fairl_run_started = hookimpl(fairl_run_started)  # type: ignore[attr-defined]
    point = SimpleNamespace(name="nice", load=lambda: installed, dist=None)
    monkeypatch.setattr(engine_registry, "entry_points", lambda group: [point])
    study = read_study(write_suite(followed))
    run(study, store, ran.folder)
    assert study.registry.plugins["nice"].hooks == ("fairl_run_started",)
    lines = told()
    assert [line["by"] for line in lines if line["hook"] == "started"] == ["installed", "also", "follow"]
    assert [line["by"] for line in lines if line["hook"] == "finished"] == ["also", "follow"]


def test_a_plugin_that_only_follows_changes_no_key(
    followed: dict[str, Any], write_suite: Callable[..., Path], ran_once: tuple[Path, Finished]
) -> None:
    study: Study = read_study(write_suite(followed))
    assert plan(study).stages == ran_once[1].plan.stages


def test_the_hooks_of_a_follower_are_listed(cli: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "follow.py").write_text(FOLLOW)
    listed = cli("plugins", "--plugin", "follow.py").stdout.splitlines()
    (said,) = (line for line in listed if line.startswith(f"{tmp_path / 'follow.py'} "))
    assert said.endswith(": fairl_run_finished, fairl_run_started, fairl_stage_finished")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (raising("fairl_run_finnished"), "unknown hook 'fairl_run_finnished'; did you mean 'fairl_run_finished'"),
        (raising("fairl_run_started").replace("(run)", "(study)"), r"(?s)is broken: .*study"),
    ],
    ids=["name", "argument"],
)
def test_a_misspelt_hook_is_refused(source: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "follow.py").write_text(source)
    with pytest.raises(PluginError, match=reason):
        Registry([tmp_path / "follow.py"], installed=False)


# --- one that raises


@pytest.mark.parametrize("hook", LIFE)
def test_a_hook_that_raises_is_reported_once_and_spoils_nothing(
    hook: str, ran: Finished, followed: dict[str, Any], told: Told, cli: Callable[..., Result],
    write_suite: Callable[..., Path], tmp_path: Path, store: Store,
) -> None:  # fmt: skip
    import shutil

    for cell in ran.plan.cells[:2]:
        shutil.rmtree(store.path(cell.measures[0]))
    (tmp_path / "broken.py").write_text(raising(hook))
    followed["plugins"] = ["broken.py", "follow.py"]
    done = cli("run", write_suite(followed))
    assert done.exit_code == 0
    warning = (
        f"plugin {tmp_path / 'broken.py'}: {hook} failed and is not called again in this run: "
        "ValueError: the server is away"
    )
    assert done.stderr.count("warning: ") == 1
    assert f"warning: {warning}\n" in done.stderr
    assert json.loads((tmp_path / "results" / "tiny" / "run.json").read_text())["warnings"] == [warning]
    assert Counter(line["hook"] for line in told()) == {"started": 1, "stage": 2, "finished": 1}
    records = (tmp_path / "results" / "tiny" / "records.parquet").read_bytes()
    assert records == (ran.folder / "records.parquet").read_bytes()


def test_a_hook_that_raises_leaves_the_exit_code_of_a_failed_run(
    followed: dict[str, Any], cli: Callable[..., Result], write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    followed["methods"] = followed["methods"][3:]
    bad(followed, tmp_path)
    (tmp_path / "broken.py").write_text(raising("fairl_run_finished", "raise SystemExit(7)"))
    followed["plugins"] = ["broken.py", "bad.py"]
    done = cli("run", write_suite(followed))
    assert done.exit_code == 1
    assert "fairl_run_finished failed and is not called again in this run: SystemExit: 7" in done.stderr


def test_an_interruption_inside_a_hook_is_one_of_the_run(
    ran: Finished, run_suite: Run, followed: dict[str, Any], told: Told, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text(raising("fairl_run_started", "raise KeyboardInterrupt"))
    followed["plugins"] = ["broken.py", "follow.py"]
    with pytest.raises(KeyboardInterrupt):
        run_suite(followed)
    assert told("finished")[0]["interruption"] == "KeyboardInterrupt"


def test_warnings_do_not_make_the_page_another(
    ran: Finished, run_suite: Run, followed: dict[str, Any], tmp_path: Path
) -> None:
    from fairl_bench.html.write import _signature
    from fairl_bench.results.results import read_results

    before = _signature(read_results(run_suite(followed).folder))
    (tmp_path / "follow.py").write_text(raising("fairl_run_finished"))
    assert run_suite(followed).outcome.warnings
    assert json.loads((ran.folder / "run.json").read_text())["warnings"]
    assert _signature(read_results(ran.folder)) == before
