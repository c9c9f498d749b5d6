"""The samples of re-alignments that the page shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fairl_bench.html import samples as module
from fairl_bench.html.page import page
from fairl_bench.html.samples import ROWS, samples
from fairl_bench.results.given import GivenMaterial
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.report import panels_of
from fairl_bench.values.coordinates import Row
from fairl_bench.values.realigned import Realigned
from fairl_bench.values.records import Record
from fairl_bench.values.rows import Runs

Plant = Callable[..., tuple[list[Realigned], list[Record]]]
ORDER: list[Row] = [Row("toy", "e", name, "") for name in ("weak", "good")]


@pytest.fixture(scope="module")
def found(realign: Plant) -> list[Realigned]:
    """Twelve prompts of four draws; two methods and two seeds."""
    return realign({"good": 0.9, "weak": 0.1}, (0, 1), prompts=12)[0]


def written(found: list[Realigned]) -> str:
    material = GivenMaterial(name="s", suite="name: s", realigned=found, rows=dict.fromkeys(ORDER, Runs(0)))
    return page(material, panels_of(Registry(installed=False)), {}, "ab")


def test_a_sample_is_what_the_base_and_each_method_make_of_one_prompt(found: list[Realigned]) -> None:
    (view,) = samples(found, ORDER)
    assert [one["method"] for one in view["after"]] == ["weak", "good"]  # the suite's order
    assert (view["seed"], len(view["row"]), view["left"]) == (0, 48, 0)
    assert (view["row"][5], view["draw"][5], view["prompts"][view["prompt"][5]]) == (1, 1, "prompt 1")
    for side, phase, run in (("base", "before", 0), ("good", "after", 0), ("weak", "after", 2)):
        rows = found[run].phase(phase).to_pylist()
        said = {(one["row"], one["draw"]): (one["text"], int(one["toxic"])) for one in rows}
        shown = view["base"] if side == "base" else next(one for one in view["after"] if one["method"] == side)
        keys = zip(view["row"], view["draw"], strict=True)
        assert list(zip(shown["text"], shown["toxic"], strict=True)) == [said[key] for key in keys]


def test_of_too_many_samples_the_first_draws_of_every_prompt_are_shown(
    found: list[Realigned], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", 24)
    (view,) = samples(found, ORDER)
    assert sorted(zip(view["draw"], view["row"], strict=True)) == [(draw, row) for draw in (0, 1) for row in range(12)]
    assert view["left"] == 24
    monkeypatch.setattr(module, "LETTERS", 300)
    (short,) = samples(found, ORDER)
    assert 0 < len(short["row"]) < 12


def test_models_share_the_room(realign: Plant) -> None:
    found = [one for model in ("a", "b", "c") for one in realign({"good": 0.9}, prompts=60, model=model)[0]]
    views = samples(found, [])
    assert [view["model"] for view in views] == ["a", "b", "c"]
    assert [len(view["row"]) for view in views] == [ROWS // 3] * 3


def test_only_what_every_method_completed_is_shown(found: list[Realigned]) -> None:
    rows = found[2].rows
    fewer = rows.filter([not (one["phase"] == "after" and one["row"] == 3) for one in rows.to_pylist()])
    (view,) = samples([found[0], found[2]._replace(rows=fewer)], ORDER)
    assert 3 not in view["row"]
    assert len(view["row"]) == 44


def test_a_page_has_a_section_of_samples_where_there_are_some_and_else_not_a_word(found: list[Realigned]) -> None:
    class Ids(HTMLParser):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.found: list[str] = []
            self.feed(text)

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [value for name, value in attrs if name in ("id", "href") and value]

    assert {"samples", "#samples", "sample-list"} <= set(Ids(written(found)).found)
    nothing = written([])
    assert not [name for name in Ids(nothing).found if "sample" in name]
    assert '"samples":' not in nothing


def test_a_hostile_sample_leaves_no_script(found: list[Realigned]) -> None:
    rows = found[0].rows
    at = rows.column_names.index("text")
    hostile = rows.set_column(at, "text", [["</script><img src=x onerror=alert(1)>"] * len(rows)])
    made = written([found[0]._replace(rows=hostile)])
    assert "<img src=x" not in made
    assert "\\u003c/script\\u003e\\u003cimg src=x" in made


def test_three_hundred_long_samples_stay_below_the_pages_share(found: list[Realigned]) -> None:
    rows = found[0].rows
    at = rows.column_names.index("text")
    long = rows.set_column(at, "text", [["word " * 5_000] * len(rows)])
    many = [Realigned(replace(found[0].cell, method=f"m{i}"), long) for i in range(30)]
    assert len(written(many)) < 1_500_000
