"""The built site in a browser, from its folder, without a server; skipped where it is not built or there is no browser.

``tox run -e docs`` builds it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import fairl_bench.testing

SITE = Path(__file__).parents[2] / "site"
MOST = 3e6  # bytes, without the figures of notebooks
PAGES = (
    "index.html",
    "gallery.html",
    "start/main-job.html",
    "reference/parts/method.html",
    "reference/api-values.html",
)
SEEN = [(width, scheme) for width in (400, 1440) for scheme in ("light", "dark")]

pytestmark = pytest.mark.skipif(not (SITE / "index.html").exists(), reason="needs the site: tox -e docs")


def opened(browser: Any, page: str, width: int = 1440, scheme: str = "light") -> Any:
    """A page; what it writes to the console as an error fails the test."""
    shown = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    errors: list[str] = []
    shown.on("pageerror", lambda error: errors.append(str(error)))
    shown.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    shown.goto((SITE / page).as_uri())
    assert errors == []
    return shown


def test_the_site_is_light() -> None:
    files = [path for path in SITE.rglob("*") if path.is_file()]
    weight = sum(path.stat().st_size for path in files if not path.parent.name.endswith("_files"))
    assert len(files) > 80
    assert weight <= MOST, f"{weight:,} bytes"


def test_the_pages_say_nothing_that_only_a_program_knows() -> None:
    for word in ("Sentinel.", "&lt;object object", "<object object", "{'use'"):
        assert [str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if word in path.read_text()] == [], word


def test_every_check_for_plugins_is_on_its_page() -> None:
    page = (SITE / "reference" / "api-testing.html").read_text()
    checks = [name for name in dir(fairl_bench.testing) if name.startswith("check_")]
    assert len(checks) > 10
    assert [name for name in checks if not re.search(rf"<h2 id=fairl_bench\.testing\.\w+\.{name}\b", page)] == []


@pytest.mark.parametrize(("width", "scheme"), SEEN)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_width_and_can_be_read(page: str, width: int, scheme: str, browser: Any, axe: str) -> None:
    shown = opened(browser, page, width, scheme)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.evaluate(axe)
    # the theme's buttons that copy code are landmarks of one name
    found = shown.evaluate("axe.run('article', {rules: {'landmark-unique': {enabled: false}}})")
    assert found["passes"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


def test_icons_are_drawn_once_and_shown_everywhere(browser: Any) -> None:
    shown = opened(browser, "index.html")
    search = shown.locator("label.md-header__button[for=__search], label.md-search__icon").locator("visible=true").first
    box = search.locator("svg").first.evaluate(
        "icon => [getComputedStyle(icon).maskImage, icon.getBoundingClientRect().width]"
    )
    assert box[0].startswith('url("data:image/svg+xml,')
    assert box[1] > 10


def test_the_search_finds_a_part_by_its_name(browser: Any) -> None:
    shown = opened(browser, "index.html")
    shown.locator("[data-md-component=search-query]").click()
    shown.keyboard.type("log-ratio-distilled")
    result = shown.locator(".md-search-result__item a[href*='reference/parts/method.html']").first
    result.wait_for(timeout=30_000)
    result.click()
    assert "Parts: method" in shown.locator("h1").inner_text()


def test_light_and_dark_can_be_chosen_and_are_kept(browser: Any) -> None:
    shown = opened(browser, "how-to/data.html")
    assert shown.locator("body").get_attribute("data-md-color-scheme") == "default"
    shown.locator("label[title=Dark]").click()
    shown.goto((SITE / "gallery.html").as_uri())
    assert shown.locator("body").get_attribute("data-md-color-scheme") == "slate"
