"""The first screen of the page: what makes numbers wrong, what was run, what was found, and one picture."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markupsafe import escape
from matplotlib.figure import Figure

from fairl_bench.figures.draw import pictures
from fairl_bench.figures.pipeline import Pipeline
from fairl_bench.figures.shares import Separable as SeparableFigure
from fairl_bench.figures.shares import Shares
from fairl_bench.figures.style import canvas, render
from fairl_bench.html.inline import as_part_of_page
from fairl_bench.html.page import page
from fairl_bench.html.warnings import alarming
from fairl_bench.html.write import write_pages
from fairl_bench.material import Picture
from fairl_bench.pipeline import Finished
from fairl_bench.results.findings import sentence
from fairl_bench.results.given import GivenMaterial
from fairl_bench.results.results import StudyResults, read_results
from fairl_bench.results.summary import what_was_found, what_was_run
from fairl_bench.science.concepts import Interval
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from fairl_bench.values.coordinates import Row
from fairl_bench.values.findings import ConceptFinding, Findings, Outcome, Separable
from fairl_bench.values.rows import Runs
from fairl_bench.values.run_facts import RunFacts
from fairl_bench.views import ReportFigure

SVG = "{http://www.w3.org/2000/svg}"


def first_screen(made: str) -> str:
    """What stands between the head of the page and its first table."""
    start = made.index('<section id="summary"')
    return made[start : made.index("</section>", start)]


def written(run: RunFacts, drawn: Iterable[Picture] = ()) -> str:
    material = GivenMaterial(name="s", run=run)
    by_name = {picture.name: picture for picture in drawn}
    return page(material, panels_of(Registry(installed=False)), by_name, "ab")


def picture(name: str, figure: Figure | None = None) -> Picture:
    if figure is None:
        figure, (axis,) = canvas(1, 1, 3.0, 2.0)
        axis.plot([0, 1], [0, 1], "o", color="#0072B2", label="<b>")
        axis.set_title("<b>&")
    return Picture(name, f"A figure called <{name}>", render(figure))


@pytest.fixture(scope="module")
def results(ran_once: tuple[Path, Finished], tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    folder = tmp_path_factory.mktemp("first") / "results"
    shutil.copytree(ran_once[1].folder, folder)
    write_pages(read_results(folder))
    return read_results(folder)


def test_a_suites_first_screen_says_what_was_run_and_found_with_one_picture(results: StudyResults) -> None:
    made = (results.path / "report.html").read_text()
    found = first_screen(made)
    assert made.index('<section id="summary"') < made.index('<div id="results">')
    for said in (what_was_run(results), *what_was_found(results)):
        assert f"<bdi>{said}</bdi>" in found
    assert "4 methods learnt the reward behind the pairs of toy" in found
    assert "Best in AUC: " in found
    assert re.findall(r"figures/([a-z-]+)\.svg", found) == ["headline"]
    assert found.count("<svg") == 2  # for wide and for narrow screens
    assert "alarm" not in found


def test_a_picture_of_the_first_screen_is_not_shown_again(results: StudyResults) -> None:
    made = (results.path / "report.html").read_text()
    below = made[made.index('<section id="figures"') :]
    assert "figures/leaderboard.svg" in below
    assert "figures/headline" not in below


def test_what_failed_stands_on_top_and_leads_to_the_reasons() -> None:
    run = RunFacts(failed={"a": "it broke", "b": "it broke too"}, skipped={"c": "a"})
    found = first_screen(written(run))
    assert found.index("2 steps of the run failed, 1 more was skipped") < found.index('class="run"')
    assert '<a href="#left-out">' in found
    assert "it broke" not in found
    assert "<b>failed</b> <bdi>it broke too</bdi>" in written(run)


def test_dropped_pairs_are_told_below_the_tables_and_not_on_top(results: StudyResults) -> None:
    split = {"key": "k", "kind": "split", "title": "split of toy", "dropped": 3}
    stages = [split, {"key": "x", "kind": "x", "title": "pairs", "dropped_identical": 1_000}]
    run = RunFacts(stages=stages)
    assert "alarm" not in first_screen(written(run))
    assert "1,003 of the pairs" not in written(run)  # there is no table to tell it below
    material = GivenMaterial(name="s", run=run, tables=results.tables)
    made = page(material, panels_of(Registry(installed=False)), {}, "ab")
    shared, equal = "3 share a text with held-out pairs (split.shared_text)", "1,000 have two equal texts"
    why = f"{shared}, {equal} (identical: drop)"
    assert made.count(f"1,003 of the pairs and texts were dropped: <bdi>{why}</bdi>.") == 1
    assert f"<bdi>split of toy: {shared}</bdi>" in made


def test_nothing_alarms_where_nothing_failed() -> None:
    assert alarming(GivenMaterial(run=RunFacts(damaged=["a"]))) == ""
    assert (
        alarming(GivenMaterial(warnings=["table 'a' of plugin 'b' failed"])) == "1 part of this page could not be shown"
    )


# --- audits


def audit_page(outcome: Outcome) -> tuple[str, str]:
    """The page of an audit that came out like this, and its verdict."""
    shown = outcome != "no difference shown"
    accuracy = Interval(0.7, 0.65, 0.75) if shown else Interval(0.51, 0.47, 0.55)
    share = Interval(0.6, 0.5, 0.7) if outcome == "named" else Interval(0.1, -0.1, 0.3)
    concept = ConceptFinding("<b>rude</b>", "named" if outcome == "named" else "cannot tell", share, share, share)
    told = (Separable(accuracy, 200, 150, 0.57), (concept,), Interval(0.25), float("nan"), ())
    found = Findings("<i>expert</i>", 0, "log-ratio", "both models", "pairs/test", outcome, "", *told)
    found = found._replace(verdict=sentence(found))
    material = GivenMaterial(name="s", findings=[found], rows={Row("<i>expert</i>", "e", "m", ""): Runs(1)})
    parts: list[ReportFigure] = [Pipeline(), Shares(), SeparableFigure()]
    return page(material, panels_of(Registry(installed=False)), pictures(parts, material), "ab"), found.verdict


@pytest.mark.parametrize(
    ("outcome", "below"),
    [("named", "shares"), ("nothing named", "shares"), ("no difference shown", "separable")],
)
def test_an_audits_first_screen_is_its_verdict_its_pipeline_and_what_was_found(outcome: Outcome, below: str) -> None:
    made, verdict = audit_page(outcome)
    found = first_screen(made)
    assert f'<p class="lead"><bdi>{escape(verdict)}.</bdi></p>' in found.replace("\N{NO-BREAK SPACE}", " ")
    assert re.findall(r"figures/([a-z-]+)\.svg", found) == ["pipeline", below]
    assert found.count("<svg") == 4
    assert "<img" not in found
    assert "<b>rude" not in made
    assert "<i>expert" not in made


# --- figures as a part of the page


def test_a_figure_on_the_page_has_the_pages_colours_and_shapes_alone() -> None:
    made = as_part_of_page(picture("a"))
    assert made is not None
    root = ElementTree.fromstring(made)
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {
        "svg",
        "g",
        "defs",
        "path",
        "use",
        "clipPath",
        "rect",
    }
    assert (root.get("role"), root.get("aria-label")) == ("img", "A figure called <a>")
    assert "var(--blue)" in made
    assert not re.search("#0072b2|#000000|#ffffff", made, re.IGNORECASE)


def test_no_two_figures_on_a_page_share_an_id() -> None:
    made = written(RunFacts(), [picture("headline"), picture("headline-narrow")])
    ids = re.findall(r'\bid="([^"]*)"', made)
    assert len(ids) == len(set(ids))
    refs = re.findall(r'(?:xlink:href="#|url\(#)([^")]*)', first_screen(made))
    assert refs
    assert set(refs) <= set(ids)


def test_a_figure_with_a_link_is_shown_as_an_image_in_which_it_does_nothing() -> None:
    figure, (axis,) = canvas(1, 1, 3.0, 2.0)
    (line,) = axis.plot([0, 1])
    line.set_url("javascript:alert(1)")
    linked = picture("headline", figure)
    assert b"javascript" in linked.formats["svg"]
    assert as_part_of_page(linked) is None
    made = written(RunFacts(), [linked])
    assert "javascript:" not in made
    assert '<img alt="A figure called &lt;headline&gt;" src="data:image/svg+xml;base64,' in first_screen(made)


def test_a_figure_with_an_image_is_shown_as_an_image() -> None:
    figure, (axis,) = canvas(1, 1, 3.0, 2.0)
    axis.imshow([[0.0, 1.0]])
    assert as_part_of_page(picture("a", figure)) is None
