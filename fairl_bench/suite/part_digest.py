"""The digest of the code behind a part; it is in every key, so that another formula is another answer."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fairl_bench.component import Component
from fairl_bench.digests import digest, file_digest
from fairl_bench.suite.part_code import foreign_files, parsed

_ROOT = Path(__file__).parent.parent
# modules whose code decides numbers; the words and the engine are covered by the schema of keys
_COMPUTING = (
    "fairl_bench.science",
    "fairl_bench.builtin",
    "fairl_bench.toy",
    "fairl_bench.pairwise",
    "fairl_bench.textfiles",
)


@cache
def source_digest(part: type[Component]) -> str:
    """The SHA-256 of the code behind a part: its own module, its bases', and what they import to compute with.

    Imports are followed into `science`, `builtin` and `toy`; so another formula is another key, while an edit of the
    command line is not.  Of a plugin, `sources` says which of its files are read.
    """
    seen: dict[str, str] = {}
    waiting = [part.__module__]
    for base in part.__mro__:
        if base.__module__.startswith(_COMPUTING):
            waiting.append(base.__module__)
        # a word is no source, but what it imports to compute with is
        elif base.__module__.startswith("fairl_bench.kinds."):
            waiting += _followed_by(base)
    if not part.__module__.startswith("fairl_bench."):
        for file in foreign_files(part.__module__):
            seen[str(file)] = file_digest(file)
            waiting += _followed(parsed(file))
    while waiting:
        module = waiting.pop()
        if module in seen or (path := _path(module)) is None:
            continue
        status = path.stat()
        seen[module], followed = _read(path, status.st_mtime_ns, status.st_size)
        waiting += followed
    # not the names: that of a drop-in holds its place, and only its content counts
    return digest(sorted(set(seen.values())))


@cache  # parts share most of what they import, and to parse it takes most of the time
def _read(path: Path, changed: int, size: int) -> tuple[str, list[str]]:
    """The SHA-256 of a module of ours that was ``changed`` at this time, and what it imports to compute with."""
    source = path.read_bytes()
    return hashlib.sha256(source).hexdigest(), _followed(ast.parse(source))


@cache
def _followed_by(kind: type[Component]) -> list[str]:
    """The modules that the class of a kind imports to compute with."""
    return _followed(ast.parse(inspect.getsource(kind)))


def _path(module: str) -> Path | None:
    """The file of a module of ours or of a loaded one; None where it has none."""
    if origin := getattr(sys.modules.get(module), "__file__", None):
        return Path(origin)
    # looked for, not imported: what computes may import torch.  A name in a module is no module, and is not found
    place = _ROOT.joinpath(*module.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _followed(tree: ast.AST) -> list[str]:
    """The modules that a file imports to compute with."""
    return [name for name in _imports(tree) if name.startswith(_COMPUTING)]


def _imports(tree: ast.AST) -> Iterator[str]:
    """The full names of all that a file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
