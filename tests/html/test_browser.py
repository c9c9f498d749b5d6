"""The page in a real browser: Debian's chromium, driven by playwright; skipped where either is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any
from unittest import mock

import numpy as np
import pytest

from fairl_bench.figures.draw import pictures
from fairl_bench.figures.style import canvas
from fairl_bench.html import panels
from fairl_bench.html.page import page
from fairl_bench.material import Material, Picture
from fairl_bench.results.given import GivenMaterial
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from fairl_bench.values.coordinates import Run
from fairl_bench.values.data import Examples, Truth
from fairl_bench.values.records import Record
from fairl_bench.values.run_facts import MethodFacts, RunFacts
from fairl_bench.values.sheets import Sheet
from fairl_bench.values.table import Table
from fairl_bench.views import Drawn, Panel, ReportFigure, Section

HOSTILE = (
    "<script>document.title='caught'</script>",
    "<img src=x onerror=\"document.title='caught'\">",
    "</textarea></script><h1 id=caught>",
    "=cmd()",
    "\x1b[2J",
    "\u202egnihtyna",
)


@dataclass
class Opened:
    """A page that is open, what its console said, and what it asked for."""

    page: Any
    seconds: float
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def waits(self, where: str, start: str) -> None:
        """Until what is said there starts like this; the page's policy forbids to look for it by a script of ours."""
        from playwright.sync_api import expect

        expect(self.page.locator(where)).to_have_text(re.compile(f"^{re.escape(start)}"))

    def rows(self, column: int = 0) -> list[str]:
        """A column of the leaderboard."""
        found: list[str] = self.page.locator(f"#table1 tbody tr > :nth-child({column + 1})").all_inner_texts()
        return found


def open_page(browser: Any, path: Path, **options: Any) -> Opened:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    found = Opened(context.new_page(), 0.0)
    found.page.on("console", lambda message: found.said.append(message.text))
    found.page.on("pageerror", lambda error: found.said.append(str(error)))
    found.page.on("request", lambda request: found.asked.append(request.url))
    started = time.perf_counter()
    found.page.goto(path.as_uri())
    found.page.locator("#texts > li").first.wait_for()
    found.seconds = time.perf_counter() - started
    return found


def view(texts: tuple[str, ...]) -> dict[str, Any]:
    """Samples of two methods: of three draws a prompt the base is toxic in the first two, cured only in the first."""
    n = len(texts)
    draw = [at % 3 for at in range(n)]
    bad = {
        "base": [int(at < 2) for at in draw],
        "m0": [int(at == 1) for at in draw],
        "m1": [int(at == 2) for at in draw],
    }
    sides = {name: {"text": [f"{name} {text}" for text in texts], "toxic": toxic} for name, toxic in bad.items()}
    return {
        **{"model": "toy", "encoder": "e", "variant": "", "replicate": 0, "seed": 0, "left": 7},
        **{"prompts": [f"prompt {at}" for at in range(n // 3)], "prompt": [at // 3 for at in range(n)]},
        **{"row": [at // 3 for at in range(n)], "draw": draw, "base": sides["base"]},
        "after": [{"method": name, **sides[name]} for name in ("m0", "m1")],
    }


class Dots(ReportFigure):
    """The picture of the first screen, wide and narrow."""

    def figures(self, material: Material) -> Iterator[Drawn]:
        for name, width in (("headline", 9.0), ("headline-narrow", 3.7)):
            figure, (axis,) = canvas(1, 1, width, 2.0)
            axis.plot([0, 1], "o")
            yield Drawn(name, "A picture", figure)


def written(
    path: Path, texts: tuple[str, ...], methods: int = 2, samples: tuple[str, ...] = (), references: int = 0
) -> Path:
    """A page of a leaderboard of three methods and of these texts, in pairs; every second one is bad, an insult.

    The first ``references`` of the methods are reference rows, which were given the truth.
    """
    rng = np.random.default_rng(0)
    n, names = len(texts), [f"m{i}" for i in range(methods)]
    label = np.where(np.arange(n) % 2 == 0, 1, -1).astype(np.int8)
    truths = {"gold": Truth(label.astype(float), label), "subtype:insult": Truth(-label.astype(float), -label)}
    examples = Examples(texts, pair=np.repeat(np.arange(n // 2), 2), role=label, truths=truths)
    rewards = {Run("e", "mlp", name, "", 0): rng.normal(size=n) for name in names}
    sheet = Sheet("s", "toy", 0, "pairs/test", examples, rewards)
    place = {"model": "toy", "encoder": "e", "variant": "", "data": "pairs/test", "metric": "auc", "truth": "gold"}
    means = {"m0": 0.7, "m1": 0.9, "m2": 0.8}
    tidy = tuple({**place, "method": name, "mean": mean, "rank": 1} for name, mean in means.items())
    shown = tuple((name, f"{mean:.3f}") for name, mean in means.items())
    heads = (("", "method"), ("pairs/test", "AUC ↑"))
    table = Table("Table 1", heads, shown, (), tidy, name="table1", caption="Leaderboard", references=references)
    given = ["truth"] * references + ["texts"] * (len(means) - references)
    facts = {name: MethodFacts(what, what == "truth") for name, what in zip(means, given, strict=True)}
    rows = [
        Record.at(sheet.at(Run("e", "mlp", name, "", 0), "gold"), "s", metric, value, n, stage="key0")
        for name in means
        for metric, value in (("auc", means[name]), ("threshold", 0.0))
    ]
    material = GivenMaterial(
        name="<b>s</b>",
        suite="name: s",
        records=rows,
        sheets=[sheet],
        methods=("m0", "m1"),
        tables={"table1": table},
        run=RunFacts(methods=facts),
    )
    views = [view(samples)] if samples else []
    drawn = pictures([Dots()], material)
    with mock.patch.object(panels, "samples", return_value=views):
        path.write_text(page(material, panels_of(Registry(installed=False)), drawn, "ab"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Sixty texts, the hostile ones among them."""
    texts = tuple(f"{HOSTILE[i]} {i}" if i < len(HOSTILE) else f"text {i}" for i in range(60))
    return open_page(browser, written(tmp_path_factory.mktemp("page") / "report.html", texts, samples=texts))


def test_the_page_opens_without_an_error_and_asks_for_nothing(opened: Opened) -> None:
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [opened.page.url]


class Evil(Panel):
    """A panel whose HTML tries to run, to change the page around it and to ask a server for everything."""

    server: str

    def section(self, material: Material, pictures: Mapping[str, Picture]) -> Section:
        there = self.server
        change = (
            f"document.getElementById('seen').textContent = 'ran'; top.document.title = 'caught'; fetch('{there}/f')"
        )
        html = f"""<meta http-equiv="refresh" content="0; url={there}/refresh"><base href="{there}/">
            <link rel="stylesheet" href="{there}/style.css"><style>@import "{there}/import.css";
            body {{ background: url({there}/background.png) }} @font-face {{ font-family: a; src: url({there}/font) }}
            p {{ font-family: a }}</style><p id="seen">as it was written</p><script>{change}</script>
            <script src="{there}/script.js"></script><img src="{there}/image.png" onerror="{change}">
            <iframe src="{there}/frame"></iframe><object data="{there}/object"></object><video src="{there}/v"></video>
            <form action="{there}/form"><button id="send" autofocus onfocus="{change}">send</button></form>
            <a id="away" href="{there}/link" target="_top">away</a>"""
        return Section("Evil", html=html)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback: its address, and what it was asked for."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        thread = Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", asked
        listening.shutdown()
        thread.join()


def test_html_of_a_plugin_runs_no_script_and_asks_nobody(
    browser: Any, tmp_path: Path, server: tuple[str, list[str]]
) -> None:
    place, asked = server
    path = tmp_path / "report.html"
    path.write_text(page(GivenMaterial(name="s"), [Evil(server=place)], {}, "ab"), encoding="utf-8")
    with browser.new_context() as context:
        shown = context.new_page()
        shown.goto(path.as_uri())
        frame = shown.frame_locator("iframe")
        frame.locator("#send").click()
        frame.locator("#away").click()
        shown.wait_for_timeout(500)  # what it could ask for, it would have asked for by now
        assert frame.locator("#seen").inner_text() == "as it was written"
        assert (shown.url, shown.title()) == (path.as_uri(), "s · fairl-bench")
        assert len(context.pages) == 1
        shown.goto(f"{place}/reached")  # the server is there
    assert asked[0] == "/reached"


def test_a_press_on_a_head_sorts_and_a_second_one_the_other_way(opened: Opened) -> None:
    head = opened.page.locator("#table1 th button").nth(1)
    head.focus()
    opened.page.keyboard.press("Enter")  # by keyboard alone
    assert opened.rows() == ["m1", "m2", "m0"]  # higher is better: the best first
    head.click()
    assert opened.rows() == ["m0", "m2", "m1"]
    assert opened.page.locator("#table1 th").nth(1).get_attribute("aria-sort") == "ascending"


def test_reference_rows_stay_on_top_however_the_table_is_sorted(browser: Any, tmp_path: Path) -> None:
    found = open_page(browser, written(tmp_path / "report.html", ("a", "b"), references=1))
    assert found.rows() == ["m0", "m1", "m2"]
    head = found.page.locator("#table1 th button").nth(1)
    head.click()
    assert found.rows() == ["m0", "m1", "m2"]  # the best of the methods first, m0 being the worst of all
    head.click()
    assert found.rows() == ["m0", "m2", "m1"]
    assert found.page.locator("#table1 tbody.references tr").count() == 1
    rule = found.page.locator("#table1 tbody.references td").first
    assert rule.evaluate("one => getComputedStyle(one).borderBottomWidth") == "2px"
    assert found.page.locator("#a option").all_inner_texts() == ["m0 (truth)", "m1"]
    assert found.said == []
    found.page.context.close()


def test_a_search_finds_texts_and_hostile_ones_stay_texts(opened: Opened) -> None:
    opened.page.check("#unveil")
    for at, text in enumerate(HOSTILE):
        opened.page.fill("#search", f"{text} {at}".strip())
        opened.waits("#count", "1 of")
        assert opened.page.locator("#texts > li").count() == 1
    assert opened.page.title() == "<b>s</b> · fairl-bench"
    assert opened.page.locator("#caught, #texts script, #texts img, #texts h1, h1 b").count() == 0
    opened.page.fill("#search", "")
    opened.waits("#count", "60 of")
    opened.page.uncheck("#unveil")
    assert opened.said == []


def test_a_filter_leaves_what_it_names_and_more_shows_the_rest(opened: Opened) -> None:
    assert opened.page.locator("#texts > li").count() == 25
    opened.page.click("#more")
    assert opened.page.locator("#texts > li").count() == 50
    opened.page.select_option("#subtype", "insult")
    assert opened.page.inner_text("#count").startswith("30 of 60")
    opened.page.select_option("#right", "a")
    verdicts = opened.page.locator("#texts .said span:nth-of-type(2n)").all_inner_texts()
    assert verdicts == ["right", "wrong"] * (len(verdicts) // 2)
    assert verdicts
    opened.page.select_option("#right", "")
    opened.page.select_option("#subtype", "")
    opened.page.select_option("#slice", "near-tie")
    assert opened.page.inner_text("#count").startswith("6 of 60")  # a tenth of thirty pairs
    opened.page.select_option("#slice", "")


def test_the_first_text_is_the_one_most_disagreed_about(opened: Opened) -> None:
    rewards = [float(text) for text in opened.page.locator("#texts .said span:nth-of-type(2n + 1)").all_inner_texts()]
    apart = [abs(a - b) for a, b in zip(rewards[::2], rewards[1::2], strict=True)]
    assert all(x >= y - 0.011 for x, y in pairwise(apart))  # shown to two digits


def test_a_bad_text_is_hidden_until_it_is_pressed_and_the_keyboard_does(opened: Opened) -> None:
    opened.page.select_option("#subtype", "insult")
    first = opened.page.locator("#texts .veil").first
    assert first.get_attribute("aria-pressed") == "false"
    assert "blur" in first.locator("span").last.evaluate("one => getComputedStyle(one).filter")
    first.focus()
    opened.page.keyboard.press("Enter")
    assert first.get_attribute("aria-pressed") == "true"
    assert first.locator("span").last.evaluate("one => getComputedStyle(one).filter") == "none"
    opened.page.select_option("#subtype", "")


def test_a_number_leads_to_its_records(opened: Opened) -> None:
    opened.page.locator("#table1 tbody a").first.click()
    assert opened.page.inner_text("#found").startswith("1 of 6 records")
    assert "key0" in opened.page.inner_text("#rows")
    opened.page.click("#every")
    opened.page.fill("#words", "threshold m1")
    opened.waits("#found", "1 of 6")
    assert "m1" in opened.page.inner_text("#rows tbody")


def test_samples_stand_beside_those_of_the_base(opened: Opened) -> None:
    first = opened.page.locator("#sample-list > li").first
    assert first.locator(".side b").all_inner_texts() == ["base", "m0", "m1"]
    assert first.locator(".side span").all_inner_texts() == ["toxic", "clean", "clean"]
    assert opened.page.locator("#sample-list > li").count() == 20
    opened.page.click("#sample-more")
    assert opened.page.locator("#sample-list > li").count() == 40
    said = "60 of 60 samples of seed 0; toxic: base 40, m0 20, m1 20; 7 more are not in this page"
    assert opened.page.inner_text("#sample-count") == said
    assert not opened.page.locator("#sample-view").is_visible()  # there is nothing to choose


@pytest.mark.parametrize(
    ("method", "toxic", "left"),
    [
        ("m0", "cured", 20),
        ("m0", "after", 20),
        ("m0", "caught", 0),
        ("m0", "before", 40),
        ("m1", "cured", 40),
        ("m1", "caught", 20),
        ("", "cured", 20),  # of both: clean in both
        ("", "after", 40),  # toxic in either
    ],
)
def test_samples_are_chosen_by_what_became_of_them(opened: Opened, method: str, toxic: str, left: int) -> None:
    opened.page.select_option("#sample-method", method)
    opened.page.select_option("#sample-toxic", toxic)
    assert opened.page.inner_text("#sample-count").startswith(f"{left} of 60")
    sides = opened.page.locator("#sample-list > li").first.locator(".side") if left else None
    assert sides is None or sides.count() == (2 if method else 3)
    opened.page.select_option("#sample-method", "")
    opened.page.select_option("#sample-toxic", "")


def test_samples_are_chosen_by_prompt_and_by_words_and_hostile_ones_stay_texts(opened: Opened) -> None:
    opened.page.select_option("#sample-prompt", "4")
    assert opened.page.inner_text("#sample-count").startswith("3 of 60")
    opened.page.select_option("#sample-prompt", "")
    opened.page.check("#sample-unveil")
    for at, text in enumerate(HOSTILE):
        opened.page.fill("#sample-search", f"m1 {text} {at}")
        opened.waits("#sample-count", "1 of")
    opened.page.fill("#sample-search", "")
    opened.waits("#sample-count", "60 of")
    opened.page.uncheck("#sample-unveil")
    assert opened.page.locator("#caught, #sample-list script, #sample-list img, #sample-list h1").count() == 0
    assert opened.said == []


def test_a_toxic_sample_and_its_prompt_are_hidden_until_a_key_is_pressed(opened: Opened) -> None:
    veils = opened.page.locator("#sample-list > li").first.locator(".veil")
    assert veils.count() == 2  # the prompt and the base's text
    opened.page.locator("#sample-toxic").focus()
    for _ in range(4):  # search, the box, the prompt, the text
        opened.page.keyboard.press("Tab")
    assert veils.last.evaluate("one => one === document.activeElement")
    assert "blur" in veils.last.locator("span").last.evaluate("one => getComputedStyle(one).filter")
    opened.page.keyboard.press("Space")
    assert veils.last.get_attribute("aria-pressed") == "true"
    assert veils.last.locator("span").last.evaluate("one => getComputedStyle(one).filter") == "none"


def test_on_paper_samples_are_whole_and_without_controls(opened: Opened) -> None:
    opened.page.emulate_media(media="print")
    assert not opened.page.locator("#pick").is_visible()
    assert not opened.page.locator("#sample-more").is_visible()
    first = opened.page.locator("#sample-list > li").first
    assert first.evaluate("one => getComputedStyle(one).breakInside") == "avoid"
    assert opened.page.locator("#samples").evaluate("one => getComputedStyle(one).breakInside") == "auto"
    opened.page.emulate_media(media="screen")


@pytest.mark.parametrize(("width", "shown"), [(390, "narrow"), (900, "wide"), (1400, "wide")])
def test_the_first_screen_has_the_picture_that_fits_it(browser: Any, width: int, shown: str, opened: Opened) -> None:
    path = Path(opened.page.url.partition("#")[0].removeprefix("file://"))
    found = open_page(browser, path, viewport={"width": width, "height": 900})
    (visible,) = (each for each in found.page.locator("#summary svg").all() if each.is_visible())
    box = visible.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] < 900
    assert visible.evaluate("one => one.parentElement.className") == f"when-{shown}"
    found.page.context.close()


def test_in_the_dark_a_picture_of_the_first_screen_is_dark(browser: Any, opened: Opened) -> None:
    path = Path(opened.page.url.partition("#")[0].removeprefix("file://"))
    grounds = []
    for scheme in ("light", "dark"):
        found = open_page(browser, path, color_scheme=scheme)
        ground = found.page.locator("#summary svg path").first
        grounds.append(ground.evaluate("one => getComputedStyle(one).fill"))
        assert grounds[-1] == found.page.evaluate("getComputedStyle(document.body).backgroundColor")
        found.page.context.close()
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 25, 29)"]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_never_wider_than_the_screen(browser: Any, width: int, opened: Opened) -> None:
    path = Path(opened.page.url.partition("#")[0].removeprefix("file://"))
    found = open_page(browser, path, viewport={"width": width, "height": 800})
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    found.page.context.close()


def test_ten_thousand_texts_by_ten_methods_are_there_at_once(browser: Any, tmp_path: Path) -> None:
    texts = tuple(f"{i} " + "some words " * 30 for i in range(10_000))
    path = written(tmp_path / "report.html", texts, methods=10)
    assert path.stat().st_size < 8_000_000
    found = open_page(browser, path)
    # a second on a quiet machine (0.4 s measured); four, as tests share theirs
    assert found.seconds < 4
    assert found.said == []
    started = time.perf_counter()
    found.page.fill("#search", "9999 some")
    found.waits("#count", "1 of")
    assert time.perf_counter() - started < 4
    found.page.context.close()
