"""``fairl-bench audit``: what the second of two language models was rewarded for, or what texts were preferred for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairl_bench.cli import completion
from fairl_bench.cli.options import EXECUTOR, PLUGIN, STORE, Whole, columns_by_field
from fairl_bench.cli.tables import print_findings

if TYPE_CHECKING:
    from fairl_bench.audits.request import AuditRequest
    from fairl_bench.pipeline import Finished


@click.command()
@click.argument("base", required=False)
@click.argument("expert", required=False)
@click.option("--prompts", type=click.Path(path_type=Path), help="Prompts: a text with one a line, or JSON lines.")
@click.option("--pairs", type=click.Path(path_type=Path), help="No models: pairs that were written, JSON lines or CSV.")
@click.option("--columns", metavar="FIELD=COLUMN,...", help="Columns of --pairs: preferred=A,rejected=B,prompt=C.")
@click.option(
    "--concept",
    "more",
    multiple=True,
    metavar="NAME[=SPEC]",
    shell_complete=completion.concepts,
    help="One more concept; may be given again.",
)
@click.option("--concepts", type=click.Path(path_type=Path), help="YAML with the concepts, in the place of the usual.")
@click.option(
    "--n",
    "-n",
    type=Whole(1),
    help="Pairs: completions of each model, or rows of --pairs at most.  "
    "[default: 2000, of --pairs 20000; quick: 240, of --pairs 960]",
)
@click.option("--quick", is_flag=True, help="Fewer and shorter completions, the log-ratio alone: minutes.")
@click.option("--chat", is_flag=True, help="Prompts are messages of a user: put them into the model's chat template.")
@click.option(
    "--tokens",
    type=click.Choice(["drawn", "text"]),
    default="drawn",
    show_default=True,
    help="text: both models read the same characters, as two of different vocabularies must.",
)
@click.option("--head", type=click.Choice(["linear", "mlp"]), help="What is fitted to texts.  [default: mlp]")
@click.option("--name", help="What the results are called.  [default: the expert, or the file of pairs]")
@click.option("--api-key-env", metavar="NAME", help="Environment variable with the key of a server.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the suite, and run nothing.")
@click.option("--jobs", "-j", type=Whole(1), default=1, show_default=True, help="Processes at once.")
@EXECUTOR
@click.option("--address", metavar="HOST:PORT", help="Where the executor is, of ray the head of its cluster.")
@click.option(
    "--results", type=click.Path(path_type=Path), help="Folder for the results.  [default: results/audit-NAME]"
)
@STORE
@PLUGIN
def audit(
    dry_run: bool,
    jobs: int,
    executor: str,
    address: str | None,
    results: Path | None,
    store: str | None,
    **asked: Any,
) -> None:
    """Say what EXPERT was rewarded for, beside BASE, from which it was aligned.

    BASE and EXPERT are folders, also of adapters, .gguf files, names on the hub, or URLs of servers, http://HOST/v1#MODEL.
    Both complete the prompts of --prompts.  With --pairs there are no models: a file says which of two texts was
    preferred.

    The results folder gets findings.json, report.html, and suite.yaml, which can be edited and run again.
    """
    from fairl_bench.audits.few import few_told
    from fairl_bench.audits.suite import audit_suite

    request = _request(**asked)
    suite = audit_suite(request)
    if dry_run:
        with few_told(request):
            _print_suite(suite, store)
        return
    from fairl_bench.display.live import Progress
    from fairl_bench.start import run_suite

    _say_what_is_replaced(suite, results)
    with few_told(request), Progress(sys.stderr) as progress:
        finished = run_suite(
            suite,
            progress.watcher(),
            jobs=jobs,
            executor=executor,
            address=address,
            store=store,
            results=results,
            only=None,
            set=(),
            replace_results=False,
            isolate=True,
            command=sys.argv,
        )
    _conclude(finished)


def _request(
    columns: str | None,
    more: tuple[str, ...],
    concepts: Path | None,
    plugin: tuple[Path, ...],
    **asked: Any,
) -> AuditRequest:
    """What the options ask for.  Raises `FairlError` where one of them cannot be read."""
    from fairl_bench.audits import concepts as of
    from fairl_bench.audits.request import AuditRequest

    return AuditRequest(
        columns=columns_by_field(columns),
        more=of.of_options(more),
        concepts=None if concepts is None else of.of_file(concepts),
        plugins=plugin,
        **asked,
    )


def _say_what_is_replaced(suite: dict[str, Any], results: Path | None) -> None:
    """Print a line where the results of an earlier audit of the same name will be replaced by those of another."""
    from fairl_bench.audits.earlier import replaced

    folder = Path("results") / suite["name"] if results is None else results
    if day := replaced(folder, suite):
        option = "--name" if results is None else "another --results"
        click.echo(f"replaces {folder} of {day}; {option} keeps both", err=True)


def _print_suite(suite: dict[str, Any], store: str | None) -> None:
    """Check a suite as a run would, and print it as a file that can be edited and run."""
    from fairl_bench import api
    from fairl_bench.guards.printable import safe
    from fairl_bench.suite.yaml import dump

    for remark in api.check(suite, store=store).remarks:
        click.echo(f"note: {safe(remark)}", err=True)
    click.echo(dump(suite), nl=False)


def _conclude(finished: Finished) -> None:
    """Print the findings, what failed, and where the page is; leave with exit code 1 only where work failed."""
    from fairl_bench.audits.few import too_few_drawn
    from fairl_bench.guards.printable import safe

    print_findings(finished.results.findings)
    for reason in finished.outcome.failed.values():
        click.echo(f"failed: {safe(reason)}", err=True)
    if any(finished.plan.stages[key].kind == "split" for key in finished.outcome.failed):
        click.echo(f"failed: {too_few_drawn()}", err=True)
    if not finished.results.findings:
        click.echo(f"nothing was found out: what it needs has failed; logs in {finished.folder / 'logs'}", err=True)
    click.echo(f"The evidence: {finished.folder / 'report.html'}")
    if finished.outcome.failed:
        sys.exit(1)


COMMANDS = (audit,)
