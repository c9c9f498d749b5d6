"""The generated pages of the site: every part with its fields, every key, every public name, every suite."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import fairl_bench
from fairl_bench.kinds import KINDS
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.suite import Suite

ROOT = Path(__file__).parent.parent
NAV = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    import reference

    return reference


def test_every_part_has_its_fields_on_the_page_of_its_kind(reference: ModuleType) -> None:
    registry, pages = Registry(installed=False), reference.pages("https://example.org")
    for kind in KINDS:
        parts = dict(re.findall(r"^## (\S+)$(.*?)(?=^## |\Z)", pages[f"reference/parts/{kind}.md"], re.M | re.S))
        assert list(parts) == list(registry.names(kind))
        for name, text in parts.items():
            part = registry.find(kind, name)
            assert set(part.model_fields) <= set(re.findall(r"^\| `(\w+)` \|", text, re.M))
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
    assert [name for name in reference.pages("") if f"- {name}\n" not in NAV] == []


def test_every_page_is_in_the_navigation_and_every_notebook_is_a_page() -> None:
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    notebooks = [f"examples/{path.stem}.md" for path in (ROOT / "examples").glob("*.ipynb")]
    assert len(notebooks) >= 5
    assert [name for name in (*pages, *notebooks) if f" {name}\n" not in NAV] == []


def test_every_suite_has_a_card_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    import gallery

    page = gallery.page()
    suites = sorted(path.stem for path in (ROOT / "suites").rglob("*.yaml"))
    assert sorted(re.findall(r"^-   \*\*(\S+)\*\*$", page, re.M)) == suites
    assert all(f"`fairl-bench run {name}`" in page or f"run suites/paper/{name}.yaml`" in page for name in suites)


def test_the_picture_of_a_suite_has_the_numbers_of_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")
    import gallery

    table = "| method | STARC | AUC |\n|---|---|---|\n| *oracle* | 0.0 | *1.000* |\n| a | 0.9 | 0.500 ± 0.100 ¹ |\n"
    picture = gallery._picture(table)
    assert "AUC: 0.40 to 1.00" in picture
    assert re.findall(r'<circle cx="(\d+)"', picture) == ["290", "165"]  # of 140 to 290: 1.0 at the end, 0.5 at a sixth
    assert gallery._columns("| a | b |\n|---|---|\n| x | y |\n") is None
    assert gallery._columns("| a | b |\n|---|---|\n| x | 0.1 |\n| x | 0.2 |\n") is None  # two rows of one name


def test_nothing_of_the_site_is_loaded_from_elsewhere() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in config
    assert "repo_url:" not in config  # the theme would ask GitHub for its stars
    scripts = [*(ROOT / "docs").rglob("*.js")]
    assert scripts
    assert not any("http" in path.read_text() for path in scripts)
