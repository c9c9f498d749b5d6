"""Tables, figures and panels of plugins: each is one file and a registration, and shown like a built-in one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import Result
from matplotlib.figure import Figure

import fairl_bench
from fairl_bench.errors import PluginError
from fairl_bench.html.page import page
from fairl_bench.kinds import KINDS
from fairl_bench.material import Material
from fairl_bench.pipeline import Finished
from fairl_bench.results.given import GivenMaterial
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from fairl_bench.testing import check_figure, check_panel, check_table, planted_material
from fairl_bench.values.table import Table
from fairl_bench.views import Drawn, Panel, ReportFigure, ReportTable

Cli = Callable[..., Result]
PLUGINS = Path(__file__).parent.parent / "plugins"
DROP_INS = ("extremes_table", "dots_figure", "best_run_panel")
BUILT_IN_PANELS = Registry(installed=False).names("panel")
PANEL = """
from fairl_bench import Panel, Section, Table, hookimpl


class Greeting(Panel):
    def section(self, material, pictures):
        table = Table("Seen", (("", "<i>head</i>"),), (("<b>cell</b>",),), ("<u>note</u>",))
        return Section("<b>Hello</b>", ["<script>caught()</script>"], [table], html="<script>top.caught()</script>")


class Silent(Panel):
    def section(self, material, pictures):
        return None


@hookimpl
def fairl_panels(register):
    register("greeting", Greeting)
    register("silent", Silent)
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with the three drop-ins, without its time."""
    from fairl_bench.html.write import write_pages
    from fairl_bench.pipeline import run
    from fairl_bench.store.folder import FolderStore
    from fairl_bench.suite.read import read_study
    from tests.conftest import TINY

    root = tmp_path_factory.mktemp("plugged")
    drop_ins = ", ".join(str(PLUGINS / f"{name}.py") for name in DROP_INS)
    plugins = f"plugins: [{drop_ins}]\n"
    text = TINY.replace("report:\n", "report:\n  extremes: {data: [pairs/test]}\n", 1)
    (root / "suite.yaml").write_text(plugins + text)
    return run(read_study(root / "suite.yaml"), FolderStore(root / "store"), root / "results", then=write_pages).folder


def test_a_drop_in_table_figure_and_panel_have_at_most_25_lines() -> None:
    for name in DROP_INS:
        assert len((PLUGINS / f"{name}.py").read_text().splitlines()) <= 25


def test_a_drop_in_table_is_made_saved_and_on_the_page(shown: Path, cli: Cli) -> None:
    saved = (shown / "tables" / "extremes.md").read_text()
    assert "**Extremes**" in saved
    assert '<h2 id="head-extremes">Extremes</h2>' in (shown / "report.html").read_text()
    told = cli("report", shown, "--plugin", PLUGINS / "extremes_table.py", "-t", "extremes", "--format", "md")
    assert told.stdout.strip() == saved.strip()


def test_a_folder_is_read_without_the_plugin_of_its_table(shown: Path, cli: Cli) -> None:
    assert cli("report", shown).exit_code == 0
    missing = cli("report", shown, "-t", "extremes")
    assert (
        missing.exit_code,
        "table 'extremes' was made by a plugin: name its file with --plugin" in missing.stderr,
    ) == (2, True)


def test_a_drop_in_figure_is_drawn_and_on_the_page(shown: Path) -> None:
    assert {path.name for path in (shown / "figures").glob("dots.*")} == {"dots.svg", "dots.png"}
    assert "Every run of each method <small>figures/dots.svg</small>" in (shown / "report.html").read_text()


def test_a_drop_in_panel_is_on_the_page_with_its_table_and_figure(shown: Path) -> None:
    (section,) = re.findall(r'<section id="panel-best-run".*?</section>', (shown / "report.html").read_text(), re.S)
    assert "Best runs" in section
    assert "accuracy ↑" in section
    assert "<svg" in section or "<img" in section


def test_a_table_of_a_plugin_is_checked_like_a_built_in_one(
    cli: Cli, write_suite: Callable[..., Path], tiny: dict[str, Any]
) -> None:
    tiny["plugins"] = [str(PLUGINS / "extremes_table.py")]
    for wrong, said in (
        ({"extremes": {"data": ["pairs/tset"]}}, "report.extremes: data 'pairs/tset' is unknown; did you mean"),
        ({"extremes": {"dta": ["pairs/test"]}}, "unknown field 'dta'; did you mean 'data'?"),
        ({"extrems": {"data": ["pairs/test"]}}, "table 'extrems' is unknown; did you mean 'extremes'?"),
    ):
        ran = cli("check", write_suite({**tiny, "report": wrong}))
        assert ran.exit_code == 2
        assert said in ran.stderr


def test_a_drop_in_panel_is_on_the_page_with_nothing_but_text_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "greeting.py").write_text(PANEL)
    registry = Registry([tmp_path / "greeting.py"], installed=False)
    made = page(GivenMaterial(name="s"), panels_of(registry), {}, "ab")
    assert '<a href="#panel-greeting">&lt;b&gt;Hello&lt;/b&gt;</a>' in made
    for text in ("script&gt;caught()", "b&gt;cell", "i&gt;head", "u&gt;note"):
        assert f"&lt;{text}" in made
    assert '<iframe sandbox=""' in made
    assert made.count("<script") == 2
    assert "silent" not in made


EXECUTOR = """
from fairl_bench import Executor, Field, hookimpl


class OneByOne(Executor):
    jobs: int = Field(1, ge=1, description="how many it is said to do at once")

    def start(self, workplace):
        return Runner(workplace, self.jobs)


class Runner:
    def __init__(self, workplace, slots):
        self.workplace, self.slots, self.waiting = workplace, slots, []

    def submit(self, job):
        self.waiting.append(job)

    def next(self):
        job = self.waiting.pop(0)
        print("working on", job[0].title)
        return job, self.workplace.perform(job)

    def close(self, *, at_once):
        print("closed")


@hookimpl
def fairl_executors(register):
    register("one-by-one", OneByOne)
"""


def test_a_drop_in_executor_does_the_work_of_a_run(
    cli: Cli, write_suite: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(EXECUTOR)
    suite = write_suite({**tiny, "plugins": [str(tmp_path / "mine.py")], "methods": tiny["methods"][:1]})
    ran = cli("run", suite, "--executor", "one-by-one", "--jobs", "3")
    assert ran.exit_code == 0
    assert "working on" in ran.stdout
    assert "closed" in ran.stdout
    assert "Table 1" in ran.stdout


def test_an_executor_with_a_field_of_its_own_says_that_it_lacks_it_and_takes_it_from_python(
    cli: Cli, write_suite: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    needs_queue = EXECUTOR.replace("    jobs: int", "    queue: str\n    jobs: int")
    assert needs_queue != EXECUTOR
    (tmp_path / "mine.py").write_text(needs_queue)
    suite = write_suite({**tiny, "plugins": [str(tmp_path / "mine.py")], "methods": tiny["methods"][:1]})
    ran = cli("run", suite, "--executor", "one-by-one")
    assert ran.exit_code == 2
    assert "executor 'one-by-one', queue: Field required; from Python, give executor={'use': " in ran.stderr
    spec = {"use": "one-by-one", "queue": "short"}
    done = fairl_bench.run(suite, executor=spec, store=tmp_path / "other", results=tmp_path / "results")
    assert len(done.records)


def test_an_executor_that_there_is_not_is_refused(cli: Cli, write_suite: Callable[..., Path]) -> None:
    from tests.conftest import TINY

    ran = cli("run", write_suite(TINY), "--executor", "rey")
    assert (ran.exit_code, "executor 'rey' is unknown; did you mean 'ray'?" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("datasets", "datasets gave 'pairs/test'; it needs a tuple of names"),
        ("shown_slices", "shown_slices gave 'pairs/test'; it needs a tuple of names"),
        ("pair", "pair gave 'pairs/test'; it needs two names, or None"),
        ("questions", "questions gave 'pairs/test'; it needs a list of fairl_bench.Question"),
    ],
)
def test_what_a_table_of_a_plugin_says_of_itself_is_looked_at_before_a_run(
    verb: str, said: str, cli: Cli, write_suite: Callable[..., Path], tiny: dict[str, Any], tmp_path: Path
) -> None:
    table = (PLUGINS / "extremes_table.py").read_text()
    wrong = f'    def {verb}(self):\n        return "pairs/test"\n\n    def tables('
    (tmp_path / "wrong.py").write_text(table.replace("    def tables(", wrong, 1))
    suite = {**tiny, "plugins": [str(tmp_path / "wrong.py")], "report": {"extremes": {"data": ["pairs/test"]}}}
    ran = cli("check", write_suite(suite))
    assert (ran.exit_code, said in ran.stderr) == (2, True)


# --- what a plugin does wrong

WRONG = """
from fairl_bench import Drawn, Panel, ReportFigure, ReportTable, Section, Table, hookimpl

HEADS, ROWS = (("", "a"),), (("1",),)


class Always(ReportTable):
    always = True


class Raises(Always):
    def tables(self, material):
        yield Table("Of a part that fails", HEADS, ROWS, ())
        raise ValueError("no\\nluck")


class Leaves(Always):
    def tables(self, material):
        raise SystemExit(3)


class Crooked(Always):
    def tables(self, material):
        yield Table("Crooked", HEADS, (("1", "2"),), ())


class Outside(Always):
    def tables(self, material):
        yield Table("Outside", HEADS, ROWS, (), name="../outside")


class Thief(Always):
    def tables(self, material):
        yield Table("Stolen", HEADS, ROWS, (), name="table1")
        yield Table("Stolen", HEADS, ROWS, (), name="Whole")
        yield Table("Of the thief", HEADS, ROWS, (), name="own")


class Needy(Always):
    data: str

    def tables(self, material):
        return ()


class Whole(Always):
    def tables(self, material):
        yield Table("Whole", HEADS, ROWS, ())


class Stiff(ReportTable):
    def tables(self, material):
        yield Table("Stiff", HEADS, ROWS, ())

    def between(self, methods):
        raise ValueError("never between")

    def for_two(self, methods):
        return {"use": "table9"}

    def with_intervals(self):
        return None


class Figures(ReportFigure):
    def figures(self, material):
        from matplotlib.figure import Figure

        if self.use == "no-figures":
            raise KeyError("gone")
        if self.use == "unsavable":
            yield Drawn("unsavable", "Unsavable", None)
        else:
            yield Drawn("leaderboard", "Stolen", Figure())
            yield Drawn("whole", "A whole figure", Figure())


class Panels(Panel):
    def section(self, material, pictures):
        if self.use == "no-panel":
            raise RuntimeError("no panel")
        if self.use == "unshowable":
            return Section("Unshowable", tables=(None,))
        return Section("A whole panel", ["still there"])


@hookimpl
def fairl_tables(register):
    for part in (Raises, Leaves, Crooked, Outside, Thief, Needy, Whole, Stiff):
        register(part.__name__.lower(), part)
    register("unloadable", "no_such_module:Table")


@hookimpl
def fairl_figures(register):
    for name in ("no-figures", "unsavable", "thief", "unloadable"):
        register(name, "no_such_module:Figure" if name == "unloadable" else Figures)


@hookimpl
def fairl_panels(register):
    for name in ("no-panel", "unshowable", "whole"):
        register(name, Panels)
"""
SAID = {
    "table 'raises'": "failed and is left out: ValueError: no luck",
    "table 'leaves'": "failed and is left out: SystemExit: 3",
    "table 'crooked'": "failed and is left out: the row ('1', '2') has 2 cells below 1 heads",
    "table 'outside'": "failed and is left out: the name '../outside' is no name of a file; use letters, digits, -",
    "table 'thief'": "gave a table the name 'table1', which another table has; it is left out until it has a name",
    "table 'needy'": "failed and is left out: data: Field required",
    "table 'unloadable'": "failed and is left out: table 'unloadable' of",
    "figure 'no-figures'": "failed and is left out: KeyError: 'gone'",
    "figure 'unsavable'": "failed and is left out: AttributeError: ",
    "figure 'thief'": "gave a figure the name 'leaderboard', which another figure has; it is left out until it has",
    "figure 'unloadable'": "failed and is left out: figure 'unloadable' of",
    "panel 'no-panel'": "failed and is left out: RuntimeError: no panel",
    "panel 'unshowable'": "failed and is left out: UndefinedError: ",
}


class Spoilt(NamedTuple):
    """A run with plugins that do wrong: its results folder, the plugin, and what its watcher was told."""

    folder: Path
    plugin: Path
    told: list[str]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Spoilt:
    from fairl_bench.engine.execute import Watcher
    from fairl_bench.html.write import write_pages
    from fairl_bench.pipeline import run
    from fairl_bench.store.folder import FolderStore
    from fairl_bench.suite.read import read_study
    from tests.conftest import TINY

    root = tmp_path_factory.mktemp("spoilt")
    (root / "wrong.py").write_text(WRONG)
    (root / "suite.yaml").write_text(
        f"plugins: [wrong.py]\n{TINY.replace('report:', 'report:' + chr(10) + '  stiff: {}', 1)}"
    )
    told: list[str] = []
    study, store = read_study(root / "suite.yaml"), FolderStore(root / "store")
    finished = run(study, store, root / "results", Watcher(warned=told.append), then=write_pages)
    assert not finished.outcome.failed
    return Spoilt(finished.folder, root / "wrong.py", told)


def about(part: str, warnings: Iterable[str]) -> str:
    """The first of the warnings that is about a part."""
    return next(warning for warning in warnings if warning.startswith(f"{part} of plugin "))


@pytest.mark.parametrize("part", SAID)
def test_what_a_part_of_a_plugin_does_wrong_is_told_in_a_line(part: str, spoilt: Spoilt) -> None:
    warning = about(part, spoilt.told)
    assert SAID[part] in warning
    assert str(spoilt.plugin) in warning
    assert "\n" not in warning


@pytest.mark.parametrize("part", SAID)
def test_it_is_on_record_and_on_the_page(part: str, spoilt: Spoilt) -> None:
    run = json.loads((spoilt.folder / "run.json").read_text())
    assert run["warnings"] == spoilt.told
    page = unescape((spoilt.folder / "report.html").read_text())
    assert f"<b>left out</b> <bdi>{about(part, spoilt.told)}</bdi>" in page


def test_everything_else_is_written_though_plugins_do_wrong(spoilt: Spoilt) -> None:
    tables = {path.stem for path in (spoilt.folder / "tables").iterdir()}
    assert {"table1", "whole", "own"} <= tables
    assert not tables & {"raises", "leaves", "crooked", "outside", "thief"}
    assert not (spoilt.folder / "outside.md").exists()
    assert "Stolen" not in (spoilt.folder / "tables" / "table1.md").read_text()
    assert (spoilt.folder / "intervals.parquet").exists()
    assert (spoilt.folder / "records.parquet").exists()
    figures = {path.stem for path in (spoilt.folder / "figures").iterdir()}
    assert {"leaderboard", "whole"} <= figures
    assert "unsavable" not in figures
    page = (spoilt.folder / "report.html").read_text()
    assert "still there" in page
    assert "A whole figure" in page
    assert "Stolen" not in page


def test_a_report_tells_it_too_and_shows_the_other_tables(spoilt: Spoilt, cli: Cli) -> None:
    told = cli("report", spoilt.folder, "--plugin", spoilt.plugin)
    assert told.exit_code == 0
    assert "Table 1" in told.stdout
    assert "Of the thief" in told.stdout
    assert "Stolen" not in told.stdout
    for part in (name for name in SAID if name.startswith("table")):
        assert f"warning: {about(part, spoilt.told)}\n" in told.stderr
    missing = cli("report", spoilt.folder, "--plugin", spoilt.plugin, "-t", "raises")
    assert (missing.exit_code, "no table 'raises'" in missing.stderr, "no luck" in missing.stderr) == (2, True, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "length,max-margin"], "failed and is left out: ValueError: never between"),
        (["--methods", "length,max-margin"], "failed and is left out: table 'table9' is unknown"),
        (["--intervals"], "failed and is left out: it gave None for a table with other settings"),
    ],
)
def test_a_table_of_a_plugin_that_cannot_be_changed_is_left_out(
    options: list[str], said: str, spoilt: Spoilt, cli: Cli
) -> None:
    assert "Stiff" in cli("report", spoilt.folder, "--plugin", spoilt.plugin).stdout
    told = cli("report", spoilt.folder, "--plugin", spoilt.plugin, *options)
    assert told.exit_code == 0
    assert "Table 1" in told.stdout
    assert "Stiff" not in told.stdout
    assert said in told.stderr


def test_python_is_told_what_could_not_be_made(spoilt: Spoilt) -> None:
    results = fairl_bench.read_results(spoilt.folder, plugins=[spoilt.plugin])
    assert results.warnings == ()
    assert "own" in results.tables
    assert SAID["table 'raises'"] in about("table 'raises'", results.warnings)


@pytest.mark.parametrize("kind", ["table", "figure", "panel"])
def test_no_plugin_can_register_a_second_part_of_a_name(kind: str, tmp_path: Path) -> None:
    name = Registry(installed=False).names(kind)[0]
    text = PANEL.replace("Greeting(Panel)", f"Greeting({KINDS[kind].__name__})")
    text = text.replace("import Panel", f"import {KINDS[kind].__name__}, Panel").replace(
        "fairl_panels", f"fairl_{kind}s"
    )
    (tmp_path / "second.py").write_text(text.replace('register("greeting"', f'register("{name}"'))
    with pytest.raises(PluginError, match=f"{kind} '{name}' is registered by both fairl_bench.builtin and"):
        Registry([tmp_path / "second.py"], installed=False)


def test_a_built_in_table_that_fails_is_an_error(
    ran: Finished, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(self: ReportTable, material: Material) -> Iterable[Table]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("fairl_bench.tables.leaderboard.Leaderboard.tables", broken)
    told = cli("report", ran.folder)
    assert isinstance(told.exception, ZeroDivisionError)


# --- the kit


@pytest.fixture(scope="module")
def every() -> Registry:
    return Registry(sorted(PLUGINS.glob("*.py")), installed=False)


@pytest.mark.parametrize("name", ["table1", "extremes"])
def test_a_table_keeps_its_promises(name: str, every: Registry) -> None:
    check_table(every.build(ReportTable, {"use": name, "data": ["pairs/test", "web"]}), registry=every)


@pytest.mark.parametrize("name", ["leaderboard", "rewards", "reliability", "training", "dots"])
def test_a_figure_keeps_its_promises(name: str, every: Registry) -> None:
    table = every.build(ReportTable, {"use": "table1", "data": ["pairs/test", "web"]})
    check_figure(every.build(ReportFigure, {"use": name}), planted_material({"table1": table}), registry=every)


@pytest.mark.parametrize("name", [*BUILT_IN_PANELS, "best-run"])
def test_a_panel_keeps_its_promises(name: str, every: Registry) -> None:
    check_panel(every.build(Panel, {"use": name}), registry=every)


class Wrong(ReportTable):
    """A table that a test makes wrong."""

    made: tuple[Any, ...] = ()

    def tables(self, material: Material) -> Iterable[Table]:
        return self.made if material.records else ()


WHOLE = Table("t", (("", "a"),), (("1",),), ("note",))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((), "tables gave none of this material"),
        (("no table",), "make it a fairl_bench.Table"),
        ((WHOLE._replace(rows=(("1", "2"),)),), "has 2 cells below 1 heads"),
        ((WHOLE._replace(rows=((1,),)),), "holds what is no text"),
        ((WHOLE._replace(title=""),), "has no title"),
        ((WHOLE._replace(bold=frozenset({(1, 0)})),), "is outside of the table"),
        ((WHOLE, WHOLE), "two tables have the name of one"),
        ((WHOLE._replace(name="a/b"),), "is no name of a file"),
    ],
)
def test_the_kit_refuses_a_table(made: tuple[Any, ...], said: str) -> None:
    check_table(Wrong.model_construct(made=(WHOLE,)))
    with pytest.raises(AssertionError, match=said):
        check_table(Wrong.model_construct(made=made))


def test_the_kit_refuses_a_figure_of_nothing_and_an_open_window() -> None:
    class Anyway(ReportFigure):
        def figures(self, material: Material) -> Iterable[Drawn]:
            return [Drawn("a", "A figure", Figure())]

    class Nameless(ReportFigure):
        def figures(self, material: Material) -> Iterable[Drawn]:
            return [Drawn("a/b", "A figure", Figure())]

    for part, said in ((Anyway(), "of no material it drew a figure"), (Nameless(), "is no name of a file")):
        with pytest.raises(AssertionError, match=said):
            check_figure(part)
