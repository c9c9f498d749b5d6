"""``fairl-bench run``: a suite is run, and its tables are printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairl_bench.cli.options import SET, STORE, SUITE, Whole

if TYPE_CHECKING:
    from fairl_bench.pipeline import Finished


@click.command()
@SUITE
@SET
@click.option("--only", multiple=True, metavar="AXIS=VALUE", help="Do only these cells: method=a,b or seed=0.")
@click.option("--jobs", "-j", type=Whole(1), default=1, show_default=True, help="Processes at once.")
@click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Work on this machine, or spread over a Ray cluster.",
)
@click.option("--address", metavar="HOST:PORT", help="Head of the Ray cluster.  [default: auto, that of this machine]")
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
    """Run SUITE, a YAML file: what is finished already is not done again.

    The results folder gets records, tables, figures, and report.html, which opens offline in a browser.
    """
    from fairl_bench.html.write import write_pages
    from fairl_bench.isolation import put_back
    from fairl_bench.live import Progress
    from fairl_bench.pipeline import run as run_study
    from fairl_bench.store.place import default_store, open_store
    from fairl_bench.suite.read import read_study

    cluster = _cluster(executor, address, jobs)
    with put_back():
        study = read_study(suite, options)
    with Progress(sys.stderr) as progress:
        finished = run_study(
            study,
            open_store(store or default_store()),
            results or Path("results") / study.suite.name,
            progress.watcher(),
            jobs=jobs,
            cluster=cluster,
            only=_axes(only),
            replace_results=replace_results,
            then=write_pages,
            isolate=True,
        )
    _conclude(finished)


def _cluster(executor: str, address: str | None, jobs: int) -> str | None:
    """The address of the cluster; None where there is none."""
    from fairl_bench.errors import FairlError

    if executor == "local":
        if address is not None:
            raise FairlError(f"--address {address}: the executor 'local' has none; add --executor ray")
        return None
    if jobs > 1:
        raise FairlError(f"--jobs {jobs}: a Ray cluster does as many at once as it has cores for; leave it out")
    return address or "auto"


def _axes(only: tuple[str, ...]) -> dict[str, list[str]] | None:
    """``method=a,b`` as axis and values; each part may be given again."""
    from fairl_bench.coordinates import MATRIX
    from fairl_bench.errors import FairlError, suggest

    found: dict[str, list[str]] = {}
    for option in only:
        axis, equals, values = option.partition("=")
        if axis not in MATRIX:
            raise FairlError(f"--only {option}: axis {axis!r} is unknown; {suggest(axis, MATRIX)}")
        if not equals or not values:
            raise FairlError(f"--only {option}: needs {axis}=VALUE")
        found.setdefault(axis, []).extend(values.split(","))
    return found or None


def _conclude(finished: Finished) -> None:
    """Print what a run came to and leave with its exit code."""
    from fairl_bench.printable import safe
    from fairl_bench.tables.formats import as_text

    outcome = finished.outcome
    for table in finished.tables:
        click.echo(as_text(table))
        click.echo()
    shown = {note for table in finished.tables for note in table.notes}
    for note in finished.notes:
        if note not in shown:
            click.echo(safe(note))
    for reason in outcome.failed.values():
        click.echo(f"failed: {safe(reason)}", err=True)
    unmet = [one for one in finished.claims if not one.met]
    for one in unmet:
        click.echo(f"claim {one.claim.id!r} is {one.verdict}, expected to be {one.claim.expect}", err=True)
    computed = f"computed {len(outcome.done)} of {len(finished.plan.stages)} stages in {finished.seconds:.1f} s"
    click.echo(f"{computed if outcome.done else 'nothing to compute: all was finished'}; results in {finished.folder}")
    if outcome.failed:
        logs = f"logs in {finished.folder / 'logs'}"
        click.echo(f"{len(outcome.failed)} stages failed, {len(outcome.skipped)} were skipped for it; {logs}", err=True)
    if outcome.failed or unmet:
        sys.exit(1)


COMMANDS = (run,)
