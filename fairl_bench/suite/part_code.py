"""The files that the code of a part comes from, and which of them a key covers.

========================  =============================================================================
a built-in part           its module, and what that imports of `science`, `builtin` and `toy`
a drop-in                 its file; what it imports of an editable install, the whole package of that
an installed plugin       all source files of its top-level package, and of those of the same distribution
========================  =============================================================================

Code that belongs to no installed distribution is *loose*: nobody would notice its edit, so a drop-in must not import
it.  Packages from an index are covered by nothing but the version of the plugin that asks for them.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from urllib.parse import unquote, urlparse
from urllib.request import url2pathname

from fairl_bench.digests import folder_files

_SOURCE = (".py", ".pyx", ".so", ".pyd")
_LEFT_OUT = ("__pycache__", ".git", "node_modules")
_OURS = Path(__file__).resolve().parent.parent
_STANDARD = ("stdlib", "platstdlib")
DROP_IN = "fairl_bench_drop_in_"
"""The beginning of the name of a drop-in's module."""


class Import(NamedTuple):
    """A module that a file imports, and where."""

    name: str  # the first part alone: package, not package.module
    line: int


class CodeRun(NamedTuple):
    """A call that runs another file's code, and where."""

    call: str
    line: int


def loose(file: Path) -> bool:
    """True where a file of code is loose: neither of Python, nor of an installed package, nor of this one."""
    path = file.resolve()
    if path.is_relative_to(_OURS) or {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(root) for root in (*_installed(), *editable()))


def in_editable(file: Path) -> bool:
    """True where a file belongs to a distribution that is installed in place, so that it may be edited at any time."""
    path = file.resolve()
    inside = not path.is_relative_to(_OURS) and any(path.is_relative_to(root) for root in editable())
    return inside and not {"site-packages", "dist-packages"} & set(path.parts)


@cache
def _installed() -> tuple[Path, ...]:
    """The folders of Python's own modules and of installed packages."""
    paths = sysconfig.get_paths()
    roots = [paths[name] for name in _STANDARD] + [sysconfig.get_path("stdlib", vars={"base": sys.base_prefix})]
    return tuple(Path(root).resolve() for root in {*roots, *site.getsitepackages(), site.getusersitepackages()})


@cache
def editable() -> tuple[Path, ...]:
    """The folders of the distributions that are installed in place (PEP 610)."""
    folders = []
    for distribution in distributions():
        source = distribution.read_text("direct_url.json")
        if source is None:
            continue
        try:
            url = json.loads(source)
            if url.get("dir_info", {}).get("editable"):
                folders.append(Path(url2pathname(unquote(urlparse(url["url"]).path))).resolve())
        except (ValueError, KeyError, AttributeError):  # a file that is no record of an install
            continue
    # where we are developed, drop-ins and tests lie beside us, and belong to no distribution
    return tuple(root for root in folders if not _OURS.is_relative_to(root))


def imports(tree: ast.AST) -> Iterator[Import]:
    """Every module that a file imports, also within functions, and by ``import_module`` with a literal name.

    What is imported for type checkers alone is left out.  A relative import is called ``.``.
    """
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name.partition(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield Import("." if node.level else (node.module or "").partition(".")[0], node.lineno)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield Import("." if first.value.startswith(".") else first.value.partition(".")[0], node.lineno)


_RUNS_A_FILE = ("run_path", "spec_from_file_location", "SourceFileLoader", "SourcelessFileLoader", "execfile")
_RUNS_TEXT = ("exec", "eval", "compile")
_READS = ("open", "read_text", "read_bytes", "read")


def code_runs(tree: ast.AST) -> Iterator[CodeRun]:
    """Every call that runs the code of another file, such as ``exec(open(...).read())`` and ``runpy.run_path``."""
    for node in _running(tree):
        if isinstance(node, ast.Call):
            name = _called(node)
            inside = (inner for argument in node.args for inner in ast.walk(argument) if isinstance(inner, ast.Call))
            runs = name in _RUNS_TEXT and any(_called(inner) in _READS for inner in inside)
            # what a variable holds cannot be seen, so that no key could tell of an edit of it
            hidden = isinstance(node.func, ast.Name) and name in ("exec", "eval") and not _is_text(node.args[:1])
            if name in _RUNS_A_FILE or runs or hidden:
                yield CodeRun(name, node.lineno)


def _is_text(arguments: list[ast.expr]) -> bool:
    """True where all arguments are literals."""
    return all(isinstance(argument, ast.Constant) for argument in arguments)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node except those that only a type checker reads."""
    waiting = [tree]
    while waiting:  # not by recursion: a file may be deep
        node = waiting.pop()
        yield node
        for child in reversed(list(ast.iter_child_nodes(node))):
            waiting += reversed(child.orelse) if isinstance(child, ast.If) and _for_types(child) else [child]


def _for_types(branch: ast.If) -> bool:
    """True where only a type checker takes the branch."""
    return "TYPE_CHECKING" in {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(branch.test)}


def _called(node: ast.Call) -> str:
    """The name of the function that is called; empty where it has none."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def places(name: str) -> tuple[Path, ...]:
    """The files of a top-level module: its own, or the folders of a package without one; none for what is built in."""
    module = sys.modules.get(name)
    if module is not None:
        return files_of(module)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return ()
    if spec is None or spec.origin in ("built-in", "frozen"):
        return ()
    if spec.origin is not None:
        return (Path(spec.origin),)
    return tuple(Path(folder) for folder in spec.submodule_search_locations or ())


def files_of(module: ModuleType) -> tuple[Path, ...]:
    """The file of a loaded module, or the folders of a package without one."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return (Path(file),)
    try:
        return tuple(Path(folder) for folder in getattr(module, "__path__", ()))
    except TypeError:  # somebody has put something else into sys.modules
        return ()


def foreign_files(module: str) -> frozenset[Path]:
    """The source files that a plugin's module computes with, whoever may edit them; see the table above."""
    loaded = sys.modules.get(module)
    waiting = [path for path in (files_of(loaded) if loaded else ()) if path.is_file()]
    if not module.startswith(DROP_IN):
        waiting += package_of(module)
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop().resolve()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        waiting += [file for name in _imported(path) for file in _edited(name)]
    return frozenset(seen)


def _imported(path: Path) -> frozenset[str]:
    """The top-level modules that a file imports."""
    if path.suffix != ".py":
        return frozenset()
    return frozenset(module.name for module in imports(parsed(path)))


def parsed(path: Path) -> ast.AST:
    """The syntax tree of a file; an empty one for a file that is not Python."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return ast.Module([], [])


@cache
def _edited(top: str) -> tuple[Path, ...]:
    """The files of a top-level module that has no version: of an editable install, or not installed."""
    paths = [path / "" if path.is_dir() else path for path in places(top)]
    if top in sys.stdlib_module_names or not any(loose(path) or in_editable(path) for path in paths):
        return ()
    return tuple(_package(top, top))


def package_of(module: str) -> tuple[Path, ...]:
    """The files of the top-level package that a loaded module belongs to, and of others of the same distribution."""
    top = module.partition(".")[0]
    return tuple(file for name in sorted({top, *_companions(top)}) for file in _package(name, module))


def _package(top: str, module: str) -> Iterator[Path]:
    """The source files of a top-level package."""
    for place in places(top):
        if place.name.startswith("__init__.") or place.is_dir():
            folder = place if place.is_dir() else place.parent
            # without a file of its own, the top is shared by distributions: what lies below it may be anyone's
            inner = module.split(".")[1:2] if place.is_dir() and module.partition(".")[0] == top else []
            folder = folder.joinpath(*inner) if inner and folder.joinpath(*inner).is_dir() else folder
            yield from (path for _, path in folder_files(folder, without=_LEFT_OUT) if path.suffix in _SOURCE)
        else:
            yield place


@cache
def _companions(top: str) -> frozenset[str]:
    """The top-level names of the distribution that a name comes from."""
    owners_of = distributed()
    of_top = set(owners_of.get(top, ()))
    return frozenset(name for name, owners in owners_of.items() if of_top & set(owners) and name.isidentifier())


@cache
def distributed() -> dict[str, list[str]]:
    """The distributions that each top-level module comes from."""
    return dict(packages_distributions())
