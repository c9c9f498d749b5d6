"""The manifest of an artefact: its kind, its files with their checksums, facts about it, and a checksum of it all.

::

    {
     "kind": "reward",
     "files": {"history.json": "<SHA-256>", "reward.safetensors": "<SHA-256>"},
     "facts": {"title": "…", "seconds": 1.5},
     "sha256": "<SHA-256 of the key and of every byte above>"
    }

The last line covers the key too, so that a manifest in the place of another is refused.  Manifests of earlier versions
have no such line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from fairl_bench.errors import DamagedArtefact
from fairl_bench.guards.untrusted import is_digest, is_name

MANIFEST: Final = "manifest.json"
MOST_BYTES: Final = 64 * 2**20
"""A longer file is no manifest."""

_MARK = b',\n "sha256": "'  # no other line begins like this: inside a text, quotes and line ends have a backslash
_AGES = 1e12  # seconds: the time of a stage must be less, and not NaN
_FIELDS = {"kind", "files", "facts"}
_SEAL = "sha256"
_PLACE = "place"
_ID = re.compile(r"[0-9a-f]{32}")


def manifest_text(key: str, manifest: Mapping[str, Any]) -> str:
    """The text of a manifest: kind, files, facts, in an object store the place of its files, and its checksum."""
    content = {name: value for name, value in manifest.items() if name != _SEAL}
    body = json.dumps(content, indent=1).removesuffix("\n}")
    return f'{body}{_MARK.decode()}{_checksum(key, body.encode())}"\n}}'


def is_sealed(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest that was read has a checksum of its own."""
    return _SEAL in manifest


def parse_manifest(key: str, text: bytes) -> dict[str, Any]:
    """The content of a manifest, checked against its checksum and its key.  Raises `DamagedArtefact`."""
    body, mark, end = text.rpartition(_MARK)
    if mark and end != f'{_checksum(key, body)}"\n}}'.encode():
        raise DamagedArtefact(key, "its manifest does not match its checksum")
    try:
        manifest: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedArtefact(key, f"its manifest cannot be read: {error}") from error
    if not isinstance(manifest, dict) or not manifest.keys() >= _FIELDS:
        raise DamagedArtefact(key, "its manifest lacks fields")
    if wrong := _wrong(key, manifest):
        raise DamagedArtefact(key, f"its manifest {wrong}")
    return manifest


def _checksum(key: str, body: bytes) -> str:
    return hashlib.sha256(key.encode() + b"\n" + body).hexdigest()


def _wrong(key: str, manifest: Mapping[str, Any]) -> str:
    """What is impossible in a manifest; empty where nothing is.  Everybody who may write to a store can write one."""
    if more := sorted(manifest.keys() - _FIELDS - {_PLACE, _SEAL}):
        return f"has a field {more[0]!r:.60}"
    if not is_name(manifest["kind"]):
        return f"has no kind, but {manifest['kind']!r:.60}"
    if not isinstance(manifest["files"], dict) or not isinstance(manifest["facts"], dict):
        return "needs its files and its facts by name"
    for name, expected in manifest["files"].items():
        if not is_name(name) or name == MANIFEST:
            return f"names a file {name!r:.60}, and a file of an artefact has a name without a folder"
        if not is_digest(expected):
            return f"has no SHA-256 of {name!r:.60}, but {expected!r:.60}"
    if _PLACE in manifest and not _is_place(key, manifest[_PLACE]):
        return f"says that its files lie in {manifest[_PLACE]!r:.60}, which is no place of this artefact"
    return _wrong_facts(manifest["facts"])


def _wrong_facts(facts: Mapping[str, Any]) -> str:
    if not isinstance(facts.get("title", ""), str):
        return f"has a title that is no text: {facts['title']!r:.60}"
    seconds = facts.get("seconds", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) < _AGES:
        return f"has seconds that are no number: {seconds!r:.60}"
    return ""


def _is_place(key: str, place: object) -> bool:
    """Whether a place is one that an object store gives the files of this artefact: ``files/KEY/ID``."""
    start = f"files/{key}/"
    return isinstance(place, str) and place.startswith(start) and _ID.fullmatch(place, len(start)) is not None
