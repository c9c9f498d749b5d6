"""The drop-in that keeps runs in MLflow, against a real store of MLflow's: ``tox -e mlflow``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import Result

from fairl_bench.pipeline import Finished
from fairl_bench.suite.registry import Registry
from fairl_bench.values.table import Table

PLUGIN = Path(__file__).parent.parent / "plugins" / "mlflow_tracking.py"
Cli = Callable[..., Result]
in_mlflow = pytest.mark.filterwarnings("default")  # MLflow uses what its libraries will drop; none of it is ours


@pytest.fixture(scope="module")
def plugin() -> ModuleType:
    registry = Registry([PLUGIN], installed=False)
    (found,) = (one for one in registry._manager.get_plugins() if getattr(one, "__file__", "") == str(PLUGIN))
    return found  # type: ignore[no-any-return]


# --- what is kept


def test_settings_are_flat_by_the_names_of_what_they_are_of(plugin: ModuleType) -> None:
    settings = {
        "name": "a",
        "seeds": [0, 1],
        "methods": [{"name": "max-margin", "use": "max-margin", "margin": 0.8, "base": {"use": "b"}}],
        "evaluate": [{"use": "c", "label": None}],
        "empty": {},
        "claims": [],
        "flag": True,
    }
    assert plugin.flat(settings) == {
        "name": "a",
        "seeds": "[0, 1]",
        "methods.max-margin.name": "max-margin",
        "methods.max-margin.use": "max-margin",
        "methods.max-margin.margin": "0.8",
        "methods.max-margin.base.use": "b",
        "evaluate.0.use": "c",
        "flag": "true",
    }


def test_names_and_texts_are_cut_to_what_mlflow_takes(plugin: ModuleType) -> None:
    (found,) = plugin.flat({"a:" * 200: "x" * 7000}).items()
    assert [len(part) for part in found] == [250, 6000]
    assert plugin.clean('m/pairs/test/{"a":1}') == "m/pairs/test/__a__1_"


def row(method: str, mean: float, sd: float = math.nan, **axes: str) -> dict[str, Any]:
    place = {"model": "toy", "encoder": "e", "variant": "", "data": "pairs/test", "metric": "auc", **axes}
    return {**place, "method": method, "mean": mean, "sd": sd}


def numbers(plugin: ModuleType, *rows: dict[str, Any], name: str = "table1") -> dict[str, float]:
    found: dict[str, float] = plugin.metrics([Table("A title", (), (), (), rows, name=name)])
    return found


def test_metrics_are_named_by_method_data_and_metric(plugin: ModuleType) -> None:
    found = numbers(plugin, row("a", 0.5, 0.1), row("b", 0.25), row("c", math.nan))
    assert found == {"a/pairs/test/auc": 0.5, "a/pairs/test/auc_sd": 0.1, "b/pairs/test/auc": 0.25}
    assert numbers(plugin, row("a", 0.5), name="slices") == {}


def test_what_differs_stands_before_the_method(plugin: ModuleType) -> None:
    rows = (row("a", 0.5, model=model, variant=f'{{"head.width":{n}}}') for n, model in enumerate(("x", "y"), 8))
    assert numbers(plugin, *rows) == {"x/head.width 8/a/pairs/test/auc": 0.5, "y/head.width 9/a/pairs/test/auc": 0.5}


def test_without_mlflow_the_run_goes_on_and_says_what_to_install(
    ran: Finished, cli: Cli, tiny: dict[str, Any], write_suite: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    tiny["plugins"] = [str(PLUGIN)]
    done = cli("run", write_suite(tiny))
    assert done.exit_code == 0
    assert done.stderr.count("warning: ") == 1
    assert "fairl_run_started failed" in done.stderr
    assert "mlflow is not installed, so this run is not tracked; pip install mlflow" in done.stderr


# --- in a store of MLflow's


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """MLflow with a store in the test's folder."""
    monkeypatch.chdir(tmp_path)  # artefacts of a database lie in mlruns/ of where the command is run
    found = pytest.importorskip("mlflow", reason="needs mlflow: tox -e mlflow")
    for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    yield found
    found.set_tracking_uri(None)


@pytest.fixture
def tracked(tiny: dict[str, Any], write_suite: Callable[..., Path]) -> Path:
    """The tiny suite, with the one line that switches tracking on."""
    tiny["plugins"] = [str(PLUGIN)]
    return write_suite(tiny)


def runs(mlflow: Any, experiment: str = "tiny") -> list[Any]:
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def artefacts(mlflow: Any, name: str, path: str | None = None) -> set[str]:
    return {one.path for one in mlflow.MlflowClient().list_artifacts(name, path)}


@in_mlflow
def test_a_run_of_a_suite_is_a_run_of_mlflow(
    ran: Finished, mlflow: Any, tracked: Path, cli: Cli, tmp_path: Path
) -> None:
    done = cli("run", tracked)
    assert (done.exit_code, "warning" in done.stderr) == (0, False), done.stderr
    (found,) = runs(mlflow)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "tiny")
    assert found.data.params["methods.max-margin.use"] == "max-margin"
    assert found.data.params["training.epochs"] == "3"
    first = next(table for table in ran.tables if table.name == "table1")
    for line in first.tidy:
        name = f"{line['method']}/{line['data']}/{line['metric']}"
        assert found.data.metrics[name] == line["mean"]  # a database's double is Python's
        assert found.data.metrics.get(f"{name}_sd", math.nan) == pytest.approx(line["sd"], rel=0, nan_ok=True)
    assert found.data.metrics["run/done"] == 0
    assert (
        found.data.tags["fairl_bench.version"]
        == json.loads((tmp_path / "results" / "tiny" / "run.json").read_text())["packages"]["fairl-bench"]
    )
    assert artefacts(mlflow, found.info.run_id) == {"tables", "suite.yaml", "run.json"}
    assert "tables/table1.csv" in artefacts(mlflow, found.info.run_id, "tables")


@in_mlflow
def test_the_page_and_the_commit_are_kept_where_there_are_any(
    ran: Finished, mlflow: Any, plugin: ModuleType, tmp_path: Path
) -> None:
    from fairl_bench import RunFinished, RunStarted

    git = {"commit": "c" * 40, "dirty": False}
    ran.results.run_facts = replace(ran.results.run, git=git)
    (ran.folder / "report.html").write_text("<html>")
    plugin.fairl_run_started(RunStarted("tiny", {"name": "tiny"}, ran.folder, 1, 2, 0))
    plugin.fairl_run_finished(RunFinished("tiny", ran.folder, ran.results, 2, 0, 0, 0, 0, 0.5))
    (found,) = runs(mlflow)
    assert found.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert found.data.tags["fairl_bench.dirty"] == "false"
    assert "report.html" in artefacts(mlflow, found.info.run_id)


@in_mlflow
def test_a_run_with_a_failure_is_failed_and_one_that_is_interrupted_killed(
    ran: Finished, mlflow: Any, plugin: ModuleType
) -> None:
    from fairl_bench import RunFinished, RunStarted

    for failed, interruption in ((1, ""), (0, "KeyboardInterrupt")):
        plugin.fairl_run_started(RunStarted("tiny", {"name": "tiny"}, ran.folder, 1, 2, 0))
        counts = (2, 0, failed, 0, 0, 0.5)
        plugin.fairl_run_finished(RunFinished("tiny", ran.folder, None, *counts, interruption))
    killed, failed_one = runs(mlflow)
    assert (failed_one.info.status, killed.info.status) == ("FAILED", "KILLED")
    assert killed.data.tags["fairl_bench.interruption"] == "KeyboardInterrupt"
    assert artefacts(mlflow, killed.info.run_id) == set()


@in_mlflow
def test_more_settings_than_mlflow_takes_at_once_are_all_kept(ran: Finished, mlflow: Any, plugin: ModuleType) -> None:
    from fairl_bench import RunStarted

    settings = {"methods": [{"name": f"m{i}", "use": "x", "text": "y" * 9000} for i in range(120)]}
    plugin.fairl_run_started(RunStarted("tiny", settings, ran.folder, 1, 2, 0))
    plugin._UNDER_WAY.clear()
    (found,) = runs(mlflow)
    assert len(found.data.params) == 360
    assert found.data.params["methods.m119.text"] == "y" * 6000


@in_mlflow
def test_the_experiment_is_the_one_that_is_asked_for(
    ran: Finished, mlflow: Any, tracked: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    for _ in range(2):
        assert cli("run", tracked).exit_code == 0
    assert len(runs(mlflow, "mine")) == 2
    assert runs(mlflow) == []
