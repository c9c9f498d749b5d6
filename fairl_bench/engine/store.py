"""The table of answers: a folder of artefacts, each under its key, written once, checked on every read.

::

    STORE/ab/ab12…/        one artefact: its files and ``manifest.json`` (kind, file -> SHA-256, facts)
    STORE/tmp/             half-written artefacts, renamed into place when complete
    STORE/scratch/KEY/     checkpoints of unfinished work, gone when it is finished
    STORE/damaged/         artefacts that did not match their checksums, set aside
    STORE/locks/           one lock a key, so that two processes do not do one piece of work twice

What is written is forced to the disk together with what was written within half a second before, and all of it before
a run ends.  A machine that crashes meanwhile has lost no more than that, or left an artefact torn: its checksums, or
those of its manifest, say so when it is read, and it is made again.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from fairl_bench.engine.keys import file_digest
from fairl_bench.errors import DamagedArtefact, DataError, StoreError

MANIFEST = "manifest.json"
AT_RISK = 0.5
"""Seconds of work, at most, that a crash of the machine undoes; thousands of short stages are forced down together."""


def default_store() -> Path:
    """``FAIRL_STORE``, else the user's cache folder."""
    return Path(os.environ.get("FAIRL_STORE") or platformdirs.user_cache_path("fairl-bench") / "store")


class Store:
    """Artefacts by key.  Several processes may share one on a local disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._settled = time.monotonic()
        try:
            for name in ("tmp", "locks"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the store {root} cannot be made: {error.strerror}; name another with --store") from error

    def path(self, key: str) -> Path:
        """Where an artefact lies, or would."""
        return Path(f"{self.root}/{key[:2]}/{key}")

    def has(self, key: str) -> bool:
        """Whether the artefact is finished; its bytes are checked when it is read."""
        return os.path.isfile(f"{self.root}/{key[:2]}/{key}/{MANIFEST}")  # noqa: PTH113  # asked ten times a stage

    def lock(self, key: str) -> FileLock:
        """Held while an artefact is made, so that another process waits for it instead of making it again."""
        return FileLock(self.root / "locks" / key)

    def write(self, key: str, kind: str, save: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
        """Keep an artefact: ``save(folder)`` writes its files; it appears at once and whole, or not at all."""
        folder = self.root / "tmp" / uuid.uuid4().hex
        try:
            folder.mkdir()
            save(folder)
            files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
            text = json.dumps({"kind": kind, "files": files, "facts": dict(facts)}, indent=1)
            (folder / MANIFEST).write_text(text)
            if _syncfs is None:
                for name in (*files, MANIFEST):
                    _force(folder / name)
            place = self.path(key)
            place.parent.mkdir(exist_ok=True)
            if place.exists() and not self.has(key):
                shutil.rmtree(place)
            try:
                folder.rename(place)
            except OSError:
                if not self.has(key):  # if so, another process was first, with the same answer
                    raise
            if _syncfs is None:
                _force(place.parent)
            elif time.monotonic() - self._settled > AT_RISK:
                self._settle(_syncfs)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def settle(self) -> None:
        """Force what was written, by whatever process of this machine, to the disk.  Raises `StoreError`."""
        try:
            if _syncfs is not None:
                self._settle(_syncfs)
        except OSError as error:
            raise self._unwritable(error) from error

    def _settle(self, sync: Callable[[int], int]) -> None:
        handle = os.open(self.root, os.O_RDONLY)
        try:
            if sync(handle):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(handle)
        self._settled = time.monotonic()

    def _unwritable(self, error: OSError) -> StoreError:
        what = f"the store {self.root} cannot be written: {error.strerror or error}"
        return StoreError(f"{what}; make room, or name another with --store")

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
        return self.checked(key)[1]

    def checked(self, key: str) -> tuple[str, Path]:
        """The kind and the folder of a finished artefact, checked as by `read`."""
        folder, manifest = self.path(key), self.manifest(key)
        for name, expected in manifest["files"].items():
            try:
                found = file_digest(folder / name)
            except DataError as error:
                raise DamagedArtefact(key, str(error)) from error
            if found != expected:
                raise DamagedArtefact(key, f"{name} does not match its checksum")
        return str(manifest["kind"]), folder

    def set_aside(self, key: str) -> Path:
        """Move a damaged artefact out of the way, so that it is made again; where it went."""
        place = self.root / "damaged" / f"{key}-{uuid.uuid4().hex[:8]}"
        place.parent.mkdir(exist_ok=True)
        if self.path(key).exists():
            self.path(key).rename(place)
        return place


def _force(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _found_syncfs() -> Callable[[int], int] | None:
    """Linux's call that forces a whole file system at once; None elsewhere: each file is forced by itself."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError, TypeError):
        return None
    return found


_syncfs = _found_syncfs()
