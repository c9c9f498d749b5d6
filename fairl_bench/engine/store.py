"""The table of answers: artefacts, each under its key, written once, checked on every read; here those of a folder.

::

    STORE/ab/ab12…/        one artefact: its files and ``manifest.json`` (kind, file -> SHA-256, facts)
    STORE/tmp/             half-written artefacts, renamed into place when complete; each has a lock while it is written
    STORE/scratch/KEY/     checkpoints of unfinished work, gone when it is finished
    STORE/damaged/         artefacts that did not match their checksums, set aside
    STORE/locks/           one lock a key, so that two processes do not do one piece of work twice
    STORE/runs/            what runs now, and the keys that it uses

What is written is forced to the disk together with what was written within half a second before, and all of it before
a run ends.  A machine that crashes meanwhile has lost no more than that, or left an artefact torn: its checksums, or
those of its manifest, say so when it is read, and it is made again.

`fairl_bench.engine.objects` keeps the same table in an object store.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs
from filelock import FileLock, Timeout

from fairl_bench.digests import file_digest
from fairl_bench.engine.room import refusal
from fairl_bench.engine.running import Running, Runs
from fairl_bench.errors import DamagedArtefact, DataError, StoreError
from fairl_bench.progress import report

MANIFEST = "manifest.json"
AT_RISK = 0.5
"""Seconds of work, at most, that a crash of the machine undoes; thousands of short stages are forced down together."""


def default_store() -> str:
    """``FAIRL_STORE``, else a folder in the user's cache."""
    return os.environ.get("FAIRL_STORE") or str(platformdirs.user_cache_path("fairl-bench") / "store")


def open_store(place: str | Path) -> Store:
    """The store in a folder, or behind a URL that fsspec knows: ``s3://bucket/prefix``; ``file://`` is a folder.

    Raises `StoreError` for one that cannot be used, and `MissingExtra` where the URL needs a package.
    """
    scheme, mark, rest = str(place).partition("://")
    if not mark:
        return Store(Path(place))
    if scheme == "file":
        return Store(Path(rest))
    from fairl_bench.engine.objects import ObjectStore  # not for a folder: fsspec takes a moment

    return ObjectStore(str(place))


class Size(NamedTuple):
    """How large something is, and when it was made (seconds since 1970)."""

    bytes: int
    made: float


class Store:
    """Artefacts by key in a folder that several processes may share.  What is promised where: ``docs/store.md``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._settled = time.monotonic()
        self.place = str(root.absolute())
        """What `open_store` takes, also in another process."""
        try:
            for name in ("tmp", "locks", "runs"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the store {root} cannot be made: {error.strerror}; name another with --store") from error
        self.runs = Runs(root / "runs")

    # --- one artefact

    def path(self, key: str) -> Path:
        """Where an artefact lies, or would."""
        return Path(f"{self.root}/{key[:2]}/{key}")

    def has(self, key: str) -> bool:
        """Whether the artefact is finished; its bytes are checked when it is read."""
        return os.path.isfile(f"{self.root}/{key[:2]}/{key}/{MANIFEST}")  # noqa: PTH113  # asked ten times a stage

    def write(self, key: str, kind: str, save: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
        """Keep an artefact: ``save(folder)`` writes its files; it appears at once and whole, or not at all."""
        with self.told(), self.half() as folder:
            save(folder)
            files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
            text = json.dumps({"kind": kind, "files": files, "facts": dict(facts)}, indent=1)
            (folder / MANIFEST).write_text(text)
            if _syncfs is None:
                for name in (*files, MANIFEST):
                    _force(folder / name)
            self.keep(key, folder)

    def keep(self, key: str, folder: Path) -> None:
        """Rename a whole artefact into its place; another process may have been first, with the same answer."""
        place = self.path(key)
        place.parent.mkdir(exist_ok=True)
        if place.exists() and not Store.has(self, key):
            shutil.rmtree(place)
        try:
            folder.rename(place)
        except OSError:
            if not Store.has(self, key):
                raise
        if _syncfs is None:
            _force(place.parent)
        elif time.monotonic() - self._settled > AT_RISK:
            self._settle(_syncfs)

    def settle(self) -> None:
        """Force what was written, by whatever process of this machine, to the disk.  Raises `StoreError`."""
        if _syncfs is not None:
            with self.told():
                self._settle(_syncfs)

    def _settle(self, sync: Callable[[int], int]) -> None:
        handle = os.open(self.root, os.O_RDONLY)
        try:
            if sync(handle):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(handle)
        self._settled = time.monotonic()

    def manifest(self, key: str) -> dict[str, Any]:
        """The kind, files and facts of an artefact.  Raises `DamagedArtefact`."""
        try:
            text = (self.path(key) / MANIFEST).read_bytes()
        except OSError as error:
            raise DamagedArtefact(key, f"its manifest cannot be read: {error}") from error
        return read_manifest(key, text)

    def read(self, key: str) -> Path:
        """The folder of a finished artefact, every file checked against its checksum.  Raises `DamagedArtefact`."""
        return Store.checked(self, key)[1]

    def checked(self, key: str) -> tuple[str, Path]:
        """The kind and the folder of a finished artefact, checked as by `read`."""
        folder, told = self.path(key), Store.manifest(self, key)
        check(key, folder, told["files"])
        return str(told["kind"]), folder

    def verify(self, key: str) -> None:
        """Check an artefact as the store holds it.  Raises `DamagedArtefact`."""
        Store.read(self, key)

    def set_aside(self, key: str) -> str:
        """Move a damaged artefact out of the way, so that it is made again; where it went."""
        place = self.root / "damaged" / f"{key}-{uuid.uuid4().hex[:8]}"
        with self.told():
            place.parent.mkdir(exist_ok=True)
            if self.path(key).exists():
                self.path(key).rename(place)
        return str(place)

    # --- work on an artefact

    @contextmanager
    def lock(self, key: str, *, wait: bool = True) -> Iterator[None]:
        """Held while an artefact is made, so that another process waits for it instead of making it again.

        It ends with the process that holds it.  Raises `filelock.Timeout` where it is taken and ``wait`` is off.
        """
        lock = FileLock(self.root / "locks" / key)
        with self.told():
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if not wait:
                    raise
                report(0, 1, "waiting: another process does this")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def scratch(self, key: str) -> Path:
        """Where the unfinished work of an artefact keeps its checkpoints; always on this machine."""
        folder = self.root / "scratch" / key
        with self.told():
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear(self, key: str) -> None:
        """Forget the checkpoints of work that is finished."""
        shutil.rmtree(self.root / "scratch" / key, ignore_errors=True)

    @contextmanager
    def half(self) -> Iterator[Path]:
        """An empty folder for what is not whole yet, gone at the end; its lock says that its process lives."""
        folder = self.root / "tmp" / uuid.uuid4().hex
        lock = FileLock(folder.with_suffix(".lock"))
        lock.acquire()  # before the folder is there: `sweep` takes one without a lock for a dead process's
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # or it hides why
                folder.with_suffix(".lock").unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Says what a disk refuses inside as one sentence.  Raises `StoreError`."""
        try:
            yield
        except Exception as error:
            if (why := refusal(error, self.root)) is None:
                raise
            raise StoreError(f"the store {self.root} cannot be written: {why.what}; {why.advice}") from error

    # --- all of them

    def keys(self) -> list[str]:
        """The keys of all finished artefacts."""
        return sorted(path.parent.name for path in self.root.glob(f"??/*/{MANIFEST}"))

    def sizes(self) -> dict[str, Size]:
        """The size and age of every finished artefact, by key."""
        return {key: measured(self.path(key)) for key in self.keys()}

    def remove(self, key: str) -> None:
        """Remove an artefact, at once for whoever looks."""
        with self.told(), self.half() as folder:
            if self.path(key).exists():
                self.path(key).rename(folder / key)

    def leftovers(self) -> dict[str, Size]:
        """What no artefact is part of, by its place: ``damaged/``, ``scratch/KEY`` and what dead processes left in
        ``tmp/``."""
        rooms = (_folders(self.root / room) for room in ("damaged", "scratch"))
        found = [*(path for room in rooms for path in room), *self.stale()]
        return {path.relative_to(self.root).as_posix(): measured(path) for path in found}

    def discard(self, leftover: str) -> None:
        """Remove one of `leftovers`."""
        shutil.rmtree(self.root / leftover, ignore_errors=True)
        (self.root / f"{leftover}.lock").unlink(missing_ok=True)

    def stale(self) -> list[Path]:
        """The half-written artefacts of processes that are dead."""
        with self.told():
            return [path for path in _folders(self.root / "tmp") if _free(path.with_suffix(".lock"))]

    def sweep(self) -> None:
        """Remove the half-written artefacts of processes that are dead."""
        for folder in self.stale():
            self.discard(f"tmp/{folder.name}")

    # --- who uses it

    @contextmanager
    def announce(self, suite: str, keys: Iterable[str]) -> Iterator[None]:
        """Say that a suite runs, so that nothing of these keys is pruned meanwhile; begins when no prune is under way.

        What exists is to be asked inside.  A store that cannot be written cannot be pruned either: nothing is said.
        """
        with self._announced(suite, keys):
            yield

    @contextmanager
    def _announced(self, suite: str, keys: Iterable[str]) -> Iterator[str]:
        """The name under which a run is announced on this machine; empty where nothing can be written."""
        if not os.access(self.root / "runs", os.W_OK):
            yield ""
            return
        with self.told():
            name = self.runs.begin(suite, keys)
            self.sweep()
        try:
            yield name
        finally:
            self.runs.end(name)

    @contextmanager
    def pruning(self) -> Iterator[None]:
        """Held while a prune decides and removes: no run begins inside."""
        with self.told(), self.runs.mutex():
            yield

    def running(self) -> list[Running]:
        """The runs that use the store now."""
        return self.runs.now()


def read_manifest(key: str, text: bytes) -> dict[str, Any]:
    """A manifest's content.  Raises `DamagedArtefact` for a broken one."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DamagedArtefact(key, f"its manifest cannot be read: {error}") from error
    if not isinstance(found, dict) or not {"kind", "files", "facts"} <= found.keys():
        raise DamagedArtefact(key, "its manifest lacks fields")
    return found


def check(key: str, folder: Path, files: Mapping[str, str]) -> None:
    """Hold every file against its checksum.  Raises `DamagedArtefact`."""
    for name, expected in files.items():
        try:
            found = file_digest(folder / name)
        except DataError as error:
            raise DamagedArtefact(key, str(error)) from error
        if found != expected:
            raise DamagedArtefact(key, f"{name} does not match its checksum")


def measured(folder: Path) -> Size:
    """The bytes of all files of a folder, and when the folder was last changed; zeros where it is gone."""
    try:
        found = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        return Size(sum(found), folder.stat().st_mtime)
    except OSError:
        return Size(0, 0.0)


def _free(path: Path) -> bool:
    """Whether nobody holds a lock, as far as can be told."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except OSError:
        return False
    lock.release()
    return True


def _folders(path: Path) -> list[Path]:
    return sorted(one for one in path.iterdir() if one.is_dir()) if path.is_dir() else []


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
