"""The generated pages of the site: every part with its fields, every key, every public name, every suite."""

from __future__ import annotations

import doctest
import importlib
import io
import json
import re
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import fairl_bench
from fairl_bench.kinds import KINDS
from fairl_bench.metrics import Metric
from fairl_bench.pipeline import Finished
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.suite import Suite
from fairl_bench.values.comparison import Comparison

ROOT = Path(__file__).parent.parent
NAV = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    import reference

    return reference


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    import gallery

    return gallery


def test_every_part_has_its_fields_on_the_page_of_its_kind(reference: ModuleType) -> None:
    registry, pages = Registry(installed=False), reference.pages("https://example.org")
    for kind in KINDS:
        before, _, rest = pages[f"reference/parts/{kind}.md"].partition("\n## ")
        parts = dict(re.findall(r"^## (\S+)$(.*?)(?=^## |\Z)", f"## {rest}", re.M | re.S))
        assert list(parts) == list(registry.names(kind))
        for name, text in parts.items():
            part = registry.find(kind, name)
            assert set(part.model_fields) <= set(re.findall(r"^\| `(\w+)` \|", before + text, re.M))
            assert part.help().replace("``", "`").split()[0] in text
            assert re.search(r"Code: \[`fairl_bench/[\w/]+\.py`\]\(https://example\.org/blob/main/.*#L\d+\)", text)


def test_every_key_of_a_suite_is_on_its_page(reference: ModuleType) -> None:
    page = reference.pages("")["reference/suite-keys.md"]
    assert {*Suite.model_fields, "extends"} <= set(re.findall(r"^\| `(\w+)` \|", page, re.M))
    assert {"Split", "Head", "Training", "Stop", "Claim"} <= set(re.findall(r"^## (\w+)$", page, re.M))


def test_every_public_name_of_ours_is_on_a_page_of_python(reference: ModuleType) -> None:
    text = "\n".join(page for name, page in reference.pages("").items() if "/api-" in name)
    named = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", text, re.M)}
    assert set(fairl_bench.__all__) - named == {"Field"}  # pydantic's


def test_every_generated_page_is_in_the_navigation(reference: ModuleType) -> None:
    assert [name for name in reference.pages("") if f" {name}\n" not in NAV] == []


def test_every_page_is_in_the_navigation_and_every_notebook_is_a_page() -> None:
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    notebooks = [f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.ipynb")]
    assert len(notebooks) >= 5
    assert [name for name in (*pages, *notebooks) if f" {name}\n" not in NAV] == []


def test_every_suite_has_a_card_with_its_command(gallery: ModuleType) -> None:
    page = gallery.page()
    suites = sorted(path.stem for path in (ROOT / "suites").rglob("*.yaml"))
    assert sorted(re.findall(r"^-   \*\*(\S+)\*\*$", page, re.M)) == suites
    assert all(f"`fairl-bench run {name}`" in page or f"run suites/paper/{name}.yaml`" in page for name in suites)


TABLE = "| method | STARC | AUC |\n|---|---|---|\n| *oracle* | 0.0 | *1.000* |\n| a | 0.9 | 0.500 ± 0.100 ¹ |\n"


def test_the_picture_of_a_suite_has_the_numbers_of_its_table(gallery: ModuleType) -> None:
    shown = gallery.Shown(**gallery.column_of(TABLE))
    assert (shown.head, shown.rows) == ("AUC", (("*oracle*", "*1.000*"), ("a", "0.500 ± 0.100 ¹")))
    picture = gallery._picture(shown)
    assert "AUC: 0.4 to 1" in picture
    high, mean = map(int, re.findall(r'<circle cx="(\d+)"', picture))
    low = int(re.findall(r'<path d="M(\d+)', picture)[0])
    assert (mean - low) * 6 == pytest.approx(high - low, abs=6)  # .5 is a sixth of the way from .4 to 1


def test_rows_of_a_picture_are_named_by_what_tells_them_apart(gallery: ModuleType) -> None:
    both = (
        "| model | encoder | method | share |\n|---|---|---|---|\n| x | e | a | 12 % [4, 20] |\n| y | e | a | 7 % |\n"
    )
    assert gallery.column_of(both)["rows"] == (("x", "12 % [4, 20]"), ("y", "7 %"))
    assert gallery.column_of("| a | b |\n|---|---|\n| x | y |\n") == {}
    many = "| a | b |\n|---|---|\n" + "".join(f"| x{i} | 0.1 |\n" for i in range(20))
    assert (len(gallery.column_of(many)["rows"]), gallery.column_of(many)["left_out"]) == (16, 4)


def test_a_card_shows_what_is_kept_of_results(gallery: ModuleType, ran_once: tuple[Path, Finished]) -> None:
    shown = gallery.taken(ran_once[1].folder)
    assert shown.head == "pairs/test AUC ↑"
    assert [name for name, _ in shown.rows] == ["max-margin", "max-entropy", "mean-difference", "length"]
    assert shown.work is not None
    again = gallery._read(shown._asdict())
    assert again == shown


def test_what_the_gallery_keeps_is_of_suites_in_the_box(gallery: ModuleType) -> None:
    kept = json.loads(gallery.KEPT.read_text())
    assert set(kept) <= {path.stem for path in (ROOT / "suites").rglob("*.yaml")}
    assert "detox" in kept


def test_a_picture_of_a_page_has_few_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import pictures
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((2800, 100), 50).save(out, "PNG")
    small = Image.open(io.BytesIO(pictures.light(out.getvalue())))
    assert (small.size, small.mode) == ((1000, 36), "P")


def test_nothing_of_the_site_is_loaded_from_elsewhere() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in config
    assert "repo_url:" not in config  # the theme would ask GitHub for its stars
    scripts = [*(ROOT / "docs").rglob("*.js")]
    assert scripts
    assert not any("http" in path.read_text() for path in scripts)


@pytest.mark.parametrize("name", ["_fill/gains", "_site/gallery", "_site/lighter"])
def test_examples_of_what_makes_the_pages_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, module = name.split("/")
    monkeypatch.syspath_prepend(ROOT / "docs" / folder)
    if module == "lighter":
        pytest.importorskip("minify_html", reason="needs the extra docs")
    tried = doctest.testmod(importlib.import_module(module))
    assert tried.attempted
    assert not tried.failed


def test_the_sentence_on_failures_tells_what_is_shown_and_what_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_fill")
    import gains

    learns = {"use": "failure-aware", "base": {"use": "max-margin"}}
    nothing = {**learns, "sampling": {"use": "constant", "value": 0.0}}
    methods = [
        {"name": "max-margin", "use": "max-margin"},
        {"name": "fa-mm", **learns},
        {"name": "no-failures", **nothing},
    ]
    starc = Metric("starc", better="lower", label="STARC")

    def shown(base: float, control: float) -> tuple[Any, Any]:
        """Where ``fa-mm`` is better and worse if it differs from its base and its control by so much."""
        place = {"model": "m", "encoder": "e", "variant": "", "data": "pairs/test", "truth": "gold", "metric": "starc"}
        rest = dict.fromkeys(("low", "high", "p", "error", "freedom", "effect"), 0.0) | {"n": 1, "units": 6, "note": ""}
        rest |= {"unit": "replicate", "resamples": 0}
        both = [
            Comparison(**place, **rest, method="fa-mm", other=other, value=value, p_holm=0.01 if value else 1.0)
            for other, value in (("max-margin", base), ("no-failures", control))
        ]
        results = SimpleNamespace(suite=json.dumps({"methods": methods}), comparisons=both, metrics={"starc": starc})
        return gains.differences(results)

    assert shown(-0.1, -0.1) == ({"fa-mm": ["pairs/test STARC"]}, {})  # lower is better
    assert shown(0.1, 0.1) == ({}, {"fa-mm": ["pairs/test STARC"]})
    assert shown(-0.1, 0.0) == shown(-0.1, 0.1) == ({}, {})  # not from both, or not the same way
    assert gains.sentence("tiny", ROOT / "nowhere") is None
