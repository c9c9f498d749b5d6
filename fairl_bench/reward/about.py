"""What the folder of a recovered reward says of it: which cell it is of, its parts, and what these depend on.

::

    reward.json           `About`: where it comes from, and what it must not be used without
    reward.safetensors    what the method learnt
    corpus.parquet        the training texts, where the encoder learns from them
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ValidationError

from fairl_bench.component import Settings, plain
from fairl_bench.errors import DataError
from fairl_bench.guards.untrusted import is_digest
from fairl_bench.reward.files import read_json

FILE: Final = "reward.json"
ARRAYS: Final = "reward.safetensors"
CORPUS: Final = "corpus.parquet"
FORMAT: Final = 1
"""Raised when a file of today could be misread by the code of yesterday."""


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
    """A language model that an encoder starts from or a method reads: where it lies, and the digest of its files."""

    place: str
    sha256: Digest


class Served(Settings):
    """A language model without files, such as one behind a server: what its answers depend on.  It is asked again."""

    identity: Mapping[str, Any]


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
    upstream: Mapping[str, Start | Served]  # by role; those of the method are "method/ROLE"
    plugins: tuple[FromPlugin, ...]
    files: Annotated[Mapping[str, Digest], AfterValidator(_its_own)]  # by name
    facts: Mapping[str, Any]
    packages: Mapping[str, str]

    def fingerprint(self) -> str:
        """One SHA-256 over all that its values depend on, wherever it lies."""
        described = [
            self.embed,
            self.method.identity,
            self.encoder and self.encoder.identity,
            {
                role: start.sha256 if isinstance(start, Start) else start.identity
                for role, start in self.upstream.items()
            },
            [plugin.sha256 or f"{plugin.name} {plugin.version}" for plugin in self.plugins],
            self.files,
        ]
        return hashlib.sha256(json.dumps(plain(described), sort_keys=True).encode()).hexdigest()


def read_about(folder: Path) -> About:
    """What a reward's folder says of it.  Raises `DataError` for a folder that is none."""
    try:
        return About.model_validate(read_json(folder / FILE))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{folder} holds no saved reward: {_near(folder)}") from error
    except OSError as error:
        raise DataError(f"{folder / FILE} cannot be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        what = ".".join([*map(str, first["loc"]), ""])[:100]
        described = f"{what.removesuffix('.')}: {first['msg']:.200}".removeprefix(": ")
        raise DataError(f"{folder / FILE} is of another version of fairl-bench: {described}") from error
    except ValueError as error:
        raise DataError(f"{folder / FILE} is damaged: {error}") from error


def _near(folder: Path) -> str:
    """A hint at rewards near a folder that is none."""
    shelves = (folder / "rewards", folder, folder.parent)
    rewards = [str(path.parent) for shelf in shelves for path in sorted(shelf.glob(f"[!.]*/{FILE}"))]
    return f"name one such as {rewards[0]}" if rewards else "a run writes them to RESULTS/rewards/, one for each cell"
