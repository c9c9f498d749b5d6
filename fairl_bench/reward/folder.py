"""A recovered reward in a folder of its own: what lies there, and the reward again.

::

    reward.json           `About`: where it comes from, and what it must not be used without
    reward.safetensors    what the method learnt
    corpus.parquet        the training texts, where the encoder learns from them

A reward means nothing on the vectors of another encoder, so the folder carries the identity of its own and is refused
with any other.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from fairl_bench.component import Component, FilePath, RunTime, Settings, plain, tuples
from fairl_bench.digests import file_digest, folder_files
from fairl_bench.errors import DataError, FairlError, PluginError, UnknownName
from fairl_bench.kinds import Encoder, Method
from fairl_bench.reward.files import (
    MOST_ARRAYS,
    MOST_TEXT,
    checked,
    files_of,
    read_arrays,
    read_corpus,
    read_told,
    refuse_endless,
)
from fairl_bench.reward.function import RecoveredReward
from fairl_bench.training import Reward
from fairl_bench.untrusted import is_digest

FILE: Final = "reward.json"
ARRAYS: Final = "reward.safetensors"
CORPUS: Final = "corpus.parquet"
FORMAT: Final = 1
"""Raised when a file of today could be misread by the code of yesterday."""

Find = Callable[[str, str], type[Component]]
"""The class of a part by kind and name."""


def _named(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(spec.get("use"), str):
        raise ValueError(f"needs a 'use' with the name of a part, got {spec.get('use')!r:.60}")
    return spec


def _digest(value: str) -> str:
    if not is_digest(value):
        raise ValueError(f"{value!r:.60} is no SHA-256")
    return value


def _its_own(files: Mapping[str, str]) -> Mapping[str, str]:
    if other := sorted(files.keys() - {ARRAYS, CORPUS}):
        raise ValueError(f"names a file {other[0]!r:.60}, and a reward has {ARRAYS!r} and {CORPUS!r} alone")
    if ARRAYS not in files:
        raise ValueError(f"names no file {ARRAYS!r}, which holds what the method learnt")
    return files


Digest = Annotated[str, AfterValidator(_digest)]


class Made(Settings):
    """A part: the spec that builds it again, and what its answer depends on."""

    spec: Annotated[Mapping[str, Any], AfterValidator(_named)]
    identity: Mapping[str, Any]


class Start(Settings):
    """The language model that an encoder starts from: where it lies, and the digest of its files."""

    place: str
    sha256: Digest


class FromPlugin(Settings):
    """A plugin that parts come from: a drop-in by its file's digest, an installed one by its version."""

    name: str
    version: str
    sha256: Digest | None
    parts: tuple[tuple[str, str], ...]  # kind, name


class About(Settings):
    """What ``reward.json`` says."""

    format: Literal[1]
    signature: str
    cell: Mapping[str, str | int | None]
    embed: Literal["completion", "prompt+completion"]
    head: Mapping[str, Any]
    method: Made
    encoder: Made | None  # none: the method reads no vectors
    upstream: Mapping[str, Start]
    plugins: tuple[FromPlugin, ...]
    files: Annotated[Mapping[str, Digest], AfterValidator(_its_own)]  # by name
    facts: Mapping[str, Any]
    packages: Mapping[str, str]

    def fingerprint(self) -> str:
        """One SHA-256 over all that its values depend on, wherever it lies."""
        told = [
            self.embed,
            self.method.identity,
            self.encoder and self.encoder.identity,
            {role: start.sha256 for role, start in self.upstream.items()},
            [plugin.sha256 or f"{plugin.name} {plugin.version}" for plugin in self.plugins],
            self.files,
        ]
        return hashlib.sha256(json.dumps(plain(told), sort_keys=True).encode()).hexdigest()


def about(folder: Path) -> About:
    """What a reward's folder says of it.  Raises `DataError` for a folder that is none."""
    try:
        return About.model_validate(read_told(folder / FILE))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{folder} holds no saved reward: {_near(folder)}") from error
    except OSError as error:
        raise DataError(f"{folder / FILE} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join([*map(str, first["loc"]), ""])[:100]
        told = f"{what.removesuffix('.')}: {first['msg']:.200}".removeprefix(": ")
        raise DataError(f"{folder / FILE} is of another version of fairl-bench: {told}") from error
    except ValueError as error:
        raise DataError(f"{folder / FILE} is damaged: {error}") from error


def _near(folder: Path) -> str:
    """Where there are rewards instead."""
    shelves = (folder / "rewards", folder, folder.parent)
    found = [str(path.parent) for shelf in shelves for path in sorted(shelf.glob(f"[!.]*/{FILE}"))]
    return f"name one such as {found[0]}" if found else "a run writes them to RESULTS/rewards/, one for each cell"


def read_reward(
    folder: Path, find: Find, *, encoder: Mapping[str, Any] | None = None, upstream: Mapping[str, str] | None = None
) -> RecoveredReward:
    """The reward of a folder, with the classes that ``find`` knows.

    ``encoder`` has fields of the encoder that differ here, such as the folder of its weights; ``upstream`` the folder
    of the language model it starts from, by role.  Raises `DataError` where either is not the one that the reward was
    fitted on, and `PluginError` for a plugin that is missing or another one.
    """
    told = about(folder)
    for plugin in told.plugins:
        _check_plugin(folder, plugin, find)
    for name, expected in told.files.items():
        checked(folder / name, expected, MOST_ARRAYS if name == ARRAYS else MOST_TEXT)
    method = _built(folder, Method, told.method, find, {})
    reading = None if told.encoder is None else _built(folder, Encoder, told.encoder, find, encoder or {})
    _refuse_parts(folder, told, method, reading)
    return RecoveredReward(
        method,
        reading,
        Reward(read_arrays(folder / ARRAYS), facts=told.facts),
        told.embed,
        read_corpus(folder / CORPUS) if CORPUS in told.files else (),
        {role: _start(folder, role, start, upstream or {}) for role, start in told.upstream.items()},
        folder.resolve().name,
    )


def _refuse_parts(folder: Path, told: About, method: Method, encoder: Encoder | None) -> None:
    """Refuse a reward whose parts ask for something that it does not hold."""
    if encoder is None and method.reads_vectors:
        raise DataError(f"{folder}: its method {method.use!r} reads vectors, and it names no encoder; copy it again")
    if encoder is not None and encoder.fitted and CORPUS not in told.files:
        raise DataError(f"{folder}: its encoder {encoder.use!r} learns from training texts, and it holds none")
    roles = set(encoder.upstream()) if encoder is not None else set()
    if roles != told.upstream.keys():
        named, needs = (", ".join(sorted(one)) or "nothing" for one in (told.upstream.keys(), roles))
        raise DataError(f"{folder}: its encoder starts from {needs}, and it names {named!r:.100}; copy it again")


def _check_plugin(folder: Path, plugin: FromPlugin, find: Find) -> None:
    named = plugin.name if plugin.sha256 is None else f"{plugin.name} (SHA-256 {plugin.sha256[:12]}…)"
    for kind, use in plugin.parts:
        try:
            part = find(kind, use)
        except UnknownName as error:
            how = "install it" if plugin.sha256 is None else f"name it with plugins=[{plugin.name!r}], or --plugin"
            raise PluginError(f"{folder}: the {kind} {use!r} of this reward is of plugin {named}; {how}") from error
        if plugin.sha256 is not None and (found := source(part)) != plugin.sha256:
            raise PluginError(
                f"{folder}: the {kind} {use!r} of this reward is of plugin {named}, and the one here has SHA-256 "
                f"{found[:12]}…; name the file that it was recovered with"
            )


P = TypeVar("P", Method, Encoder)


def _built(folder: Path, kind: type[P], made: Made, find: Find, changed: Mapping[str, Any]) -> P:
    """The part of a reward, refused where it is not what it was."""
    spec = {**made.spec, **{name: _placed(value) for name, value in changed.items()}}
    try:
        refuse_endless(spec)
        part = kind.model_validate(tuples(spec), context={"find": find})
        now = plain(identity(part))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{folder}: its {kind.kind} cannot be built: {first['msg']}") from error
    except Exception as error:  # what a part does with a stranger's fields is its own affair
        said = str(error) if isinstance(error, FairlError | OSError) else f"{type(error).__name__}: {error}"
        raise DataError(f"{folder}: its {kind.kind} {made.spec['use']!r} cannot be had here: {said}") from error
    other = difference(plain(made.identity), now)
    if other is not None:
        raise DataError(
            f"{folder}: the reward was fitted with {kind.kind} {made.spec['use']!r} of {other.name} {other.before}, "
            f"and here it is {other.now}; a reward holds for its own {kind.kind} alone"
        )
    return part


def _placed(value: Any) -> Any:
    return str(Path(value).resolve()) if isinstance(value, str) and _lies_there(value) else value


def _lies_there(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):  # no path at all
        return False


def _start(folder: Path, role: str, start: Start, moved: Mapping[str, str]) -> Path:
    """The folder of a language model.  Raises `DataError` where it is gone or another one."""
    place = Path(moved.get(role, start.place))
    if not place.is_dir():
        raise DataError(
            f"{folder}: its encoder starts from the language model in {place}, which is gone; say where it lies now "
            f"with upstream={{{role!r}: FOLDER}}, or --upstream {role}=FOLDER"
        )
    if (found := folder_sha256(place)) != start.sha256:
        raise DataError(
            f"{folder}: its encoder starts from a language model of SHA-256 {start.sha256[:12]}…, and the one in "
            f"{place} has {found[:12]}…; a reward holds for its own encoder alone"
        )
    return place


# --- what an answer depends on


def identity(part: Component) -> dict[str, Any]:
    """What a part's answer depends on, whatever machine it is on: its fields, and what it reads.

    A file or folder counts by its content.  What the part starts from is left out: that has a digest of its own.
    """
    return {"use": part.use, "fields": _fields(part, tuple(part.upstream().values())), "reads": dict(part.reads())}


def _fields(settings: BaseModel, without: tuple[Settings, ...]) -> dict[str, Any]:
    return {
        name: _value(getattr(settings, name), without)
        for name, field in type(settings).model_fields.items()
        if RunTime not in field.metadata
    }


def _value(value: Any, without: tuple[Settings, ...]) -> Any:
    if isinstance(value, FilePath):
        return {"sha256": file_digest(Path(value))}
    if isinstance(value, str) and Path(value).is_absolute() and _lies_there(value):
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
    """Where two identities part."""

    name: str
    before: str
    now: str


def difference(before: Any, now: Any, name: str = "") -> Difference | None:
    """The first place where two values differ; None where they are equal.

    >>> difference({"reads": {"weights": "abc"}}, {"reads": {"weights": "def"}})
    Difference(name='reads.weights', before="'abc'", now="'def'")
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            inner = f"{name}.{key}" if name else key
            found = difference(before.get(key), now.get(key), inner)
            if found:
                return found
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
    told = sorted((name, digest) for name, digest in digests.items() if name != "manifest.json")
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
