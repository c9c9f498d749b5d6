"""Who may import whom: the rules of the design, held by ``ast``."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
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
EXAMPLES = sorted((PACKAGE.parent / "examples").glob("*.ipynb"))
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


def room_of(module: str) -> str:
    """The room of a module, or its own name at the top."""
    return module.removeprefix("fairl_bench.").partition(".")[0]


RE_EXPORTS = {"fairl_bench", "fairl_bench.testing"}
"""The modules whose purpose is to hand on names: the public ones, and the checks of the conformance kit."""
ROOMS: dict[str, set[str]] = {
    "science": {"errors"},
    "toy": {"errors"},
    "suite": WORDS,
    "store": WORDS,
    "pairs": WORDS | {"science"},
    "engine": WORDS | {"science", "suite", "store", "pairs"},
    "preview": WORDS | {"suite", "store", "engine", "pairs"},
    "reward": WORDS | {"suite"},
    "results": WORDS | {"science", "suite", "store", "reward"},
    "export": WORDS | {"science", "reward", "results", "tables", "suite", "builtin"},
    "builtin": WORDS | {"science", "toy"},
    "tables": WORDS | {"science", "results"},
    "figures": WORDS | {"science", "results", "tables"},
    "html": WORDS | {"results", "suite", "tables", "figures"},
    "testing": WORDS | {"science", "suite", "store", "results", "tables", "figures", "html"},
    "display": WORDS | {"engine"},
    "audits": WORDS | {"suite", "results"},
    "first_suite": WORDS | {"suite", "audits"},
    "pipeline": WORDS | {"suite", "store", "engine", "preview", "results", "tables"},
    "start": WORDS | {"suite", "store", "engine", "html", "pipeline"},
    "api": WORDS | {"suite", "store", "preview", "results", "reward", "figures", "display", "start", "audits"},
    "cli": WORDS
    | {"suite", "store", "engine", "preview", "results", "reward", "tables", "figures", "html"}
    | {"display", "pipeline", "start", "api", "audits", "export", "first_suite"},
    "__main__": {"cli"},
    "fairl_bench": WORDS | {"science", "suite", "preview", "results", "reward", "api"},  # the list of public names
    **dict.fromkeys(WORDS, WORDS),
}
"""By room, what it may import besides itself; what stands in no list is forbidden."""
WRITERS = {"writer", "run_folder", "reward_folders"}
"""The modules of ``results`` that write a folder: not for tables and figures, which show what was written."""
RECOVERED = {"fairl_bench.builtin.judges.recovered", "fairl_bench.builtin.judges.recovered_cell"}
"""The judges of recovered rewards: the parts that may import ``reward``."""
SCIENCE_IN_WORDS = {
    "fairl_bench.science.streams.stream": "chance by name is drawn alike everywhere",
    "fairl_bench.science.resampling.FORMS": "the statistics that a declared metric may name",
    "fairl_bench.science.generation.complete": "how a language model completes unless its part says otherwise",
    "fairl_bench.science.text_likelihoods.text_likelihoods": "how likely texts are unless its part says otherwise",
    "fairl_bench.science.heads.score": "how a method scores unless its part says otherwise",
    "fairl_bench.science.fit.fit": "how a pairwise method is fitted: all of it but the loss",
}
"""What a word may import of ``science`` besides its types, with the reason."""
EXCEPTIONS = {
    ("store", "fairl_bench.science.agreement.is_constant"): "a constant reward is refused before it is kept",
    ("html", "fairl_bench.science.agreement.standardised"): "the page shows the rewards of all runs on one scale",
}
"""Imports that the rules forbid and that are right, with the reason."""


def top(nodes: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements at the top of a module, those under an ``if`` too."""
    for node in nodes:
        yield from top([*node.body, *node.orelse]) if isinstance(node, ast.If) else [node]


def defined(tree: ast.Module) -> set[str]:
    """The names that a module defines at its top; not those that it imports."""
    names = set()
    for node in top(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
    return names


TOP_NAMES = {module: defined(ast.parse(path.read_text())) for module, path in MODULES.items()}
"""By module, the names that it defines."""
READERS = [
    path
    for folder in ("fairl_bench", "tests", "benchmarks", "docs", "plugins")
    for path in sorted((PACKAGE.parent / folder).rglob("*.py"))
]
"""Every module of the project."""


def is_type(name: str) -> bool:
    """Whether a name of ours is a class or an alias of types where it is defined."""
    module, _, name = name.rpartition(".")
    if module not in MODULES:
        return False
    return name[0].isupper() and not name.isupper() and name in TOP_NAMES[module]


def builtin_allowed(module: str, name: str) -> bool:
    """Whether a built-in module may import this of ``builtin`` and ``reward``."""
    if f"{name}.".startswith("fairl_bench.reward."):
        return module in RECOVERED
    if any(f"{name}.".startswith(f"{part}.") for part in PARTS - {module}):
        return False
    kinds = [".".join(path.split(".")[2:3]) for path in (module, name)]
    return kinds[1] in (kinds[0], "shared")


def science_allowed(room: str, name: str) -> bool:
    """Whether a word may import this of ``science``: a type, or what is listed with a reason."""
    return room in WORDS and (is_type(name) or name in SCIENCE_IN_WORDS)


def allowed(module: str, name: str) -> bool:
    room, target = room_of(module), room_of(name)
    if name == "fairl_bench" or f"fairl_bench.{target}" not in MODULES:  # public names are for others
        return False
    if (room, name) in EXCEPTIONS:
        return True
    if room == "builtin" and target in ("builtin", "reward"):
        return builtin_allowed(module, name)
    if room in WORDS and target == "science":
        return science_allowed(room, name)
    if room in ("tables", "figures") and target == "results" and name.split(".")[2] in WRITERS:
        return False
    return target == room or target in ROOMS[room]


def trespasses(module: str, source: str) -> list[str]:
    return sorted(name for name in ours(source) if not allowed(module, name))


def foreign(source: str) -> set[str]:
    """The packages that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}


def borrowed(source: str) -> list[str]:
    """The names of ours that a module imports from another than the one that defines them."""
    modules = {*MODULES, "fairl_bench"}
    parents = {name: name.rpartition(".")[0] for name in ours(source) - modules}
    return sorted(
        name
        for name, parent in parents.items()
        if parent not in RE_EXPORTS and name.rpartition(".")[2] not in TOP_NAMES.get(parent, set())
    )


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
    """What of ours that is not public a plugin or an example imports or names."""
    public = {"fairl_bench", *(f"fairl_bench.{name}" for name in fairl_bench.__all__)}
    attributes = {
        f"fairl_bench.{node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fairl_bench"
    }
    return sorted((ours(source) | attributes) - public)


def cells(notebook: str) -> str:
    """The Python of a notebook, without the lines that are for IPython."""
    code = [cell["source"] for cell in json.loads(notebook)["cells"] if cell["cell_type"] == "code"]
    lines = [line for source in code for line in "".join(source).splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


@pytest.mark.parametrize("module", MODULES)
def test_a_module_stays_in_its_room(module: str) -> None:
    assert trespasses(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.stem)
def test_a_plugin_imports_public_names_only(plugin: Path) -> None:
    assert private(plugin.read_text()) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_uses_public_names_only(example: Path) -> None:
    assert private(cells(example.read_text())) == []


@pytest.mark.parametrize("path", READERS, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_a_name_is_imported_from_the_module_that_defines_it(path: Path) -> None:
    assert borrowed(path.read_text()) == []


def test_a_planted_borrowed_name_is_seen() -> None:
    assert borrowed("from fairl_bench.kinds.method import Spec, Method\nfrom fairl_bench import Pairs, values") == [
        "fairl_bench.kinds.method.Spec"
    ]


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) in ("tables", "figures", "html")])
def test_what_renders_names_no_torch(module: str) -> None:
    assert not foreign(MODULES[module].read_text()) & {"torch", "transformers"}


def test_a_planted_late_import_of_torch_is_seen() -> None:
    assert "torch" in foreign("def f():\n    from torch.nn import Linear")


def test_every_room_has_its_rule() -> None:
    assert {room_of(module) for module in MODULES} == set(ROOMS)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("fairl_bench.science.starc", "from fairl_bench.values.data import Pairs"),
        ("fairl_bench.science.starc", "from fairl_bench import Pairs"),
        ("fairl_bench.values.data", "def f():\n    import fairl_bench.store.store"),
        ("fairl_bench.kinds.method", "from fairl_bench import builtin"),
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
        *((f"fairl_bench.{name}", "from fairl_bench.cli.main import main") for name in ("api", "start", "pipeline")),
        ("fairl_bench.display.live", "from fairl_bench.cli.main import main"),
        ("fairl_bench.__main__", "from fairl_bench.api import run"),
        ("fairl_bench.results.claims", "from fairl_bench import Pairs"),
        ("fairl_bench.kinds.method", "import fairl_bench"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.reward.load import load_reward"),
        ("fairl_bench.builtin.judges.known", "import fairl_bench.reward"),
        ("fairl_bench.builtin.methods.length", "from fairl_bench.builtin.lms.on_policy import OnPolicy"),
        ("fairl_bench.builtin.shared.batches", "from fairl_bench.builtin.lms.on_policy import OnPolicy"),
        ("fairl_bench.kinds.method", "from fairl_bench.science.losses import hinge"),
        ("fairl_bench.pairwise", "from fairl_bench.science import fit"),
        ("fairl_bench.suite.read", "from fairl_bench.science.runs import Batch"),
        ("fairl_bench.store.store", "from fairl_bench.science.agreement import spearman"),
        ("fairl_bench.engine.plan", "from fairl_bench.testing import check_method"),
        ("fairl_bench.tables.formats", "from fairl_bench.results.writer import Writer"),
        ("fairl_bench.figures.draw", "from fairl_bench.results import writer"),
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
    assert private("import fairl_bench\nfrom fairl_bench import Pairs, kinds\nfairl_bench.component") == [
        "fairl_bench.component",
        "fairl_bench.kinds",
    ]
    assert private("from fairl_bench.kinds import Method") == ["fairl_bench.kinds.Method"]
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": ["%time\n", "from fairl_bench import kinds"]}]})
    assert private(cells(notebook)) == ["fairl_bench.kinds"]


NAMES = {name for _, name in Registry(installed=False)._entries}
NAMING: dict[str, set[str]] = {
    "tables.leaderboard": {"table2"},  # two methods are compared by the part that compares two
}
"""The modules outside ``builtin`` that name a part, as one part may name another in its own settings."""


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


WRITE_SUITES = {"audits", "first_suite"}
"""The rooms that write suites for a user, and so name parts as a user would."""


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) not in {"builtin", *WRITE_SUITES}])
def test_no_built_in_part_is_named(module: str) -> None:
    known = NAMING.get(module.removeprefix("fairl_bench."), set())
    assert named_parts(MODULES[module].read_text()) == known


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
