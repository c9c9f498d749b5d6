"""Identity: what goes into a stage's key, and nothing that does not change the answer."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fairl_bench.component import Component, FilePath, RunTime, Settings, plain
from fairl_bench.digests import canonical, digest, file_digest
from fairl_bench.errors import PluginError
from fairl_bench.secrets import is_secret
from fairl_bench.suite.part_code import foreign_files, parsed
from fairl_bench.suite.registry import Registry

SCHEMA = 3
"""Raised when artefacts of the same key would mean something else."""

_ROOT = Path(__file__).parent.parent
# modules whose code decides numbers; the words and the engine are covered by SCHEMA
_COMPUTING = (
    "fairl_bench.science",
    "fairl_bench.builtin",
    "fairl_bench.toy",
    "fairl_bench.pairwise",
    "fairl_bench.textfiles",
)


def stage_key(kind: str, parts: Mapping[str, Any], settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The key of a stage from the identities of its parts, its settings and the keys of its inputs."""
    return stage_key_of(kind, {role: canonical(one) for role, one in parts.items()}, settings, inputs)


def stage_key_of(kind: str, parts: Mapping[str, str], settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The same from identities that are canonical JSON already: a part of 10,000 stages is written out once."""
    written = ",".join(f"{canonical(role)}:{one}" for role, one in sorted(parts.items()))
    told = f'"parts":{{{written}}},"schema":{SCHEMA},"settings":{canonical(settings)},"stage":{canonical(kind)}'
    return hashlib.sha256(f'{{"inputs":{canonical(inputs)},{told}}}'.encode()).hexdigest()


def identity(part: Component, registry: Registry) -> dict[str, Any]:
    """What a part contributes to a key: its name, its plugin, its identity fields and what it reads."""
    plugin = registry.plugin_of(part.kind, part.use)
    return {
        "use": part.use,
        # a drop-in is its file: where it lies does not matter
        "plugin": Path(plugin.name).stem if plugin.origin == "drop-in" else plugin.name,
        "version": plugin.version,
        "source": source_digest(type(part)),
        "fields": _fields(part, registry),
        "reads": _reads(part, plugin.name),
    }


def _reads(part: Component, plugin: str) -> dict[str, str]:
    found: Any = part.reads()
    if not isinstance(found, Mapping) or not all(isinstance(one, str) for pair in found.items() for one in pair):
        raise PluginError(f"{part.kind} {part.use!r} of {plugin}: reads gave {found!r:.60}; it needs digests by name")
    return dict(found)


def answering(settings: Settings) -> dict[str, Any]:
    """The settings that change the answer, as plain data."""
    return {
        name: plain(getattr(settings, name))
        for name, field in type(settings).model_fields.items()
        if RunTime not in field.metadata and not is_secret(field)
    }


def _fields(part: BaseModel, registry: Registry) -> dict[str, Any]:
    return {
        name: _value(getattr(part, name), registry)
        for name, field in type(part).model_fields.items()
        if RunTime not in field.metadata and not is_secret(field)
    }


def _value(value: Any, registry: Registry) -> Any:
    if isinstance(value, FilePath):  # by its content: where it lies does not matter
        return {"sha256": file_digest(Path(value))}
    if isinstance(value, Component):
        return identity(value, registry)
    if isinstance(value, BaseModel):
        return _fields(value, registry)
    if isinstance(value, tuple | list):
        return [_value(entry, registry) for entry in value]
    if isinstance(value, Mapping):
        return {name: _value(entry, registry) for name, entry in value.items()}
    return value


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
        elif base.__module__ == "fairl_bench.kinds":  # a word is no source, but what it imports to compute with is
            waiting += _followed(ast.parse(inspect.getsource(base)))
    if not part.__module__.startswith("fairl_bench."):
        for file in foreign_files(part.__module__):
            seen[str(file)] = file_digest(file)
            waiting += _followed(parsed(file))
    while waiting:
        module = waiting.pop()
        if module in seen or (path := _path(module)) is None:
            continue
        source = path.read_bytes()
        seen[module] = hashlib.sha256(source).hexdigest()
        waiting += _followed(ast.parse(source))
    # not the names: that of a drop-in holds its place, and only its content counts
    return digest(sorted(set(seen.values())))


def _path(module: str) -> Path | None:
    if origin := getattr(sys.modules.get(module), "__file__", None):
        return Path(origin)
    # looked for, not imported: what computes may import torch.  A name in a module is no module, and is not found
    place = _ROOT.joinpath(*module.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _followed(tree: ast.AST) -> list[str]:
    return [name for name in _imports(tree) if name.startswith(_COMPUTING)]


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
