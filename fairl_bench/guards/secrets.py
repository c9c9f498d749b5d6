"""Secrets and the user names of URLs, kept out of everything that is written or printed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from fairl_bench.component import Component, PathText, Secret, Settings

MASK = "***"
_LOOKS = re.compile("KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_SHORTEST = 6  # characters of a value of the environment: a shorter one may stand in any text by chance
_FEWEST = 4  # characters of a value that a suite uses
# up to the @ before the path; where a password has slashes, up to the @ behind them
_USER = re.compile(r"(?<=://)(?:[^/?#\s'\"<>]*@|[^/\s:@'\"<>]+:(?!\d+(?:/|$))[^\s'\"<>]*?@)")
_QUERY = re.compile(r"([?&][^=&\s]*(?:key|token|secret|password|signature)[^=&\s]*=)[^&\s'\"<>{}\[\],]+", re.IGNORECASE)
_kept: dict[str, str] = {}


@cache
def looks_secret(name: str) -> bool:
    """True where a variable of this name holds a secret.

    >>> [looks_secret(name) for name in ("MY_TOKEN", "openai_api_key", "FAIRL_DATA")]
    [True, True, False]
    """
    return bool(_LOOKS.search(name))


def keep_secret(value: str, name: str = MASK) -> None:
    """Let `hidden` replace this value by its name from now on."""
    if value.strip():
        _kept[value] = name


def hidden(text: str) -> str:
    """The text without known secrets, and without the user names and passwords of URLs.

    Known are the secrets that a suite has used, and every value of the environment whose name looks like a secret.

    >>> hidden("--store s3://KEY:SE/CRET@bucket/prefix")
    '--store s3://bucket/prefix'
    >>> hidden("https://host:8000/v1?api_key=abc&n=1"), hidden("http://host:80/a@b")
    ('https://host:8000/v1?api_key=***&n=1', 'http://host:80/a@b')
    """
    return _hide(text, _known())


def hidden_in(value: object, *, environment: bool = True) -> Any:
    """The same plain data with every text `hidden`; without ``environment``, only what the suite has used is hidden."""
    return _hide_in(value, _known(environment=environment))


def _hide(text: str, known: Sequence[tuple[str, str]]) -> str:
    """The text without these secrets, and without the user names and passwords of URLs."""
    for value, name in known:
        text = text.replace(value, name)
    return _QUERY.sub(rf"\1{MASK}", _USER.sub("", text))


def _hide_in(value: object, known: Sequence[tuple[str, str]]) -> Any:
    """The same plain data with these secrets hidden in every text."""
    if isinstance(value, str):
        return _hide(value, known)
    if isinstance(value, Mapping):
        return {_hide_in(name, known): _hide_in(entry, known) for name, entry in value.items()}
    return [_hide_in(entry, known) for entry in value] if isinstance(value, list | tuple) else value


def _known(*, environment: bool = True) -> Sequence[tuple[str, str]]:
    """Every known secret in each form that it may have in a text, with its name; the longest first."""
    of_environment = tuple(_environment()) if environment else ()
    return _forms(of_environment, tuple((value, name) for value, name in _kept.items() if len(value) >= _FEWEST))


@lru_cache(maxsize=8)  # every answer that is kept asks
def _forms(of_environment: tuple[tuple[str, str], ...], of_suite: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Secrets in each form that they may have in a text, with their names; the longest first."""
    forms = {
        form: name
        for value, name in {**dict(of_environment), **dict(of_suite)}.items()
        for form in (value, repr(value)[1:-1], json.dumps(value)[1:-1], quote(value, safe=""))
    }
    return sorted(forms.items(), key=lambda entry: -len(entry[0]))


_WORD = 12  # letters: a secret that is made of letters alone is longer than most words


def _environment() -> Iterator[tuple[str, str]]:
    """The values of the environment that are secrets, each with its name."""
    for name in os.environ:
        if not looks_secret(name) or name.startswith("TOKENIZERS_"):
            continue
        if len(value := os.environ.get(name, "")) < _SHORTEST:
            continue
        if value.isdecimal() or (value.isalpha() and len(value) < _WORD):  # MAX_TOKENS=128000, or a word
            continue
        if not (value.startswith("/") and Path(value).exists()):  # the place of a file with a key is no secret
            yield value, f"${{{name}}}"


def is_secret(field: FieldInfo) -> bool:
    """True where a field holds a secret: it is marked `Secret`, or has pydantic's type for secrets."""
    return Secret in field.metadata or "SecretStr" in str(field.annotation)


def shown(value: object, source: object = None) -> Any:
    """Settings as plain data; secrets are replaced by their names in ``source``, the data of the file."""
    return hidden_in(_shown(value, source))


def _shown(value: object, source: object) -> Any:
    """A value as plain data, its secrets under their names in the source."""
    if isinstance(value, Settings):
        return dict(_fields(value, source if isinstance(source, Mapping) else {}))
    if isinstance(value, Mapping):
        return {name: _shown(entry, _at(source, name)) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_shown(entry, _at(source, index)) for index, entry in enumerate(value)]
    if isinstance(value, str):
        return source.written if isinstance(source, PathText) and source.written != source else value
    return value


def _fields(value: Settings, source: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of settings as plain data."""
    if isinstance(value, Component) and not value.named_by_place:
        yield "use", value.use
    for name, field in type(value).model_fields.items():
        entry = getattr(value, name)
        if is_secret(field):
            yield name, _secret(entry, source.get(name))
        elif name == "part" and isinstance(entry, Component):  # its fields stand beside its name
            yield from _fields(entry, source)
        else:
            yield name, _shown(entry, source.get(name))


def _secret(value: object, source: object) -> Any:
    """The name under which a secret is written; None where there is none."""
    if value is None:
        return None
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    name = source.raw if isinstance(source, PathText) and "${" in source.raw else MASK
    keep_secret(text, name)
    return name


def _at(source: Any, step: Any) -> Any:
    """The entry of a source at a step; None where there is none."""
    if isinstance(source, Mapping):
        return source.get(step)
    return source[step] if isinstance(source, list) and step < len(source) else None
