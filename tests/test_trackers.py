"""The drop-ins that keep runs in Weights & Biases and in trackio, each with its library: ``tox -e trackers``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.hookspecs import RunFinished, RunStarted
from fairl_bench.pipeline import Finished
from fairl_bench.suite.registry import Registry

PLUGINS = Path(__file__).parent.parent / "plugins"
Cli = Callable[..., Result]
of_others = pytest.mark.filterwarnings("default")  # what the libraries warn of is none of ours


def loaded(name: str) -> ModuleType:
    path = PLUGINS / f"{name}_tracking.py"
    registry = Registry([path], installed=False)
    (found,) = (one for one in registry._manager.get_plugins() if getattr(one, "__file__", "") == str(path))
    return found  # type: ignore[no-any-return]


def started(ran: Finished) -> RunStarted:
    return RunStarted("tiny", {"name": "tiny", "seeds": [0, 1]}, ran.folder, 1, 2, 0)


def finished(ran: Finished, *, failed: int = 0, interruption: str = "") -> RunFinished:
    return RunFinished("tiny", ran.folder, None if interruption else ran.results, 2, 2, failed, 0, 0, 0.5, interruption)


def table_1(ran: Finished) -> dict[str, float]:
    (table,) = (table for table in ran.tables if table.name == "table1")
    axes = ("model", "encoder", "method", "data", "metric")
    means = {"/".join(str(row[axis]) for axis in axes): row["mean"] for row in table.tidy}
    return {name: float(mean) for name, mean in means.items() if isinstance(mean, float) and math.isfinite(mean)}


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_without_the_library_the_run_goes_on_and_says_what_to_install(
    name: str,
    ran: Finished,
    cli: Cli,
    tiny: dict[str, Any],
    write_suite: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    tiny["plugins"] = [str(PLUGINS / f"{name}_tracking.py")]
    done = cli("run", write_suite(tiny))
    assert done.exit_code == 0
    assert done.stderr.count("warning: ") == 1
    assert f"{name} is not installed, so this run is not tracked; pip install {name}" in done.stderr


@of_others
@pytest.mark.parametrize(("failed", "interruption", "code"), [(0, "", 0), (1, "", 1), (0, "KeyboardInterrupt", 1)])
def test_a_run_of_a_suite_is_a_run_of_wandb(
    failed: int, interruption: str, code: int, ran: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs wandb: tox -e trackers")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    plugin = loaded("wandb")
    plugin.fairl_run_started(started(ran))
    tracked = plugin._UNDER_WAY[ran.folder]
    finish, codes, kept = tracked.finish, list[int](), dict[str, float]()

    def finish_noted(exit_code: int) -> None:
        codes.append(exit_code)
        kept.update({name: value for name, value in dict(tracked.summary).items() if not name.startswith("run/")})
        finish(exit_code=exit_code)

    monkeypatch.setattr(tracked, "finish", finish_noted)
    plugin.fairl_run_finished(finished(ran, failed=failed, interruption=interruption))
    assert (tracked.project, tracked.name, dict(tracked.config)["seeds"]) == ("tiny", "tiny", [0, 1])
    assert kept == ({} if interruption else pytest.approx(table_1(ran)))
    saved = {path.name for path in Path(tracked.dir).rglob("*")}
    assert ("table1.csv" in saved) == (not interruption)
    assert codes == [code]
    assert plugin._UNDER_WAY == {}


@of_others
def test_a_run_of_a_suite_is_a_run_of_trackio(ran: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio", reason="needs trackio: tox -e trackers")
    plugin = loaded("trackio")
    plugin.fairl_run_started(started(ran))
    plugin.fairl_run_finished(finished(ran))
    (found,) = trackio.Api().runs("tiny")
    (logged,) = trackio.SQLiteStorage.get_logs("tiny", found.name, run_id=found.id)
    assert found.config["seeds"] == [0, 1]
    assert {name: logged[name] for name in table_1(ran)} == pytest.approx(table_1(ran))
    assert (logged["run/done"], logged["run/failed"]) == (2, 0)
    plugin.fairl_run_finished(replace(finished(ran), folder=tmp_path))  # one that never began there
