"""Every path, module and name that README, CONTRIBUTING and the pages of docs give is there."""

from __future__ import annotations

import re
from pathlib import Path
from pydoc import locate

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
FOLDERS = r"fairl_bench|plugins|suites|tests|docs|benchmarks|examples|\.ci|results/(?:reference|published)"
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w{{*][\w./{{}},*-]*")
DOTTED = re.compile(r"(?<![\w./-])fairl_bench(?:\.[A-Za-z_]\w*)+")
MADE_UP = {"suites/mine.yaml"}
TAGS = {"fairl_bench.dirty", "fairl_bench.suite", "fairl_bench.version"}  # of MLflow's runs


def braces(name: str) -> list[str]:
    """``a.{md,csv}`` as two names."""
    match = re.search(r"\{([^{}]*)\}", name)
    if match is None:
        return [name]
    return [part for one in match[1].split(",") for part in braces(name[: match.start()] + one + name[match.end() :])]


def missing_paths(text: str) -> list[str]:
    """The paths that a text names and the project lacks; ``*`` stands for any one file."""
    names = [name for match in PATH.findall(text) for name in braces(match.rstrip(".,"))]
    return [name for name in names if name not in MADE_UP and not list(ROOT.glob(name.rstrip("/")))]


def missing_names(text: str) -> list[str]:
    """The modules and names within modules that a text gives and Python does not find."""
    return [name for name in DOTTED.findall(text) if name not in TAGS and locate(name) is None]


def tree(text: str) -> list[str]:
    """The paths that the map of a text lists: names before a gap of two spaces, nested by indentation."""
    (block,) = re.findall(r"<!-- map -->\n```\n(.*?)```", text, re.S)
    above, found = list[tuple[int, str]](), list[str]()
    for line in block.splitlines():
        depth = len(line) - len(line.lstrip())
        above = [(indent, name) for indent, name in above if indent < depth]
        folder = "".join(name for _, name in above)
        names = re.split(r"\s{2,}", line.strip())[0].split()
        found += [folder + name for name in names]
        above.append((depth, names[0] if names[0].endswith("/") else ""))
    return found


def missing_in_tree(text: str) -> list[str]:
    """The entries of a text's map that are neither a folder, a file nor a module."""
    return [name for name in tree(text) if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_path_of_a_page_is_there(page: Path) -> None:
    assert missing_paths(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_module_and_name_of_a_page_is_there(page: Path) -> None:
    assert missing_names(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[\w-]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_entry_of_the_map_is_there() -> None:
    assert missing_in_tree(ARCHITECTURE.read_text()) == []


def test_every_room_stands_on_the_map() -> None:
    rooms = {path.parent.name for path in (ROOT / "fairl_bench").glob("*/__init__.py")}
    listed = {Path(entry).name for entry in tree(ARCHITECTURE.read_text())}
    assert rooms <= listed, rooms - listed


def test_what_is_not_there_is_noticed() -> None:
    assert missing_paths("see `fairl_bench/room.py`, suites/{detox,nowhere}.yaml.") == [
        "fairl_bench/room.py",
        "suites/nowhere.yaml",
    ]
    assert missing_names("`fairl_bench.values.data.Pairs`, `fairl_bench.values.data.Couples`") == [
        "fairl_bench.values.data.Couples"
    ]
    assert missing_in_tree("<!-- map -->\n```\nfairl_bench/\n  kinds room   words\n  tables/  x\n```") == [
        "fairl_bench/room"
    ]
