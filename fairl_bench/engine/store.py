"""The table of answers: a folder of artefacts, each under its key, written once, checked on every read.

::

    STORE/ab/ab12…/        one artefact: its files and ``manifest.json`` (kind, file -> SHA-256, facts)
    STORE/tmp/             half-written artefacts, renamed into place when complete
    STORE/scratch/KEY/     checkpoints of unfinished work, gone when it is finished
    STORE/damaged/         artefacts that did not match their checksums, set aside
    STORE/locks/           one lock a key, so that two processes do not do one piece of work twice
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from fairl_bench.engine.keys import file_digest
from fairl_bench.errors import DamagedArtefact, DataError, StoreError

MANIFEST = "manifest.json"


def default_store() -> Path:
    """``FAIRL_STORE``, else the user's cache folder."""
    return Path(os.environ.get("FAIRL_STORE") or platformdirs.user_cache_path("fairl-bench") / "store")


class Store:
    """Artefacts by key.  Several processes may share one on a local disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            for name in ("tmp", "locks"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the store {root} cannot be made: {error.strerror}; name another with --store") from error

    def path(self, key: str) -> Path:
        """Where an artefact lies, or would."""
        return self.root / key[:2] / key

    def has(self, key: str) -> bool:
        """Whether the artefact is finished; its bytes are checked when it is read."""
        return (self.path(key) / MANIFEST).is_file()

    def lock(self, key: str) -> FileLock:
        """Held while an artefact is made, so that another process waits for it instead of making it again."""
        return FileLock(self.root / "locks" / key)

    def write(self, key: str, kind: str, save: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
        """Keep an artefact: ``save(folder)`` writes its files; it appears at once and whole, or not at all."""
        folder = self.root / "tmp" / uuid.uuid4().hex
        try:
            folder.mkdir()
            save(folder)
            files = {path.name: _settle(path) for path in sorted(folder.iterdir())}
            manifest = folder / MANIFEST
            manifest.write_text(json.dumps({"kind": kind, "files": files, "facts": dict(facts)}, indent=1))
            _settle(manifest)
            place = self.path(key)
            place.parent.mkdir(exist_ok=True)
            if place.exists() and not self.has(key):
                shutil.rmtree(place)
            try:
                folder.rename(place)
            except OSError:
                if not self.has(key):  # if so, another process was first, with the same answer
                    raise
            _sync_folder(place.parent)
        except OSError as error:
            raise StoreError(
                f"the store {self.root} cannot be written: {error.strerror or error}; make room, or name another with "
                "--store"
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def scratch(self, key: str) -> Path:
        """Where the unfinished work of an artefact keeps its checkpoints."""
        folder = self.root / "scratch" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear(self, key: str) -> None:
        """Forget the checkpoints of work that is finished."""
        shutil.rmtree(self.root / "scratch" / key, ignore_errors=True)

    def manifest(self, key: str) -> dict[str, Any]:
        """The kind, files and facts of an artefact.  Raises `DamagedArtefact`."""
        try:
            found: dict[str, Any] = json.loads((self.path(key) / MANIFEST).read_text())
            if not isinstance(found, dict) or not {"kind", "files", "facts"} <= found.keys():
                raise DamagedArtefact(key, "its manifest lacks fields")
        except (OSError, ValueError) as error:
            raise DamagedArtefact(key, f"its manifest cannot be read: {error}") from error
        return found

    def read(self, key: str) -> Path:
        """The folder of a finished artefact, every file checked against its checksum.  Raises `DamagedArtefact`."""
        folder = self.path(key)
        for name, expected in self.manifest(key)["files"].items():
            try:
                found = file_digest(folder / name)
            except DataError as error:
                raise DamagedArtefact(key, str(error)) from error
            if found != expected:
                raise DamagedArtefact(key, f"{name} does not match its checksum")
        return folder

    def set_aside(self, key: str) -> Path:
        """Move a damaged artefact out of the way, so that it is made again; where it went."""
        place = self.root / "damaged" / f"{key}-{uuid.uuid4().hex[:8]}"
        place.parent.mkdir(exist_ok=True)
        if self.path(key).exists():
            self.path(key).rename(place)
        return place


def _settle(path: Path) -> str:
    """Force a file to the disk; its checksum."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return file_digest(path)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
