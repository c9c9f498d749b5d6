"""The JSON Schema of a suite, with the fields of every registered part, for editors that complete and check."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from fairl_bench.component import Component
from fairl_bench.kinds import KINDS
from fairl_bench.suite.registry import Registry
from fairl_bench.suite.suite import Suite


def json_schema(registry: Registry) -> dict[str, Any]:
    """The JSON Schema of a suite, of draft 2020-12; a ``${VAR}`` is a text in it, so only free text allows one."""
    definitions: dict[str, Any] = {}
    suite = _taken_in(Suite.model_json_schema(), definitions, "")
    for kind in KINDS:
        if not KINDS[kind].named_by_place:
            for named in (False, True):
                definitions[_name(kind, named=named)] = _any_part(kind, registry, definitions, named=named)
    suite["properties"]["report"] = _report(suite["properties"]["report"], registry, definitions)
    suite["properties"]["extends"] = {"type": "string", "description": "a suite whose top-level keys are taken over"}
    # what a suite lacks, the one it extends may have
    suite["required"] = ["name"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fairl-bench suite",
        **{key: value for key, value in suite.items() if key != "title"},
        "$defs": definitions,
    }


def _any_part(kind: str, registry: Registry, definitions: dict[str, Any], *, named: bool) -> dict[str, Any]:
    """The schema of a part of a kind: its ``use`` decides which fields it has."""
    return {
        "type": "object",
        "required": ["use", "name"] if named else ["use"],
        "properties": {"use": {"enum": list(registry.names(kind)), "description": KINDS[kind].help()}},
        "allOf": [_part(kind, name, registry, definitions, named=named) for name in registry.names(kind)],
    }


def _report(section: dict[str, Any], registry: Registry, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a report: its tables by name, each with its settings."""
    tables = {}
    for name in registry.in_order("table"):
        schema = _taken_in(registry.find("table", name).model_json_schema(), definitions, f"table {name} ")
        settings = {
            "type": ["object", "null"],
            "description": schema.get("description", ""),
            "properties": schema["properties"],
            "required": schema.get("required", []),
            "additionalProperties": False,
        }
        tables[name] = settings
    described = {"description": section["description"]} if "description" in section else {}
    return {**described, "type": "object", "properties": tables, "additionalProperties": False}


def _part(kind: str, name: str, registry: Registry, definitions: dict[str, Any], *, named: bool) -> dict[str, Any]:
    """The condition: if ``use`` is this name, these are the fields."""
    schema = _taken_in(registry.find(kind, name).model_json_schema(), definitions, f"{kind} {name} ")
    properties = {"use": {"const": name}, **({"name": {"type": "string"}} if named else {}), **schema["properties"]}
    then = {
        "description": schema.get("description", ""),
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }
    return {"if": {"properties": {"use": {"const": name}}, "required": ["use"]}, "then": then}


def _taken_in(schema: dict[str, Any], definitions: dict[str, Any], owner: str) -> dict[str, Any]:
    """A schema whose definitions are moved to the others, under the name of its owner; those of kinds are left out."""
    for name, definition in schema.pop("$defs", {}).items():
        if not _kind(name) and not name.startswith("Named_"):
            definitions[owner + name] = _pointed(definition, owner)
    pointed: dict[str, Any] = _pointed(schema, owner)
    pointed.setdefault("properties", {})
    return pointed


def _pointed(value: object, owner: str) -> Any:
    """The schema with every reference to a kind leading to the parts of the kind, and others to those of the owner."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            target = value["$ref"].rpartition("/")[2]
            named = target.startswith("Named_")
            kind = _kind(target.removeprefix("Named_").removesuffix("_") if named else target)
            return {**value, "$ref": f"#/$defs/{_name(kind, named=named) if kind else owner + target}"}
        return {key: _pointed(entry, owner) for key, entry in value.items()}
    return [_pointed(entry, owner) for entry in value] if isinstance(value, list) else value


def _kind(name: str) -> str | None:
    """The kind that a class of this name stands for: a kind itself, or an abstract class below one."""
    return next(
        (kind for kind, base in KINDS.items() if any(name == abstract.__name__ for abstract in _abstract(base))), None
    )


def _abstract(base: type[Component]) -> Iterator[type[Component]]:
    """The abstract classes below a class, with itself."""
    if inspect.isabstract(base):
        yield base
        for below in base.__subclasses__():
            yield from _abstract(below)


def _name(kind: str, *, named: bool) -> str:
    """The name of a kind's definition; ``named`` where its entries have a name of their own."""
    return f"{'named-' if named else ''}{kind}"


def fields(part: type[Component]) -> list[tuple[str, str, str, str]]:
    """Each field of a part as text: name, type with bounds, default, description."""
    schema = part.model_json_schema()
    definitions = schema.get("$defs", {})
    required = schema.get("required", [])
    return [
        (
            name,
            _type(schema_of_field, definitions),
            "required" if name in required else _default(schema_of_field),
            schema_of_field.get("description", ""),
        )
        # what every part of a kind has for its run alone goes last
        for name, schema_of_field in sorted(
            schema.get("properties", {}).items(), key=lambda field: field[0] == "resources"
        )
    ]


def _default(schema: dict[str, Any]) -> str:
    """The default of a field as text, as a suite would write it."""
    default = schema.get("default")
    return "none" if default is None else _written(default)


def _written(value: Any) -> str:
    """A plain value on one line of YAML.

    >>> _written({"use": "linear", "sizes": [1, 2], "fast": True, "of": None})
    '{use: linear, sizes: [1, 2], fast: true, of: null}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_written(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return (
        {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)
    )


_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """The type of a field as text, with its bounds."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if kind := _kind(name):
            return kind
        inner = definitions.get(name, {})
        needed = inner.get("required", ())
        return "{" + ", ".join(sorted(inner.get("properties", {}), key=lambda option: option not in needed)) + "}"
    if either := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_type(option, definitions) for option in either)
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), definitions) or 'values'}"
    bounds = " ".join(f"{sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema)
    return f"{schema.get('type', '')} {bounds}".strip()
