"""``report``, ``compare``, ``evaluate``, ``regress`` and ``published``: what numbers on record say."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from fairl_bench.cli import completion
from fairl_bench.cli.options import (
    FORMAT,
    INTERVALS,
    METHODS,
    PLUGIN,
    POSITIVE,
    RESULTS,
    NamedFile,
    Number,
    two_methods,
)
from fairl_bench.cli.tables import print_tables


@click.command()
@RESULTS
@click.option(
    "--table",
    "-t",
    "names",
    multiple=True,
    metavar="NAME",
    help="1, 2, 3, ceiling, slices, ambiguity, findings, attribution, words, organisms, objectives, "
    "realignment, realignment-second, realignment-steps, claims or the name of another table, or that of its file.  "
    "[default: all]",
)
@FORMAT
@INTERVALS
@METHODS
@PLUGIN
@click.option("--page", is_flag=True, help="Print no table; draw figures/ and write report.html anew.")
@click.option("--open", "show_page", is_flag=True, help="Print no table; open report.html in a browser.")
def report(
    results: Path,
    names: tuple[str, ...],
    form: str,
    intervals: bool,
    methods: str | None,
    plugin: tuple[Path, ...],
    page: bool,
    show_page: bool,
) -> None:
    """Print the tables of RESULTS, a results folder, from what lies in it alone."""
    from fairl_bench import api

    _print_note(results)
    if page or show_page:
        _page(results, plugin, again=page, show=show_page)
        return
    found = api.read_results(results, plugins=plugin)
    if methods is not None:
        found = found.between(*two_methods(methods))
    if intervals:
        found = found.with_intervals()
    wanted = {found.table(name).name for name in names} or found.tables.keys()
    print_tables([table for name, table in found.tables.items() if name in wanted], form)
    _print_warnings(found.warnings)


def _print_note(*folders: Path) -> None:
    """Print what a reader of these results folders should know before any number."""
    from fairl_bench.results.folder import note

    for folder in dict.fromkeys(folders):
        if folder.is_dir() and (sentence := note(folder)):
            click.echo(f"note: {sentence}", err=True)


def _print_warnings(warnings: Sequence[str]) -> None:
    """Print what of plugins could not be shown."""
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def _page(results: Path, plugin: tuple[Path, ...], *, again: bool, show: bool) -> None:
    """Write the page of a results folder and print where it is; with ``show``, open it in a browser."""
    from fairl_bench.html.write import write_pages
    from fairl_bench.results.results import read_results
    from fairl_bench.suite.registry import Registry

    read = read_results(results, Registry(plugin))
    place = write_pages(read, again=again)
    _print_warnings(read.warnings)
    click.echo(place)
    if show and click.launch(str(place)):
        click.echo("no browser was found; open the file in one", err=True)


@click.command()
@click.argument("first", shell_complete=completion.results)
@click.argument("second", shell_complete=completion.results)
@FORMAT
def compare(first: str, second: str, form: str) -> None:
    """Compare FIRST and SECOND, paired example by example.

    Each is RESULTS:METHOD, a method of a results folder, or RESULTS for every method that both have.  One may be a
    CSV file of scores with the columns 'text' and 'reward' (and 'prompt', 'method'), judged on the texts of the other.
    """
    from fairl_bench.results.compare import Side
    from fairl_bench.results.compare import compare as compare_sides
    from fairl_bench.tables.comparison import comparison_tables

    _print_note(Side.read(first).folder, Side.read(second).folder)
    print_tables(comparison_tables(compare_sides(first, second)), form)


@click.command()
@click.argument("scores", type=click.Path(path_type=Path))
@click.option(
    "--truth", type=click.Path(path_type=Path), help="A CSV file of truths: dataset, example, truth, label, value."
)
@click.option(
    "--threshold",
    type=Number(),
    help="A text is called good above it.  [default: the best on split 'train']",
)
@POSITIVE
@click.option("--by", metavar="TRUTH", default="", help="The truth to judge by, as gold:NAME.  [default: gold]")
@FORMAT
@INTERVALS
@METHODS
def evaluate(
    scores: Path,
    truth: Path | None,
    threshold: float | None,
    positive: Literal["good", "bad"],
    by: str,
    form: str,
    intervals: bool,
    methods: str | None,
) -> None:
    """Judge SCORES, anybody's CSV file, one line an example and run.

    Columns: 'reward' (or 'predicted': 1 good, -1 or 0 not), 'label' (1 good, -1 not) or 'value' (the true reward, more
    is better) or both, and as they apply 'example', 'dataset', 'split', 'method', 'seed', 'replicate', 'model',
    'encoder', 'pair', 'role', 'group', 'prompt', 'truth'.
    """
    from fairl_bench.results.evaluate import evaluate as judge
    from fairl_bench.suite.report import tables_of
    from fairl_bench.views import make_tables, with_intervals

    two = None if methods is None else two_methods(methods)
    scored = judge(scores, truth, threshold=threshold, methods=two, positive=positive, against=by)
    asked = with_intervals(scored.report, scored.guard) if intervals else scored.report
    tables = make_tables(tables_of(asked, scored.registry, scored.guard), scored, scored.guard)
    print_tables(list(tables.values()), form)
    _print_warnings(scored.warnings)


@click.command()
@RESULTS
@click.option(
    "--against", required=True, type=NamedFile("published"), help="Published numbers: a file, or a name of `published`."
)
@click.option("--truth", type=click.Path(path_type=Path), help="For a CSV file: one of truths, as 'evaluate' takes it.")
@click.option("--threshold", type=Number(), help="For a CSV file, as 'evaluate' takes it.")
@POSITIVE
@click.option("--renew", is_flag=True, help="Write what was measured into the file, where its margins are exact.")
@FORMAT
def regress(
    results: Path,
    against: Path,
    truth: Path | None,
    threshold: float | None,
    positive: Literal["good", "bad"],
    renew: bool,
    form: str,
) -> None:
    """Hold RESULTS, a results folder or a CSV file of scores, against published numbers.

    Each is reproduced, differs, or is not comparable and why; exit code 1 where one differs.
    """
    from fairl_bench.errors import FairlError
    from fairl_bench.results import regress as regression
    from fairl_bench.results.published import read_published
    from fairl_bench.suite.named_files import shipped
    from fairl_bench.tables.regression import regression_table

    published = read_published(against)
    if renew and against in shipped("published").values():
        raise FairlError(f"--renew: {against} comes with the package; renew a file of yours, named by its path")
    _print_note(results)
    measured = regression.measured(results, truth, threshold=threshold, positive=positive)
    lines = regression.regress(measured, published)
    print_tables([regression_table(lines, published)], form)
    if renew:
        against.write_text(regression.renewed(lines, against, published), encoding="utf-8")
        click.echo(f"{against} is renewed; say in its change log what changed the numbers", err=True)
    elif any(line.verdict == "differs" for line in lines):
        sys.exit(1)


@click.command()
@click.argument("file", required=False, type=NamedFile("published"))
@FORMAT
def published(file: Path | None, form: str) -> None:
    """Show the numbers of FILE with their source, and what the source's own arithmetic comes to.

    FILE is a path or a name of `list published`; without, all of them, and every file of results/published here.
    """
    from fairl_bench.results.published import read_published
    from fairl_bench.suite.named_files import shipped
    from fairl_bench.tables.published import check_table, number_table

    here = {path.stem: path for path in sorted(Path("results/published").glob("*.yaml"))}
    files = [file] if file else ({**shipped("published"), **here}).values()
    known = [read_published(path) for path in files]
    print_tables([make(one) for one in known for make in (number_table, check_table)], form)


COMMANDS = (report, compare, evaluate, regress, published)
