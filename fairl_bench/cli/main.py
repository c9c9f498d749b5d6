"""Arguments in, text and exit codes out; decides nothing.

Exit codes: 0 fine; 1 a cell failed, a regression or an expectation did not hold; 2 the user must change something;
130 interrupted; 143 ended by SIGTERM.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fairl_bench.cli.numbers import Number, Whole
from fairl_bench.cli.reward import PLUGIN, score, serve
from fairl_bench.cli.store import store as keep_house
from fairl_bench.cli.streams import Terminated, output_refusal, prepare_streams, terminable

if TYPE_CHECKING:
    from fairl_bench.pipeline import Finished
    from fairl_bench.results.read import Folder
    from fairl_bench.suite.registry import Registry
    from fairl_bench.table import Table


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for garbage less often: what a command makes are thousands of records, and next to none of it is garbage."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Group(click.Group):
    """Turns expected failures into one or two lines and exit code 2."""

    def main(self, *args: Any, **settings: Any) -> Any:
        prepare_streams()
        try:
            with terminable(), _seldom_collected():
                return super().main(*args, **settings)
        except OSError:
            if not (why := output_refusal()):
                raise
        except SystemExit as error:
            if not (why := output_refusal()):
                _leave(error.code)
                raise
        click.echo(f"error: the standard output cannot be written: {why}; make room there, or name another", err=True)
        sys.exit(2)

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            how, code = ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)
            click.echo(f"{how}; finished work is kept: run the same command again to go on", err=True)
            context.exit(code)
        except click.ClickException:
            raise
        except Exception as error:
            from fairl_bench.errors import FairlError, brief

            if context.params.get("debug"):
                raise
            told = str(error) if isinstance(error, FairlError) else _blame(error)
            if told is None:
                raise
            from fairl_bench.cli.live import safe

            click.echo(f"error: {brief(safe(told))}", err=True)
            context.exit(2)


def _blame(error: Exception) -> str | None:
    """What to say of an error that a plugin's code has raised; None where no plugin's code was running."""
    from fairl_bench.suite.drop_ins import blame

    return blame(error)


def _leave(code: object) -> None:
    """End the process although a plugin has left threads that would never let it end."""
    import threading

    own = (threading.current_thread(), threading.main_thread())
    left = [one for one in threading.enumerate() if one not in own and not one.daemon and one.is_alive()]
    for one in left:
        one.join(_PATIENCE / len(left))
    if any(one.is_alive() for one in left):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


_PATIENCE = 3.0  # seconds that threads have to end


_SUITE = click.argument("suite", type=click.Path(path_type=Path))
_SET = click.option("--set", "options", multiple=True, metavar="PATH=VALUE", help="Set a value, e.g. head.width=32.")
_STORE = click.option("--store", metavar="PLACE", help="Folder or URL of finished work.  [default: FAIRL_STORE]")


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="fairl-bench")
def main(debug: bool) -> None:
    """Benchmark methods that recover the reward an aligned language model has internalised."""
    # before torch and numpy are imported: one thread a process, so that numbers do not depend on the cores
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@main.command()
@_SUITE
@_SET
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
@_STORE
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
    from fairl_bench.cli.live import Progress
    from fairl_bench.html.write import write_pages
    from fairl_bench.isolation import put_back
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
    from fairl_bench.cli.live import safe
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


_FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "md", "tex", "csv", "json", "markdown", "latex"]),
    default="terminal",
    show_default=True,
    help="What to print it as.",
)
_INTERVALS = click.option("--intervals", is_flag=True, help="Show the 95 % interval of each number of Table 1.")
_POSITIVE = click.option(
    "--positive",
    type=click.Choice(["good", "bad"]),
    default="good",
    show_default=True,
    help="For a CSV file: the class of F1; papers on toxicity mostly give that of the toxic (bad) texts.",
)
_METHODS = click.option("--methods", metavar="A,B", help="The two methods of Tables 2 and 3, the baseline first.")


@main.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--table",
    "-t",
    "names",
    multiple=True,
    metavar="NAME",
    help="1, 2, 3, slices, ambiguity, realignment, realignment-second, realignment-steps or claims, or the name of its "
    "file.  [default: all]",
)
@_FORMAT
@_INTERVALS
@_METHODS
@click.option("--page", is_flag=True, help="Print no table; draw figures/ and write report.html anew.")
@click.option("--open", "show_page", is_flag=True, help="Print no table; open report.html in a browser.")
def report(
    results: Path,
    names: tuple[str, ...],
    form: str,
    intervals: bool,
    methods: str | None,
    page: bool,
    show_page: bool,
) -> None:
    """Print the tables of RESULTS, a results folder, from what lies in it alone."""
    from fairl_bench.errors import FairlError, UnknownName
    from fairl_bench.results.folder import table_name
    from fairl_bench.results.read import TABLES, asked, between, read_results, tables

    names = tuple(map(table_name, names))
    for name in names:
        if name not in TABLES:
            raise UnknownName("table", name, TABLES)
    _tell_first(results)
    if page or show_page:
        _page(results, again=page, show=show_page)
        return
    folder = read_results(results)
    if methods is not None:
        folder = between(folder, _two(methods))
    found = [*folder.records, *folder.paired.records]
    compared = folder.paired.comparisons
    runs, labelled, notes = folder.runs, folder.known, folder.notes
    made = tables(folder.report, found, compared, runs, intervals=intervals, known=labelled, notes=notes)
    if folder.claims and (not names or "claims" in names):
        made["claims"] = _judged(folder)
    for name in names:
        if name not in made:
            known = ", ".join(made) or "none"
            why = "its suite does not ask for it under 'report:'"
            if name in asked(folder.report):
                why = "its suite asks for it, and no number on record belongs into it"
            raise FairlError(f"{results} has no table {name!r} (it has: {known}); {why}")
    _print([table for name, table in made.items() if not names or name in names], form)


def _tell_first(*places: Path) -> None:
    """What a reader of these results folders should know before any number."""
    from fairl_bench.results.folder import note

    for place in dict.fromkeys(places):
        if place.is_dir() and (said := note(place)):
            click.echo(f"note: {said}", err=True)


def _page(results: Path, *, again: bool, show: bool) -> None:
    """Write a folder's page and print where it lies; with ``show``, have the system open it."""
    from fairl_bench.html.write import write_pages

    place = write_pages(results, again=again)
    click.echo(place)
    if show and click.launch(str(place)):
        click.echo("no browser was found; open the file in one", err=True)


def _judged(folder: Folder) -> Table:
    from fairl_bench.results import claims

    known = folder.paired.comparisons
    return claims.table(claims.judge(folder.claims, folder.path, folder.name, folder.records, known))


@main.command()
@click.argument("first")
@click.argument("second")
@_FORMAT
def compare(first: str, second: str, form: str) -> None:
    """Compare FIRST and SECOND, paired example by example.

    Each is RESULTS:METHOD, a method of a results folder, or RESULTS for every method that both have.
    """
    from fairl_bench.results.compare import Side
    from fairl_bench.results.compare import compare as compare_sides

    _tell_first(Side.read(first).folder, Side.read(second).folder)
    _print(compare_sides(first, second), form)


@main.command()
@click.argument("scores", type=click.Path(path_type=Path))
@click.option(
    "--truth", type=click.Path(path_type=Path), help="A CSV file of truths: dataset, example, truth, label, value."
)
@click.option(
    "--threshold",
    type=Number(),
    help="A text is called good above it.  [default: the best on split 'train']",
)
@_POSITIVE
@_FORMAT
@_INTERVALS
@_METHODS
def evaluate(
    scores: Path,
    truth: Path | None,
    threshold: float | None,
    positive: Literal["good", "bad"],
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

    two = None if methods is None else _two(methods)
    made = judge(scores, truth, threshold=threshold, methods=two, positive=positive, intervals=intervals)
    _print(list(made.values()), form)


@main.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--against", required=True, type=click.Path(path_type=Path), help="A file of published numbers.")
@click.option("--truth", type=click.Path(path_type=Path), help="For a CSV file: one of truths, as 'evaluate' takes it.")
@click.option("--threshold", type=Number(), help="For a CSV file, as 'evaluate' takes it.")
@_POSITIVE
@click.option("--renew", is_flag=True, help="Write what was measured into the file, where its margins are exact.")
@_FORMAT
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
    from fairl_bench.results import regress as regression
    from fairl_bench.results.published import read_published

    published = read_published(against)
    _tell_first(results)
    measured = regression.measured(results, truth, threshold=threshold, positive=positive)
    lines = regression.regress(measured, published)
    _print([regression.table(lines, published)], form)
    if renew:
        against.write_text(regression.renewed(lines, against, published), encoding="utf-8")
        click.echo(f"{against} is renewed; say in its change log what changed the numbers", err=True)
    elif any(line.verdict == "differs" for line in lines):
        sys.exit(1)


@main.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_FORMAT
def published(file: Path | None, form: str) -> None:
    """Show the numbers of FILE with their source, and what the source's own arithmetic comes to.

    Without FILE, every file of results/published.
    """
    from fairl_bench.errors import FairlError
    from fairl_bench.results.published import check_table, number_table, read_published

    files = [file] if file else sorted(Path("results/published").glob("*.yaml"))
    if not files:
        raise FairlError("results/published holds no file here; name one: fairl-bench published FILE")
    known = [read_published(path) for path in files]
    _print([make(one) for one in known for make in (number_table, check_table)], form)


def _two(methods: str) -> tuple[str, str]:
    from fairl_bench.errors import FairlError

    names = methods.split(",")
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise FairlError(f"--methods {methods}: needs two different methods, A,B")
    return names[0], names[1]


def _print(tables: list[Table], form: str) -> None:
    from fairl_bench.cli.live import rendered

    click.echo(rendered(tables, form))


@main.command()
@_SUITE
@_SET
@_STORE
def check(suite: Path, options: tuple[str, ...], store: str | None) -> None:
    """Check SUITE without running it: names, fields, references, data files; then show the plan and its cost."""
    from fairl_bench.engine.estimate import estimate
    from fairl_bench.engine.plan import plan
    from fairl_bench.engine.split_sizes import checked_sizes, told
    from fairl_bench.isolation import put_back
    from fairl_bench.store.place import default_store, open_store
    from fairl_bench.suite.parts import check_parts
    from fairl_bench.suite.read import read_study
    from fairl_bench.suite.unread import cut_off

    with put_back():
        study = read_study(suite, options)
        remarks = check_parts(study)
        made = plan(study)
        opened = open_store(store or default_store())
        split = list(told(checked_sizes(study, made, opened)))
        work = estimate(made, opened, study.registry)
    variants = f", {len(study.variants)} variants" if len(study.variants) > 1 else ""
    click.echo(f"{suite}: fine; {len(made.cells)} cells{variants}")
    for remark in remarks:
        click.echo(f"note: {remark}")
    width = max(11, *map(len, work.stages))
    for kind, (finished, total) in work.stages.items():
        click.echo(f"  {kind:<{width}} {total:>5}" + (f", {finished} finished" if finished else ""))
    for line in (*split, *cut_off(study)[:20]):
        click.echo(line)
    texts = "an unknown number of" if work.texts is None else f"{work.texts:,}"
    steps = "an unknown number of" if work.steps is None else f"at most {work.steps:,}"
    click.echo(f"to do: {texts} texts to embed, {steps} steps to train")
    if work.models or work.completions:
        click.echo(f"and {work.models} language models to make or look up, {work.completions:,} completions to draw")
    if (seconds := work.seconds()) is not None:
        roughly = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        apart = ", language models apart" if work.models else ""
        click.echo(f"roughly {roughly} on two cores with the small encoder{apart}" if seconds else "nothing to compute")


@main.command()
@PLUGIN
def schema(plugin: tuple[Path, ...]) -> None:
    """Print the JSON Schema of suites, with the fields of every part, for an editor."""
    import json

    from fairl_bench.isolation import put_back
    from fairl_bench.suite.schema import json_schema

    registry = _registry(plugin)
    with put_back():
        made = json_schema(registry)
    click.echo(json.dumps(made, indent=1, ensure_ascii=False))


@main.command(name="list")
@click.argument("kind", required=False)
@PLUGIN
def list_parts(kind: str | None, plugin: tuple[Path, ...]) -> None:
    """List the parts that a suite can name, all or of one KIND."""
    from fairl_bench.errors import FairlError, suggest
    from fairl_bench.kinds import KINDS

    registry = _registry(plugin)
    if kind is not None and kind not in KINDS:
        raise FairlError(f"kind {kind!r} is unknown; {suggest(kind, KINDS)}")
    for name in [kind] if kind else KINDS:
        click.echo(f"{name}:")
        for part in registry.names(name):
            found = registry.plugin_of(name, part)
            click.echo(f"  {part:<24} {found.origin if found.origin == 'built-in' else found.name}")


@main.command()
@click.argument("name")
@PLUGIN
def show(name: str, plugin: tuple[Path, ...]) -> None:
    """Show the part called NAME: what it is, its fields with defaults and bounds, and where it comes from."""
    import inspect

    from tabulate import tabulate

    from fairl_bench.errors import UnknownName
    from fairl_bench.isolation import put_back
    from fairl_bench.kinds import KINDS
    from fairl_bench.suite.schema import fields

    registry = _registry(plugin)
    kinds = [kind for kind in KINDS if name in registry.names(kind)]
    if not kinds:
        raise UnknownName("part", name, {part for kind in KINDS for part in registry.names(kind)})
    for kind in kinds:
        with put_back():
            part, origin = registry.find(kind, name), registry.plugin_of(kind, name)
            rows: list[Any] = fields(part)
        click.echo(f"{kind} {name}\n\n{inspect.cleandoc(part.__doc__ or '')}\n")
        heads = ["field", "type", "default", "what it is"]
        click.echo(tabulate(rows, heads, tablefmt="simple", disable_numparse=True) if rows else "It has no fields.")
        click.echo(f"\nfrom {origin.name} {origin.version} ({origin.origin}): {_file_of(part)}\n")


def _file_of(part: type) -> str:
    import inspect

    try:
        return inspect.getsourcefile(part) or "no file"
    except TypeError:  # a class that was made, and stands in none
        return "no file"


@main.command()
@PLUGIN
def plugins(plugin: tuple[Path, ...]) -> None:
    """List the plugins: origin, version, hooks, and what is wrong with a broken one."""
    for found in _registry(plugin).plugins.values():
        state = f"BROKEN: {found.failure}" if found.failure else ", ".join(found.hooks)
        click.echo(f"{found.name} {found.version} ({found.origin}): {state}")


for command in (score, serve, keep_house):
    main.add_command(command)


def _registry(drop_ins: tuple[Path, ...]) -> Registry:
    from fairl_bench.suite.registry import Registry

    return Registry(drop_ins)
