"""Promises of what shows results: tables, figures and panels that are whole, and that do without what is not there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fairl_bench.guards.views import FILE_NAME, table_flaw
from fairl_bench.material import Material
from fairl_bench.results.given import GivenMaterial
from fairl_bench.testing.promises import answer, check_spec, must
from fairl_bench.values.coordinates import Coordinates, Row, Run, World
from fairl_bench.values.data import GOLD, PREFERRED, Examples, Truth
from fairl_bench.values.history import History
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs
from fairl_bench.values.sheets import Sheet
from fairl_bench.views import Drawn, Panel, Report, ReportFigure, ReportTable, Section

if TYPE_CHECKING:
    from fairl_bench.suite.registry import Registry

METHODS, SEEDS, DATA = ("first", "second"), (0, 1), ("pairs/test", "web")


def planted_material(report: Report | None = None) -> Material:
    """Results of two methods with two seeds each, on test pairs and a test set ``web``: numbers, scores, histories."""
    world, rng = World("toy", 0), np.random.default_rng(0)
    runs = [Run("encoder", "mlp", method, "", seed) for method in METHODS for seed in SEEDS]
    label = np.tile(np.array([1, -1], np.int8), 20)
    truths = {GOLD: Truth(label.astype(np.float64), label), PREFERRED: Truth(label.astype(np.float64), label)}
    pairs = Examples(_texts("pair"), pair=np.repeat(np.arange(20), 2), role=label, truths=truths)
    web = Examples(_texts("web"), truths={GOLD: truths[GOLD]})
    sheets = [
        Sheet("planted", world.model, world.replicate, data, examples, {run: rng.normal(size=40) for run in runs})
        for data, examples in zip(DATA, (pairs, web), strict=True)
    ]
    metrics = {"accuracy": 0.8, "f1": 0.8, "auc": 0.9, "starc": 0.3, "threshold": 0.0}
    records = [
        Record.at(Coordinates.of(world, run, data, truth), "planted", metric, value + rng.uniform(0, 0.1), 40)
        for run in runs
        for data in DATA
        for truth in ((GOLD, PREFERRED) if data == "pairs/test" else (GOLD,))
        for metric, value in metrics.items()
    ]
    losses = {"train_loss": np.array([0.7, 0.5]), "validation_loss": np.array([0.7, 0.6])}
    rows = {Row("toy", "encoder", method, ""): Runs(len(SEEDS), unit="seeds") for method in METHODS}
    return GivenMaterial(
        name="planted",
        suite="name: planted\n",
        report=report or {},
        records=records,
        rows=rows,
        sheets=sheets,
        histories=[History(Coordinates.of(world, run), losses) for run in runs],
    )


def _texts(kind: str) -> tuple[str, ...]:
    return tuple(f"{kind} text {number}" for number in range(40))


def check_table(table: ReportTable, material: Material | None = None, *, registry: Registry | None = None) -> None:
    """Whole tables of the material (by default planted), the same a second time, and none of nothing.

    What the table says of itself is of this form: names of data and metrics, questions, pairs of methods.
    """
    from fairl_bench.tables.formats import FORMATS

    name = table.use or "checked"
    given = material or planted_material({name: table})
    made = answer(table, lambda: list(table.tables(given)))
    must(bool(made), "tables gave none of this material; give check_table a material that it has a table for")
    for one in made:
        flaw = table_flaw(one)
        must(not flaw, flaw)
        for render in FORMATS.values():
            render(one)
        must(bool(str(one) and one._repr_html_()), "a table shows nothing")
    names = [one.name or name for one in made]
    must(len(set(names)) == len(names), f"two tables have the name of one, {names}; give each a name")
    must(list(table.tables(given)) == made, "made twice, the tables differ; keep nothing from one call to the next")
    must(not [one for one in table.tables(GivenMaterial()) if one.rows], "of no material it made a row; make none")
    for verb in ("datasets", "measures", "models", "concepts", "shown_methods"):
        said = getattr(table, verb)()
        must(_are_names(said), f"{verb}() gave {said!r:.60}; give a tuple of names")
    check_spec(table, registry)


def _are_names(said: object) -> bool:
    return isinstance(said, Sequence) and not isinstance(said, str) and all(isinstance(name, str) for name in said)


def check_figure(figure: ReportFigure, material: Material | None = None, *, registry: Registry | None = None) -> None:
    """Figures of the material (by default planted) that can be saved, none of nothing, and no window left open."""
    from fairl_bench.figures.style import render

    given = material or planted_material()
    drawn = answer(figure, lambda: list(figure.figures(given)))
    must(bool(drawn), "figures gave none of this material; give check_figure a material that it has a figure for")
    for one in drawn:
        must(isinstance(one, Drawn), f"figures gave {one!r:.60}; make it a fairl_bench.Drawn")
        must(bool(FILE_NAME.fullmatch(one.name)), f"{one.name!r} is no name of a file; use letters, digits and -")
        must(bool(one.title), f"the figure {one.name!r} has no title; say what it shows")
        must(bool(render(one.figure)["svg"]), f"the figure {one.name!r} cannot be saved as SVG")
    must(not list(figure.figures(GivenMaterial())), "of no material it drew a figure; draw none")
    pyplot = sys.modules.get("matplotlib.pyplot")
    open_figures = pyplot.get_fignums() if pyplot else []
    must(not open_figures, "it left a figure of pyplot open; make one with matplotlib.figure.Figure")
    check_spec(figure, registry)


def check_panel(panel: Panel, material: Material | None = None, *, registry: Registry | None = None) -> None:
    """A section of the material (by default planted) that the page can show, and no error where nothing is there."""
    from fairl_bench.html.page import page

    given = material or planted_material()
    for one in (given, GivenMaterial(name="empty")):
        section = answer(panel, partial(panel.section, one, {}))
        must(section is None or isinstance(section, Section), f"section gave {section!r:.60}; give a Section, or None")
        must(section is None or isinstance(section.title, str), "the title of the section is no text")
        page(one, [panel], {}, "")
    check_spec(panel, registry)
