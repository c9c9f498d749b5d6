"""Who may import whom: the rules of the design, held by ``ast``."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fairl_bench
from fairl_bench.engine.registry import Registry

PACKAGE = Path(fairl_bench.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
PLUGINS = sorted((PACKAGE.parent / "plugins").glob("*.py"))
WORDS = {"component", "kinds", "data", "hookspecs", "records", "errors", "pairwise", "progress"}
WORDS |= {"digests", "lent", "outside", "reading", "recovered", "results_folder", "reward_files", "reward_folder"}
WORDS |= {"textfiles"}
PARTS = {str(entry.part).partition(":")[0] for entry in Registry(installed=False)._entries.values()}


def ours(source: str) -> set[str]:
    """What of ours a module imports, wherever in it: modules, and names of modules as ``module.name``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.partition(".")[0] == "fairl_bench"}


def allowed(module: str, name: str) -> bool:
    def of(*rooms: str) -> bool:
        return any(f"{name}.".startswith(f"fairl_bench.{room}.") for room in rooms)

    room = module.removeprefix("fairl_bench.").partition(".")[0]
    if of("cli", "cli_reward", "cli_store"):
        return room == "__main__" or (room == "cli" and not of("cli"))
    if room == "science":
        return of("science", "errors")
    if room == "toy":
        return of("toy")
    if room == "engine":
        return not of("builtin")
    if room == "tables":
        return of("tables", "science", "data", "records", "results_folder", "errors", "textfiles")
    if room == "figures":
        return of("figures", "tables", "science", "data", "records", "results_folder", "errors")
    if room == "html":
        return of("html", "figures", "tables", "data", "records", "errors")
    if room == "builtin":
        other = any(f"{name}.".startswith(f"{part}.") for part in PARTS - {module})
        return not (of("engine") or other)
    return not (room in WORDS and of("engine", "builtin"))


def trespasses(module: str, source: str) -> list[str]:
    return sorted(name for name in ours(source) if not allowed(module, name))


def private(source: str) -> list[str]:
    public = {f"fairl_bench.{name}" for name in fairl_bench.__all__}
    return sorted(ours(source) - public)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_stays_in_its_room(module: str) -> None:
    assert trespasses(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.stem)
def test_a_plugin_imports_public_names_only(plugin: Path) -> None:
    assert private(plugin.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fairl_bench.science.starc", "from fairl_bench.data import Pairs"),
        ("fairl_bench.science.starc", "from fairl_bench import Pairs"),
        ("fairl_bench.data", "def f():\n    import fairl_bench.engine.store"),
        ("fairl_bench.kinds", "from fairl_bench import builtin"),
        ("fairl_bench.engine.plan", "from fairl_bench.builtin.rows import Row"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.engine import keys"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.builtin.methods.pairwise import MaxMargin"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.builtin.methods import pairwise"),
        ("fairl_bench.toy.truth", "from fairl_bench.errors import DataError"),
        ("fairl_bench.tables.leaderboard", "from fairl_bench.engine.store import Store"),
        ("fairl_bench.figures.style", "from fairl_bench.engine.store import Store"),
        ("fairl_bench.html.page", "from fairl_bench.show import printable"),
        ("fairl_bench.show", "if True:\n    from fairl_bench.cli import main"),
    ],
)
def test_a_planted_trespass_is_seen(module: str, source: str) -> None:
    assert trespasses(module, source)


def test_a_shared_module_of_the_builtin_parts_is_no_trespass() -> None:
    assert not trespasses("fairl_bench.builtin.testsets", "from fairl_bench.builtin.rows import Row")


def test_a_planted_private_name_is_seen() -> None:
    assert private("from fairl_bench import Pairs, kinds\nfrom fairl_bench.kinds import Method") == [
        "fairl_bench.kinds",
        "fairl_bench.kinds.Method",
    ]


def test_tables_figures_and_pages_are_made_without_torch() -> None:
    rooms = ("fairl_bench.tables", "fairl_bench.figures", "fairl_bench.html", "fairl_bench.engine.pages")
    modules = ", ".join(name for name in MODULES if name.startswith(rooms))
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
