"""The page as people show it: at three widths, light and dark, and on paper; skipped where there is no browser.

Accessibility is measured by axe-core, which comes in the wheel of axe-playwright-python.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairl_bench.figures.draw import pictures
from fairl_bench.figures.style import canvas
from fairl_bench.html.page import page
from fairl_bench.results.given import GivenMaterial
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.records import Record
from fairl_bench.values.run_facts import MethodFacts, RunFacts
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.table import Table
from fairl_bench.views import Drawn, ReportFigure
from tests.support.planted_evidence import planted, words_of

SEEN = [(width, scheme) for width in (400, 900, 1600) for scheme in ("light", "dark")]
WORD = {"word_z": 5.0, "word_log_odds": 1.0, "word_q": 0.01, "word_preferred": 9.0, "word_rejected": 2.0}
A4 = 273 * 96 / 25.4  # pixels across a landscape page, without its margins
NOTES = tuple(f"note {at}: a sentence on what stands in the table" for at in range(12))


class Figures(ReportFigure):
    """One figure that stands in the page and one that is an image, both wider than a phone."""

    def figures(self, material: Any) -> Iterator[Drawn]:
        for name in ("headline", "other"):
            figure, axes = canvas(1, 4, 10.0, 2.5)
            for axis in axes:
                axis.plot([0, 1], "o")
            yield Drawn(name, f"A picture, {name}", figure)


def results() -> str:
    """The page of a leaderboard of twelve columns with reference rows, bars, many notes, texts and records."""
    rng = np.random.default_rng(0)
    texts = tuple(f"text {at} of some words" for at in range(60))
    label = np.where(np.arange(60) % 2 == 0, 1, -1).astype(np.int8)
    examples = Examples(texts, pair=np.repeat(np.arange(30), 2), role=label, truths={"gold": Truth(label * 1.0, label)})
    names = ("log-ratio (both models)", "max-entropy", "failure-aware-max-entropy", "length")
    sheet = Sheet(
        "s", "toy", 0, "pairs/test", examples, {Run("e", "mlp", name, "", 0): rng.normal(size=60) for name in names}
    )
    data = [f"data-set-{at}" for at in range(12)]
    heads = (("", "method"), *((name, "pair accuracy ↑") for name in data))
    place = {"model": "toy", "encoder": "e", "variant": "", "metric": "auc", "truth": "gold"}
    tidy = tuple(
        {**place, "method": name, "data": each, "mean": 0.7, "low": 0.6, "high": 0.8, "rank": 1}
        for name in names
        for each in data
    )
    shown = tuple((name, *("0.700 ± 0.012 (70 %)" for _ in data)) for name in names)
    table = Table("Table 1", heads, shown, NOTES, tidy, name="table1", caption="Leaderboard", references=1)
    records = [
        Record.at(sheet.at(Run("e", "mlp", name, "", 0), "gold"), "s", "auc", 0.7, 60, stage="0123456789abcdef")
        for name in names
    ]
    material = GivenMaterial(
        name="a-suite",
        suite="name: s",
        records=records,
        sheets=[sheet],
        methods=("max-entropy", "length"),
        tables={"table1": table},
        run=RunFacts(
            methods={name: MethodFacts("truth" if at == 0 else "texts", at == 0) for at, name in enumerate(names)}
        ),
    )
    return page(material, panels_of(Registry(installed=False)), pictures([Figures()], material), "ab")


def evidence() -> str:
    """The page of an audit's evidence: pairs, tokens in colour, and words."""
    material = planted([f"plain text {at}" for at in range(30)], records=list(words_of("word:rude", **WORD)))
    return page(material, panels_of(Registry(installed=False)), {}, "ab")


@dataclasses.dataclass
class Folder:
    """Where the pages lie."""

    path: Path

    def address(self, name: str) -> str:
        return (self.path / f"{name}.html").as_uri()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("looks"))
    for make in (results, evidence):
        (folder.path / f"{make.__name__}.html").write_text(make(), encoding="utf-8")
    return folder


def opened(browser: Any, address: str, width: int, scheme: str = "light") -> Any:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = context.new_page()
    found.goto(address)
    return found


@pytest.mark.parametrize(("width", "scheme"), SEEN)
@pytest.mark.parametrize("name", ["results", "evidence"])
def test_axe_finds_nothing(name: str, width: int, scheme: str, browser: Any, written: Folder, axe: str) -> None:
    shown = opened(browser, written.address(name), width, scheme)
    shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    shown.evaluate(axe)
    found = shown.evaluate("axe.run(document)")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    assert len(found["passes"]) > 20
    shown.context.close()


def test_axe_would_find_what_cannot_be_read(browser: Any, written: Folder, axe: str) -> None:
    shown = opened(browser, written.address("results"), 1600)
    shown.evaluate("document.querySelectorAll('.note').forEach((one) => { one.style.color = '#ccc' })")
    shown.evaluate(axe)
    assert "color-contrast" in [one["id"] for one in shown.evaluate("axe.run(document)")["violations"]]
    shown.context.close()


@pytest.mark.parametrize("width", [400, 900, 1600])
@pytest.mark.parametrize("name", ["results", "evidence"])
def test_the_page_does_not_scroll_sideways_and_what_does_says_so_and_takes_the_keyboard(
    name: str, width: int, browser: Any, written: Folder
) -> None:
    shown = opened(browser, written.address(name), width)
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    for box in shown.locator(".wide").all():
        scrolls = box.evaluate("one => one.scrollWidth > one.clientWidth + 1")
        says = box.evaluate("one => getComputedStyle(one, '::before').content")
        assert (says != "none") == scrolls
        if scrolls:
            assert box.get_attribute("tabindex") == "0"
            assert box.get_attribute("aria-label")
    shown.context.close()


def test_a_box_shows_that_there_is_more_until_its_end(browser: Any, written: Folder) -> None:
    shown = opened(browser, written.address("results"), 400)
    box = shown.locator(".wide:has(#table1)")
    shadow = "one => getComputedStyle(one).boxShadow"
    assert box.evaluate(shadow) != "none"
    box.focus()
    shown.keyboard.press("End")
    box.evaluate("one => { one.scrollLeft = one.scrollWidth }")
    shown.locator(".wide.end:has(#table1)").wait_for()
    assert box.evaluate(shadow) == "none"
    shown.context.close()


@pytest.mark.parametrize(("width", "least"), [(400, 1.0), (900, 0.85), (1600, 1.19)])
def test_a_figure_is_never_much_smaller_than_it_was_drawn_and_larger_where_there_is_room(
    width: int, least: float, browser: Any, written: Folder
) -> None:
    shown = opened(browser, written.address("results"), width)
    for figure in shown.locator("figure img, .wide > .drawn").all():
        own = figure.evaluate("one => parseFloat(getComputedStyle(one).getPropertyValue('--own')) * 96 / 72")
        assert own == pytest.approx(960, abs=1)
        assert figure.bounding_box()["width"] / own > least - 0.01
    shown.context.close()


def test_many_notes_are_folded_and_all_are_on_paper(browser: Any, written: Folder) -> None:
    shown = opened(browser, written.address("results"), 900)
    last = shown.get_by_text(NOTES[-1])
    assert not last.is_visible()
    shown.get_by_text("7 more notes").click()
    assert last.is_visible()
    shown.get_by_text("7 more notes").click()
    shown.emulate_media(media="print")
    assert last.is_visible()
    shown.context.close()


@pytest.mark.parametrize("name", ["results", "evidence"])
def test_on_a_page_of_a4_nothing_is_cut_at_the_right(name: str, browser: Any, written: Folder) -> None:
    shown = opened(browser, written.address(name), int(A4))
    shown.emulate_media(media="print")
    edges = "all => all.filter(one => one.getBoundingClientRect().width).map(one => one.getBoundingClientRect().right)"
    found = shown.locator("table, figure img, .drawn, pre, td, th").evaluate_all(edges)
    assert found
    assert max(found) <= A4 + 1
    assert shown.locator("thead").first.evaluate("one => getComputedStyle(one).display") == "table-header-group"
    assert shown.locator("tr").first.evaluate("one => getComputedStyle(one).breakInside") == "avoid"
    assert shown.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    shown.context.close()


def test_on_paper_each_page_of_a_long_table_begins_with_its_heads(browser: Any, written: Folder) -> None:
    pypdf = pytest.importorskip("pypdf", reason="needs pypdf: tox -e browser")
    shown = opened(browser, written.address("results"), 900)
    shown.evaluate(
        """() => {
          const body = document.getElementById("table1").tBodies[1], row = body.rows[0];
          for (let at = 0; at < 80; at++) body.append(row.cloneNode(true));
          document.querySelectorAll("main > :not(#results)").forEach((one) => one.remove());
        }"""
    )
    texts = [one.extract_text() for one in pypdf.PdfReader(io.BytesIO(shown.pdf(prefer_css_page_size=True))).pages]
    with_rows = [text for text in texts if "max-entropy" in text]
    assert len(with_rows) > 1
    assert all("accuracy" in text for text in with_rows)
    shown.context.close()
