from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

import fairl_bench

# --- what stands in signatures


Home = tuple[str, str]  # a module and a name that it defines


@cache
def tree_of(module: str) -> ast.Module:
    found = find_spec(module)
    assert found is not None
    assert found.origin is not None
    return ast.parse(Path(found.origin).read_text())


def definition(module: str, name: str) -> ast.AST | None:
    """The class, the function or the value behind a name at the top of a module."""
    for node in tree_of(module).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.Assign) and name in {ast.unparse(target) for target in node.targets}:
            return node.value
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            return node.annotation
    return None


@cache
def defined(module: str, name: str) -> Home | None:
    """Where a name that a module of ours uses is defined; None where that is not ours."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fairl_bench."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return defined(str(node.module), alias.name)
    return (module, name) if definition(module, name) is not None else None


def signatures(node: ast.AST) -> Iterator[ast.expr]:
    """Every annotation of a definition, and the bases of a class: what its users read."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        of_all = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        yield from (each.annotation for each in of_all if each is not None and each.annotation is not None)
        yield from [node.returns] * (node.returns is not None)
    elif isinstance(node, ast.ClassDef):
        yield from node.bases
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and shown(inner.name):
                yield from signatures(inner)
            elif isinstance(inner, ast.AnnAssign) and shown(ast.unparse(inner.target)):
                yield inner.annotation
    elif isinstance(node, ast.expr):  # another name for a type
        yield node


def shown(name: str) -> bool:
    return not name.startswith("_") or name in ("__init__", "__call__")


def names_in(expression: ast.expr) -> set[str]:
    quoted = {node.value for node in ast.walk(expression) if isinstance(node, ast.Constant)}
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)} | {
        text for text in quoted if isinstance(text, str)
    }


def reached(start: set[Home]) -> dict[Home, str]:
    """Every type of ours that the signatures of these names lead to, and by what way."""
    ways = {home: home[1] for home in start}
    todo = sorted(start)
    while todo:
        module, name = todo.pop()
        node = definition(module, name)
        assert node is not None, f"{module} does not define {name}"
        for part in {part for annotation in signatures(node) for part in names_in(annotation)}:
            home = defined(module, part)
            if home is not None and home not in UNNAMED and home not in ways:
                ways[home] = f"{ways[module, name]} -> {part}"
                todo.append(home)
    return ways


def unlisted(start: set[Home], public: set[Home]) -> list[str]:
    """The classes that these signatures lead to and that nobody can import; other names of types are looked through."""
    ways = reached(start | public)
    found = [home for home in ways if isinstance(definition(*home), ast.ClassDef) and home not in public]
    return sorted(ways[home] for home in found)


UNNAMED = {
    ("fairl_bench.component", "FilePath"),  # what a DataFile is at run time
    ("fairl_bench.component", "_Marker"),  # RunTime and Secret are its values, and all that there will be
}
PUBLIC = {(home, name) for name, home in fairl_bench._homes().items() if home.startswith("fairl_bench.")}
CONFORMANCE = {
    (str(node.module), alias.name)
    for node in tree_of("fairl_bench.testing").body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}


def test_every_type_in_a_public_signature_is_public() -> None:
    assert unlisted(CONFORMANCE, PUBLIC | CONFORMANCE) == []


@pytest.mark.parametrize(
    "hidden",
    [
        ("fairl_bench.values.records", "Evidence"),  # in a method
        ("fairl_bench.values.training", "Training"),  # in a field
        ("fairl_bench.science.failures", "FailurePlan"),  # imported for types alone
        ("fairl_bench.reward.function", "RecoveredReward"),  # in a function
    ],
)
def test_a_type_that_is_not_public_is_seen(hidden: Home) -> None:
    assert [way.rpartition(" -> ")[2] for way in unlisted(set(), PUBLIC - {hidden})] == [hidden[1]]


# --- imports


def quiet_import(code: str) -> str:
    """Runs ``code`` in a fresh interpreter; which heavy packages it pulled in."""
    check = "\nimport sys\nprint('pulled', *sorted({'torch', 'transformers', 'pandas'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    return ran.stdout.strip().splitlines()[-1]


def test_the_public_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(fairl_bench.__file__).read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    exported = [alias.asname for n in block.body if isinstance(n, ast.ImportFrom) for alias in n.names]
    assert sorted(map(str, exported)) == fairl_bench.__all__


@pytest.mark.parametrize("name", fairl_bench.__all__)
def test_a_public_name_is_imported_from_the_module_that_defines_it(name: str) -> None:
    home = fairl_bench._homes()[name]
    assert not home.startswith("fairl_bench.") or defined(home, name) == (home, name)


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(fairl_bench, name) is not None for name in fairl_bench.__all__)


def test_dir_shows_the_public_names() -> None:
    assert set(fairl_bench.__all__) < set(dir(fairl_bench))


def test_an_unknown_name_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="'fairl_bench' has no attribute 'Pears'"):
        _ = fairl_bench.Pears


def test_the_check_for_heavy_imports_can_fail() -> None:
    assert quiet_import("import sys, types; sys.modules['torch'] = types.ModuleType('torch')") == "pulled torch"


def test_importing_every_public_name_pulls_in_nothing_heavy() -> None:
    assert quiet_import("from fairl_bench import *") == "pulled"


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["plugins"], ["run", "--help"]])
def test_a_light_command_pulls_in_nothing_heavy(arguments: list[str]) -> None:
    code = f"from fairl_bench.cli.main import main\ntry:\n    main({arguments})\n"
    code += "except SystemExit as end:\n    assert not end.code"
    assert quiet_import(code) == "pulled"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["store", "--help"]])
def test_help_comes_at_once(arguments: list[str]) -> None:
    code = f"""
import sys
from fairl_bench.cli.main import main
try:
    main({arguments})
except SystemExit:
    pass
slow = {{"numpy", "pydantic", "pyarrow", "rich"}} & set(sys.modules)
assert not slow, slow
"""
    assert quiet_import(code) == "pulled"


def test_list_imports_no_part() -> None:
    code = """
import sys
from fairl_bench.cli.main import main
try:
    main(["list"])
except SystemExit:
    pass
parts = [name for name in sys.modules if name.startswith("fairl_bench.builtin.")]
assert not parts, parts
"""
    assert quiet_import(code) == "pulled"


def test_no_room_hides_a_public_name() -> None:
    rooms = {path.stem for path in Path(fairl_bench.__file__).parent.iterdir() if path.suffix in ("", ".py")}
    assert not rooms & set(fairl_bench.__all__)
