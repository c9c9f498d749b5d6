"""What the answer of a part depends on, so that a reward is refused with any other part than its own."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from fairl_bench.component import Component, FilePath, RunTime, Settings
from fairl_bench.digests import content_sha256, file_digest, folder_files
from fairl_bench.kinds.lm import AskLikelihoods
from fairl_bench.reward.files import files_of


def identity(part: Component) -> dict[str, object]:
    """What a part's answer depends on, whatever machine it is on: its fields, and what it reads.

    A file or folder counts by its content.  What the part starts from is left out: that has a digest of its own.
    """
    starts = part.upstream().values()
    without = tuple(start.lm if isinstance(start, AskLikelihoods) else start for start in starts)
    return {"use": part.use, "fields": _fields(part, without), "reads": dict(part.reads())}


def _fields(settings: BaseModel, without: tuple[Settings, ...]) -> dict[str, object]:
    return {
        name: _value(getattr(settings, name), without)
        for name, field in type(settings).model_fields.items()
        if RunTime not in field.metadata
    }


def _value(value: object, without: tuple[Settings, ...]) -> object:
    if isinstance(value, FilePath):
        return {"sha256": content_sha256(Path(value))}
    if isinstance(value, str) and Path(value).is_absolute() and lies_there(value):
        return {"place": "elsewhere"}  # its content is what the part `reads`
    if isinstance(value, Settings) and value in without:
        return {"upstream": type(value).__name__}
    if isinstance(value, Component):
        return identity(value)
    if isinstance(value, BaseModel):
        return _fields(value, without)
    if isinstance(value, tuple | list):
        return [_value(entry, without) for entry in value]
    if isinstance(value, Mapping):
        return {name: _value(entry, without) for name, entry in value.items()}
    return value


class Difference(NamedTuple):
    """The place where two identities differ, and its value in each."""

    name: str
    before: str
    now: str


def difference(before: object, now: object, name: str = "") -> Difference | None:
    """The first place where two values differ; None where they are equal.

    >>> difference({"reads": {"weights": "abc"}}, {"reads": {"weights": "def"}})
    Difference(name='reads.weights', before="'abc'", now="'def'")
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{name}.{key}" if name else key
            first = difference(before.get(key), now.get(key), inner)
            if first:
                return first
        return None
    return None if before == now else Difference(name, f"{before!r:.40}", f"{now!r:.40}")


def source(part: type[Component]) -> str:
    """The SHA-256 of the file that a part's class stands in."""
    return file_digest(Path(sys.modules[part.__module__].__file__ or ""))


def folder_sha256(folder: Path, known: Mapping[str, str] | None = None) -> str:
    """One SHA-256 over the names and contents of a folder's files; ``known`` are digests that need no reading."""
    if not known:
        files_of(folder)  # more than a model has are refused
    digests = known or {name: "" if path.is_dir() else file_digest(path) for name, path in folder_files(folder)}
    # a store's manifest says when a model was made, not what it is
    listed = sorted((name, digest) for name, digest in digests.items() if name != "manifest.json")
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def lies_there(value: str) -> bool:
    """Whether a text is the path of something that is there."""
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # no path at all
        return False
