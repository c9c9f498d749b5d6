"""The section of evidence in a real browser: what is hidden, what a key does, and that texts stay texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairl_bench.html.page import page
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from tests.support.planted_evidence import planted, words_of

HOSTILE = (
    "<script>document.title='caught'</script>",
    "<img src=x onerror=\"document.title='caught'\">",
    "</script><h1 id=caught>",
    "\u202egnihtyna \u2066as it was",
    "x" * 900,
    "\x1b[2J 🙂",
)
WORD = {"word_z": 5.0, "word_log_odds": 1.0, "word_q": 0.01, "word_preferred": 9.0, "word_rejected": 2.0}


class Opened:
    """A page that is open, and what its console said and it asked for."""

    def __init__(self, shown: Any) -> None:
        self.page, self.said, self.asked = shown, list[str](), list[str]()
        shown.on("console", lambda message: self.said.append(message.text))
        shown.on("pageerror", lambda error: self.said.append(str(error)))
        shown.on("request", lambda request: self.asked.append(request.url))

    def __call__(self, where: str) -> Any:
        return self.page.locator(f"#evidence {where}")


def texts() -> list[str]:
    """Thirty texts, the hostile ones last: they have the highest log-ratios, and every second text is bad."""
    return [*(f"plain text {i}" for i in range(24)), *HOSTILE]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [*words_of("word:rude", **WORD), *words_of("word:<b>bold</b>", **WORD)]
    path = tmp_path_factory.mktemp("evidence") / "report.html"
    material = planted(texts(), records=records, prompts=[f"<i>prompt</i> {i // 2}" for i in range(30)])
    path.write_text(page(material, panels_of(Registry(installed=False)), {}, "ab"), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, written: Path) -> Iterator[Opened]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        found = Opened(context.new_page())
        found.page.goto(written.as_uri())
        yield found
        assert found.said == []
        assert [url for url in found.asked if not url.startswith("data:")] == [written.as_uri()]


def test_a_bad_text_and_its_prompt_are_not_there_until_a_key_asks_for_them(opened: Opened) -> None:
    pair = opened("#evidence-list > li").first
    hidden = pair.locator("button.closed")
    assert hidden.all_inner_texts() == ["hidden prompt of 15 letters: show", "hidden text of 12 letters: show"]
    assert "plain text 0" in pair.inner_text()  # its preferred text is judged good
    assert "plain text 1" not in pair.evaluate("one => one.textContent")
    hidden.last.focus()
    opened.page.keyboard.press("Enter")
    assert "plain text 1" in pair.inner_text()
    assert pair.locator("[tabindex='0']:focus").count() == 1  # where the button was, the keyboard goes on
    assert "<i>prompt</i>" not in pair.inner_text()
    hidden.first.click()
    assert "<i>prompt</i> 0" in pair.inner_text()


def test_without_a_truth_every_text_is_hidden_and_one_box_shows_all(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(planted(texts(), judged=False), panels_of(Registry(installed=False)), {}, "ab"), "utf-8")
    with browser.new_context() as context:
        found = Opened(context.new_page())
        found.page.goto(path.as_uri())
        assert "plain text" not in found("").first.evaluate("one => document.getElementById('evidence').textContent")
        found.page.check("#evidence-unveil")
        assert found("button.closed").count() == 0
        assert "plain text 1" in found("#evidence-list").inner_text()
        found.page.uncheck("#evidence-unveil")
        assert "plain text" not in found("#evidence-list").inner_text()
        assert found.said == []


def test_hostile_texts_stay_texts(opened: Opened) -> None:
    opened.page.check("#evidence-unveil")
    opened.page.click("#evidence-more")
    shown = opened("#evidence-highest").evaluate("one => one.textContent")
    for text in HOSTILE[:4]:
        assert text in shown
    assert opened(":is(script, img, h1, bdi *, .tokens p > :not(span))").count() == 0
    assert opened.page.title() == "s · fairl-bench"
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 1280


@pytest.mark.parametrize("width", [360, 900])
def test_very_long_tokens_do_not_widen_the_page(width: int, opened: Opened) -> None:
    opened.page.set_viewport_size({"width": width, "height": 800})
    opened.page.check("#evidence-unveil")
    for summary in opened("summary").all():
        summary.click()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width


def test_arrow_keys_go_from_token_to_token_and_tell_its_number(opened: Opened) -> None:
    opened.page.select_option("#evidence-reward", label="log-ratio (both models)")
    first = opened("#evidence-list > li").first.locator(".tokens").first
    tokens = first.locator("span")
    assert tokens.all_inner_texts() == ["plain", " text", " 0"]
    assert [tokens.nth(i).get_attribute("tabindex") for i in range(3)] == ["0", "-1", "-1"]
    tokens.first.focus()
    for _ in range(2):
        opened.page.keyboard.press("ArrowRight")
    assert first.locator("output").inner_text() == "0: −5.00 nats"  # a third of -15
    assert tokens.nth(2).evaluate("one => one === document.activeElement")
    assert tokens.nth(2).get_attribute("aria-description") == "−5.00 nats"
    opened.page.keyboard.press("ArrowRight")  # there are no more
    assert tokens.nth(2).evaluate("one => one === document.activeElement")
    opened.page.keyboard.press("ArrowLeft")
    assert tokens.nth(1).get_attribute("tabindex") == "0"


def test_a_pointer_sees_the_number_of_a_token(opened: Opened) -> None:
    first = opened("#evidence-list > li").first.locator(".tokens").first
    first.locator("span").nth(1).hover()
    assert first.locator("output").inner_text() == "text: −5.00 nats"
    assert first.locator("span").nth(1).get_attribute("title") == "−5.00 nats"


def _luminance(colour: str) -> float:
    """The relative luminance of ``color(srgb r g b)`` or ``rgb(r, g, b)`` (WCAG 2)."""
    numbers = [float(one) for one in re.findall(r"[\d.]+", colour)][:3]
    parts = numbers if colour.startswith("color") else [one / 255 for one in numbers]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_on_every_colour_and_sides_differ_without_colour(scheme: str, opened: Opened) -> None:
    opened.page.emulate_media(color_scheme=scheme)
    paint = """one => {
      const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
      canvas.fillStyle = getComputedStyle(document.body).backgroundColor; canvas.fillRect(0, 0, 1, 1);
      canvas.fillStyle = getComputedStyle(one).backgroundColor; canvas.fillRect(0, 0, 1, 1);
      return `rgb(${canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).join(', ')})`;
    }"""
    for side, line in (("up", "none"), ("down", "underline")):
        for step in range(1, 5):
            swatch = opened(f".legend .{side}-{step}")
            ink, paper = (_luminance(swatch.evaluate(of)) for of in ("one => getComputedStyle(one).color", paint))
            light, dark = max(ink, paper), min(ink, paper)
            assert (light + 0.05) / (dark + 0.05) > 4.5, (side, step)  # WCAG 2, level AA
            assert line in swatch.evaluate("one => getComputedStyle(one).textDecorationLine")


def test_more_shows_the_rest_and_a_choice_begins_anew(opened: Opened) -> None:
    assert opened("#evidence-list > li").count() == 5
    opened.page.click("#evidence-further")
    assert opened("#evidence-list > li").count() == 10
    opened.page.select_option("#evidence-pairs", "middle")
    assert opened("#evidence-list > li").count() == 5
    assert opened("#evidence-highest > li").count() == 5
    opened.page.click("#evidence-more")
    assert opened("#evidence-highest > li").count() == 10
    opened.page.select_option("#evidence-reward", label="mm")
    assert opened("#evidence-highest > li").count() == 5
    assert "plain text 0" in opened("#evidence-highest > li").first.inner_text()


def test_words_are_hidden_until_they_are_opened(opened: Opened) -> None:
    table = opened("details table").first
    assert not table.is_visible()
    opened("summary").first.click()
    assert table.is_visible()
    assert "<b>bold</b>" in table.inner_text()
    assert opened("details b").count() == 0
