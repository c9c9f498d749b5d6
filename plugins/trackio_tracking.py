"""A run in trackio for each run of a suite: its settings and the numbers of Table 1.

A suite switches it on with the line ``plugins: [../plugins/trackio_tracking.py]``, and trackio's own variables say
where runs go: ``TRACKIO_DIR``, ``TRACKIO_SPACE_ID``, ``TRACKIO_SERVER_URL``.  The project has the suite's name, and
``trackio show`` opens it.
"""

import math

from fairl_bench import FairlError, hookimpl

_UNDER_WAY = {}  # results folder -> the run that is told of it


@hookimpl
def fairl_run_started(run):
    try:
        import trackio
    except ImportError as error:
        raise FairlError("trackio is not installed, so this run is not tracked; pip install trackio") from error
    quiet = {"embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
    _UNDER_WAY[run.folder] = trackio.init(run.suite, config=run.settings, **quiet)


@hookimpl
def fairl_run_finished(run):
    if (tracked := _UNDER_WAY.pop(run.folder, None)) is None:  # it never came to trackio, and that has been said
        return

    numbers = {"run/done": run.done, "run/failed": run.failed, "run/seconds": run.seconds}
    for row in run.results.tables["table1"].tidy if run.results and "table1" in run.results.tables else ():
        place = [row[axis] for axis in ("model", "encoder", "variant", "method", "data", "metric")]
        numbers["/".join(filter(None, place))] = row["mean"]
    tracked.log({name: number for name, number in numbers.items() if math.isfinite(number)})
    tracked.finish()
