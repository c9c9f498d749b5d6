"""The keys of stages: made of everything that changes the answer, and of nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fairl_bench.component import Component, FilePath, RunTime, Settings, plain
from fairl_bench.digests import canonical, content_sha256
from fairl_bench.errors import PluginError
from fairl_bench.guards.secrets import is_secret
from fairl_bench.suite.part_digest import source_digest
from fairl_bench.suite.registry import Registry

SCHEMA = 4
"""The version of keys; it goes up when an artefact of the same key would mean something else."""


def stage_key(kind: str, parts: Mapping[str, Any], settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The key of a stage from the identities of its parts, its settings and the keys of its inputs."""
    return stage_key_of(kind, {role: canonical(part) for role, part in parts.items()}, settings, inputs)


def stage_key_of(kind: str, parts: Mapping[str, str], settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The key of a stage from identities that are canonical JSON already: those of a shared part are written once."""
    written = ",".join(f"{canonical(role)}:{part}" for role, part in sorted(parts.items()))
    others = f'"parts":{{{written}}},"schema":{SCHEMA},"settings":{canonical(settings)},"stage":{canonical(kind)}'
    return hashlib.sha256(f'{{"inputs":{canonical(inputs)},{others}}}'.encode()).hexdigest()


def identity(part: Component, registry: Registry) -> dict[str, Any]:
    """The content of a key that is of one part: its name, its plugin, its identity fields and what it reads."""
    plugin = registry.plugin_of(part.kind, part.use)
    return {
        "use": part.use,
        # a drop-in goes by the name of its file; the folder does not matter
        "plugin": Path(plugin.name).stem if plugin.origin == "drop-in" else plugin.name,
        "version": plugin.version,
        "source": source_digest(type(part)),
        "fields": _fields(part, registry),
        "reads": _reads(part, plugin.name),
    }


def _reads(part: Component, plugin: str) -> dict[str, str]:
    """The digests of what a part reads.  Raises `PluginError` where the part gives something else."""
    digests: Any = part.reads()
    if not isinstance(digests, Mapping) or not all(isinstance(text, str) for pair in digests.items() for text in pair):
        raise PluginError(f"{part.kind} {part.use!r} of {plugin}: reads gave {digests!r:.60}; it needs digests by name")
    return dict(digests)


def answering(settings: Settings) -> dict[str, Any]:
    """The settings that change the answer, as plain data."""
    return {
        name: plain(getattr(settings, name))
        for name, field in type(settings).model_fields.items()
        if RunTime not in field.metadata and not is_secret(field)
    }


def _fields(part: BaseModel, registry: Registry) -> dict[str, Any]:
    """The fields of a part that belong to its identity."""
    return {
        name: _value(getattr(part, name), registry)
        for name, field in type(part).model_fields.items()
        if RunTime not in field.metadata and not is_secret(field)
    }


def _value(value: object, registry: Registry) -> Any:
    """A value of a field as a key has it."""
    if isinstance(value, FilePath):  # by its content: its place does not matter
        return {"sha256": content_sha256(Path(value))}
    if isinstance(value, Component):
        return identity(value, registry)
    if isinstance(value, BaseModel):
        return _fields(value, registry)
    if isinstance(value, tuple | list):
        return [_value(entry, registry) for entry in value]
    if isinstance(value, Mapping):
        return {name: _value(entry, registry) for name, entry in value.items()}
    return value
