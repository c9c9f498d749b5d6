"""A run in Weights & Biases for each run of a suite: its settings, the numbers of Table 1, its tables and its page.

A suite switches it on with the line ``plugins: [../plugins/wandb_tracking.py]``, and W&B's own variables say where runs
go: ``WANDB_PROJECT`` (without it, the project has the suite's name), ``WANDB_MODE=offline``.
"""

import math
import os

from fairl_bench import FairlError, hookimpl

_UNDER_WAY = {}  # results folder -> the run that is told of it


@hookimpl
def fairl_run_started(run):
    try:
        import wandb
    except ImportError as error:
        raise FairlError("wandb is not installed, so this run is not tracked; pip install wandb") from error
    project = os.environ.get("WANDB_PROJECT") or run.suite
    _UNDER_WAY[run.folder] = wandb.init(project=project, name=run.suite, config=run.settings, reinit="create_new")


@hookimpl
def fairl_run_finished(run):
    if (tracked := _UNDER_WAY.pop(run.folder, None)) is None:  # it never came to W&B, and that has been said
        return
    try:
        tracked.summary.update({"run/done": run.done, "run/failed": run.failed, "run/seconds": run.seconds})
        if run.results and "table1" in run.results.tables:
            rows = run.results.tables["table1"].tidy
            place = ("model", "encoder", "variant", "method", "data", "metric")
            numbers = {"/".join(filter(None, (str(row[axis]) for axis in place))): row["mean"] for row in rows}
            tracked.summary.update({name: mean for name, mean in numbers.items() if math.isfinite(mean)})
        for path in () if run.interruption else [run.folder / "report.html", *(run.folder / "tables").glob("*.csv")]:
            tracked.save(path, base_path=run.folder, policy="now")
    finally:
        tracked.finish(exit_code=1 if run.failed or run.interruption else 0)
