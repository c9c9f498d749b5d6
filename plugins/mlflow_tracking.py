"""An MLflow run for each run of a suite: settings are parameters, Table 1 is metrics, tables and page are artefacts.

A suite switches it on with the line ``plugins: [../plugins/mlflow_tracking.py]``, and MLflow's own variables say where
runs go: ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME`` (without it, the experiment has the suite's name).
"""

import json
import math
import os
import re
import time
from importlib.metadata import version

from fairl_bench import FairlError, hookimpl

KEY, VALUE, BATCH = 250, 6000, 100  # the most that MLflow takes: letters of a name, of a parameter, entries at once
_UNDER_WAY = {}  # results folder -> client and id of the run that is told of it


@hookimpl
def fairl_run_started(run):
    client = _client()
    tags = {"fairl_bench.suite": run.suite, "fairl_bench.version": version("fairl-bench")}
    made = client.create_run(_experiment(client, run.suite), run_name=run.suite, tags=tags)
    _UNDER_WAY[run.folder] = client, made.info.run_id
    _log(client, made.info.run_id, "params", flat(run.settings))


@hookimpl
def fairl_run_finished(run):
    if run.folder not in _UNDER_WAY:  # it never came to MLflow, and that has been said
        return
    client, name = _UNDER_WAY.pop(run.folder)
    status = "KILLED" if run.interruption else "FAILED"
    try:
        counts = {what: getattr(run, what) for what in ("stages", "done", "failed", "skipped", "damaged", "seconds")}
        _log(client, name, "metrics", {f"run/{what}": count for what, count in counts.items()})
        if run.results:
            _log(client, name, "metrics", metrics(run.results.tables.values()))
            for tag, value in commit(run.results.run.git).items():
                client.set_tag(name, tag, value)
        if run.interruption:
            client.set_tag(name, "fairl_bench.interruption", run.interruption)
        else:  # what lies in the folder of one that was interrupted may be of the run before
            _keep(client, name, run.folder)
            status = "FAILED" if run.failed else "FINISHED"
    finally:
        client.set_terminated(name, status)


def flat(settings, path=""):
    """Return nested settings as names and short texts (``methods.max-margin.margin``), without unset and empty ones."""
    if isinstance(settings, dict):
        entries = settings.items()
    elif isinstance(settings, list) and any(isinstance(entry, dict | list) for entry in settings):
        entries = ((_named(entry, at), entry) for at, entry in enumerate(settings))
    else:
        unset = settings is None or settings == [] or not path
        text = settings if isinstance(settings, str) else json.dumps(settings, ensure_ascii=False)
        return {} if unset else {clean(path): text[:VALUE]}
    found = {}
    for name, entry in entries:
        found |= flat(entry, f"{path}.{name}" if path else str(name))
    return found


def _named(entry, at):
    return entry.get("name", at) if isinstance(entry, dict) else at


def metrics(tables):
    """Return the defined numbers of Table 1 by ``METHOD/DATA/METRIC``, and their spread by ``..._sd``."""
    rows = [row for table in tables if table.name == "table1" for row in table.tidy]
    axes = [axis for axis in ("model", "encoder", "variant") if len({row[axis] for row in rows}) > 1]
    found = {}
    for row in rows:
        name = "/".join([*(_place(row[axis]) for axis in axes), row["method"], row["data"], row["metric"]])
        for key, value in ((name, row["mean"]), (f"{name}_sd", row["sd"])):
            if math.isfinite(value):
                found[clean(key)] = value
    return found


def _place(name):
    """Return the name of a model or encoder, or the point of a product: ``head.width 32``."""
    return " ".join(f"{path} {value}" for path, value in json.loads(name).items()) if name.startswith("{") else name


def clean(name):
    """Return a name that MLflow takes: letters, digits and ``_-. /``, and no longer than it may be."""
    return re.sub(r"[^\w\-. /]", "_", name)[:KEY]


def commit(git):
    """Return the code's commit and whether the tree differed from it, as tags; none outside a checkout."""
    return {"mlflow.source.git.commit": git["commit"], "fairl_bench.dirty": str(git["dirty"]).lower()} if git else {}


def _client():
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise FairlError("mlflow is not installed, so this run is not tracked; pip install mlflow") from error
    return MlflowClient()


def _experiment(client, suite):
    if known := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return known
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or suite
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name)


def _log(client, run, what, values):
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    entries = [Param(*pair) if what == "params" else Metric(*pair, now, 0) for pair in values.items()]
    for at in range(0, len(entries), BATCH):
        client.log_batch(run, **{what: entries[at : at + BATCH]})


def _keep(client, run, folder):
    client.log_artifacts(run, str(folder / "tables"), "tables")
    for name in ("suite.yaml", "run.json", "report.html"):
        if (folder / name).exists():
            client.log_artifact(run, str(folder / name))
