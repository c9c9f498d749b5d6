"""Who may import whom: the rules of the design, held by ``ast``."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fairl_bench
from fairl_bench.suite.registry import Registry

PACKAGE = Path(fairl_bench.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
PLUGINS = sorted((PACKAGE.parent / "plugins").glob("*.py"))
WORDS = {
    "component",
    "digests",
    "errors",
    "executor",
    "guards",
    "hookspecs",
    "kinds",
    "material",
    "metrics",
    "pairs",
    "pairwise",
    "progress",
    "textfiles",
    "values",
    "version",
    "views",
}
PARTS = {
    module
    for entry in Registry(installed=False)._entries.values()
    if not (module := str(entry.part).partition(":")[0]).startswith("fairl_bench.builtin.shared.")
}
"""The modules of the parts, which no part may import; those that others build on lie in ``shared``."""


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


ROOMS = (
    "suite",
    "engine",
    "preview",
    "store",
    "results",
    "reward",
    "tables",
    "figures",
    "html",
    "builtin",
    "science",
    "toy",
)
ABOVE = ("cli", "api", "start", "display", "pipeline")  # who may import everything, and whom nobody else imports
NEVER = {
    "suite": ("engine", "preview", "store", "results", "reward", "tables", "figures", "html", "builtin"),
    "store": ("suite", "engine", "preview", "results", "reward", "tables", "figures", "html", "builtin"),
    "engine": ("preview", "results", "reward", "tables", "figures", "html", "builtin"),
    "preview": ("results", "reward", "tables", "figures", "html", "builtin"),
    "results": ("engine", "preview", "tables", "figures", "html", "builtin"),
    "reward": ("engine", "preview", "results", "tables", "figures", "html", "builtin"),
    "tables": ("store", "engine", "preview", "reward", "figures", "html", "builtin"),
    "figures": ("store", "engine", "preview", "reward", "html", "builtin"),
    "html": ("store", "engine", "preview", "reward", "builtin"),
    "builtin": ("suite", "engine", "preview", "store", "results", "tables", "figures", "html"),
}
"""By room, those that it must not import from."""


def room_of(module: str) -> str:
    """The room of a module, or its own name at the top."""
    return module.removeprefix("fairl_bench.").partition(".")[0]


def allowed(module: str, name: str) -> bool:
    def of(*rooms: str) -> bool:
        return any(f"{name}.".startswith(f"fairl_bench.{room}.") for room in rooms)

    room = room_of(module)
    if of(*ABOVE):
        return room in (*ABOVE, "fairl_bench", "__main__")
    if room == "science":
        return of("science", "errors")
    if room == "toy":
        return of("toy", "errors")
    if room in WORDS:
        return not of(*set(ROOMS) - {"science"})
    if room == "builtin" and any(f"{name}.".startswith(f"{part}.") for part in PARTS - {module}):
        return False
    return not of(*NEVER.get(room, ()))


def trespasses(module: str, source: str) -> list[str]:
    return sorted(name for name in ours(source) if not allowed(module, name))


def cycle(imports: dict[str, set[str]]) -> list[str]:
    """The modules of one import circle; none where there is none."""
    try:
        list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def imported_modules() -> dict[str, set[str]]:
    """What each module of the package imports, for types alone too."""
    names = {module: ours(path.read_text()) for module, path in MODULES.items()}
    return {
        module: {name if name in MODULES else name.rpartition(".")[0] for name in found} - {module}
        for module, found in names.items()
    }


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
        ("fairl_bench.science.starc", "from fairl_bench.values.data import Pairs"),
        ("fairl_bench.science.starc", "from fairl_bench import Pairs"),
        ("fairl_bench.values.data", "def f():\n    import fairl_bench.store.store"),
        ("fairl_bench.kinds", "from fairl_bench import builtin"),
        ("fairl_bench.engine.plan", "from fairl_bench.builtin.shared.file_rows import Row"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.engine import keys"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.builtin.methods.pairwise import MaxMargin"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.builtin.methods import pairwise"),
        ("fairl_bench.toy.truth", "from fairl_bench.values.data import Pairs"),
        ("fairl_bench.suite.read", "from fairl_bench.engine.plan import Plan"),
        ("fairl_bench.store.store", "from fairl_bench.results.scores import Sheet"),
        ("fairl_bench.engine.plan", "from fairl_bench.results.scores import Sheet"),
        ("fairl_bench.results.claims", "if TYPE_CHECKING:\n    from fairl_bench.engine.plan import Plan"),
        ("fairl_bench.results.claims", "from fairl_bench.pipeline import run_study"),
        ("fairl_bench.tables.leaderboard", "from fairl_bench.store.store import Store"),
        ("fairl_bench.figures.style", "from fairl_bench.store.store import Store"),
        ("fairl_bench.html.page", "from fairl_bench.cli.tables import printable"),
        ("fairl_bench.html.page", "if True:\n    from fairl_bench.cli.main import main"),
    ],
)
def test_a_planted_trespass_is_seen(module: str, source: str) -> None:
    assert trespasses(module, source)


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert cycle(imported_modules()) == []


def test_a_planted_circle_is_seen() -> None:
    assert set(cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_a_shared_module_of_the_builtin_parts_is_no_trespass() -> None:
    assert not trespasses("fairl_bench.builtin.testsets", "from fairl_bench.builtin.shared.file_rows import Row")


def test_a_planted_private_name_is_seen() -> None:
    assert private("from fairl_bench import Pairs, kinds\nfrom fairl_bench.kinds import Method") == [
        "fairl_bench.kinds",
        "fairl_bench.kinds.Method",
    ]


NAMES = {name for _, name in Registry(installed=False)._entries}
NEUTRAL = ("engine", "suite", "store", "results", "reward")


def is_use(node: ast.AST) -> bool:
    """Whether a node is ``use``, ``part.use`` or ``spec["use"]``."""
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == "use"
    return (isinstance(node, ast.Attribute) and node.attr == "use") or (isinstance(node, ast.Name) and node.id == "use")


def in_spec_position(tree: ast.AST) -> Iterator[ast.AST]:
    """What stands where the name of a part does: in a spec, beside ``use``, where one is looked for or made."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "use")
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(is_use, sides)):
                yield from sides
        elif isinstance(node, ast.Call):
            yield from (word.value for word in node.keywords if word.arg == "use")
            if isinstance(node.func, ast.Attribute) and node.func.attr in ("named", "find", "plugin_of"):
                yield from node.args


def named_parts(source: str) -> set[str]:
    """The built-in parts that a module names."""
    inside = (inner for node in in_spec_position(ast.parse(source)) for inner in ast.walk(node))
    return {node.value for node in inside if isinstance(node, ast.Constant) and node.value in NAMES}


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in NEUTRAL])
def test_no_built_in_part_is_named(module: str) -> None:
    assert named_parts(MODULES[module].read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        'registry.build(Judge, {"use": "role"})',
        'registry.find("judge", "recovered-cell")',
        'Judge.named("role")',
        'if part.use == "max-margin": pass',
        'if use in ("max-margin", "length"): pass',
        'if spec["use"] == "max-margin": pass',
        'dict(use="max-margin")',
    ],
)
def test_a_planted_name_of_a_part_is_seen(source: str) -> None:
    assert named_parts(source)


def test_tables_figures_and_pages_are_made_without_torch() -> None:
    rooms = ("fairl_bench.tables", "fairl_bench.figures", "fairl_bench.html")
    modules = ", ".join(name for name in MODULES if name.startswith(rooms))
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
