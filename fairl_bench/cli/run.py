"""``fairl-bench run``: a suite is run, and its tables are printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairl_bench.cli import completion
from fairl_bench.cli.options import EXECUTOR, SET, STORE, SUITE, Whole
from fairl_bench.cli.tables import print_findings

if TYPE_CHECKING:
    from fairl_bench.pipeline import Finished


@click.command()
@SUITE
@SET
@click.option(
    "--only",
    multiple=True,
    metavar="AXIS=VALUE",
    shell_complete=completion.only,
    help="Do only these cells: method=a,b or seed=0.",
)
@click.option("--jobs", "-j", type=Whole(1), default=1, show_default=True, help="Processes at once.")
@EXECUTOR
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="Where it is: of ray, the head of the cluster.  [default: auto, that of this machine]",
)
@click.option("--results", type=click.Path(path_type=Path), help="Folder for the results.  [default: results/SUITE]")
@STORE
@click.option("--replace-results", is_flag=True, help="Overwrite the results of another suite.")
def run(
    suite: Path,
    options: tuple[str, ...],
    only: tuple[str, ...],
    jobs: int,
    executor: str,
    address: str | None,
    results: Path | None,
    store: str | None,
    replace_results: bool,
) -> None:
    """Run SUITE, a YAML file or a name of `list suites`: what is finished already is not done again.

    The results folder gets records, tables, figures, and report.html, which opens offline in a browser.
    """
    from fairl_bench.display.live import Progress
    from fairl_bench.start import run_suite

    with Progress(sys.stderr) as progress:
        finished = run_suite(
            suite,
            progress.watcher(),
            jobs=jobs,
            executor=executor,
            address=address,
            store=store,
            results=results,
            only=_axes(only),
            set=options,
            replace_results=replace_results,
            isolate=True,
            command=sys.argv,
        )
    _conclude(finished)


def _axes(only: tuple[str, ...]) -> dict[str, list[str]]:
    """``method=a,b`` as values by axis; each axis may be given again."""
    from fairl_bench.errors import FairlError
    from fairl_bench.values.coordinates import MATRIX

    axes: dict[str, list[str]] = {}
    for option in only:
        axis, equals, values = option.partition("=")
        if not equals or not values:
            known = axis in MATRIX
            hint = "" if known else f", with an AXIS of {', '.join(MATRIX)}"
            raise FairlError(f"--only {option}: needs {axis if known else 'AXIS'}=VALUE{hint}")
        axes.setdefault(axis, []).extend(values.split(","))
    return axes


def _conclude(finished: Finished) -> None:
    """Print the tables of a run, its failures and where the results are; leave with its exit code."""
    from fairl_bench.guards.printable import safe

    outcome = finished.outcome
    for table in finished.tables:
        click.echo(str(table))
        click.echo()
    shown = {note for table in finished.tables for note in table.notes}
    for note in finished.notes:
        if note not in shown:
            click.echo(safe(note))
    if len(finished.results.findings) == 1:
        print_findings(finished.results.findings)
    for reason in outcome.failed.values():
        click.echo(f"failed: {safe(reason)}", err=True)
    unmet = [verdict for verdict in finished.claims if not verdict.met]
    for verdict in unmet:
        claim = verdict.claim
        click.echo(f"claim {claim.id!r} is {verdict.verdict}, expected to be {claim.expect}", err=True)
    computed = f"computed {len(outcome.done)} of {len(finished.plan.stages)} stages in {finished.seconds:.1f} s"
    click.echo(f"{computed if outcome.done else 'nothing to compute: all was finished'}; results in {finished.folder}")
    if outcome.failed:
        logs = f"logs in {finished.folder / 'logs'}"
        click.echo(f"{len(outcome.failed)} stages failed, {len(outcome.skipped)} were skipped for it; {logs}", err=True)
    if outcome.failed or unmet:
        sys.exit(1)


COMMANDS = (run,)
