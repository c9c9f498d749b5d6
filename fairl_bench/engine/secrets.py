"""What must stand in nothing that is written or printed: the values of secrets, and the users of URLs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from fairl_bench.component import Component, PathText, Secret, Settings

MASK = "***"
_LOOKS = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_SHORTEST = 6  # of the environment's values: "true" in a TOKENIZERS_... is no secret, and a word of every text
# up to the last @ before the path; or, where a password has slashes, up to the last @ of all
_USER = re.compile(r"(?<=://)(?:[^/\s:@'\"<>]+:(?!\d+(?:/|$))[^\s'\"<>]*|[^/\s'\"<>]*)@")
_QUERY = re.compile(r"([?&][^=&\s]*(?:key|token|secret|password|signature)[^=&\s]*=)[^&\s'\"<>]+", re.IGNORECASE)
_kept: dict[str, str] = {}


def looks_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret.

    >>> [looks_secret(name) for name in ("MY_TOKEN", "openai_api_key", "FAIRL_DATA")]
    [True, True, False]
    """
    return bool(_LOOKS.search(name))


def keep_secret(value: str, name: str = MASK) -> None:
    """Have `hidden` write a value by its name from now on."""
    if value.strip():
        _kept[value] = name


def hidden(text: str) -> str:
    """The text without the secrets that are known, and without the users and passwords of URLs.

    Known are those that a suite has used, and every value of the environment whose name looks like one.

    >>> hidden("--store s3://KEY:SE/CRET@bucket/prefix")
    '--store s3://bucket/prefix'
    >>> hidden("https://host:8000/v1?api_key=abc&n=1"), hidden("http://host:80/a@b")
    ('https://host:8000/v1?api_key=***&n=1', 'http://host:80/a@b')
    """
    for value, name in _known():
        text = text.replace(value, name)
    return _QUERY.sub(rf"\1{MASK}", _USER.sub("", text))


def _known() -> list[tuple[str, str]]:
    """Each secret in the ways in which a text may hold it, with its name; the longest first."""
    found = {
        value: f"${{{name}}}"
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and looks_secret(name) and not name.startswith("TOKENIZERS_")
    }
    spelt = {
        form: name
        for value, name in {**found, **_kept}.items()
        for form in (value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe=""))
    }
    return sorted(spelt.items(), key=lambda one: -len(one[0]))


def hidden_in(value: Any) -> Any:
    """The same plain data with every text `hidden`."""
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, Mapping):
        return {name if not isinstance(name, str) else hidden(name): hidden_in(entry) for name, entry in value.items()}
    return [hidden_in(entry) for entry in value] if isinstance(value, list | tuple) else value


def is_secret(field: FieldInfo) -> bool:
    """Whether a field holds a secret: it is marked as one, or of pydantic's type for them."""
    return Secret in field.metadata or "SecretStr" in str(field.annotation)


def shown(value: Any, source: Any = None) -> Any:
    """Settings as plain data without their secrets, which stand by the names that ``source`` (the file's data) has."""
    if isinstance(value, Settings):
        return dict(_fields(value, source if isinstance(source, Mapping) else {}))
    if isinstance(value, Mapping):
        return {name: shown(entry, _at(source, name)) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [shown(entry, _at(source, index)) for index, entry in enumerate(value)]
    if isinstance(value, str):
        if isinstance(source, PathText) and source.written != source:
            return hidden(source.written)
        return hidden(value)
    return value


def _fields(value: Settings, source: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Component):
        yield "use", value.use
    for name, field in type(value).model_fields.items():
        found = getattr(value, name)
        if is_secret(field):
            yield name, _secret(found, source.get(name))
        elif name == "part" and isinstance(found, Component):  # its fields stand beside its name
            yield from _fields(found, source)
        else:
            yield name, shown(found, source.get(name))


def _secret(value: Any, source: Any) -> Any:
    """The name under which a secret is written; None where there is none."""
    if value is None:
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    name = source.raw if isinstance(source, PathText) and "${" in source.raw else MASK
    keep_secret(text, name)
    return name


def _at(source: Any, step: Any) -> Any:
    if isinstance(source, Mapping):
        return source.get(step)
    return source[step] if isinstance(source, list) and step < len(source) else None
